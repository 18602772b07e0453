"""Tests of the synthetic table of classes."""

import torch

from dlcoder.templates.components.datasets.synthetic_table import SyntheticTable


def make(noise: float = 0.5, seed: int = 0) -> SyntheticTable:
    return SyntheticTable(40, num_features=8, num_classes=4, seed=seed, noise=noise)


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    for first, again in zip(make()[3], make()[3], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_every_class_has_a_center_that_is_the_same_for_every_seed() -> None:
    clean, other = make(noise=0.0), make(noise=0.0, seed=1)
    for index in range(40):
        features, label = clean[index]
        assert int(label) == index % 4
        torch.testing.assert_close(features, other[index % 4][0])


def test_rows_are_next_to_their_own_center() -> None:
    centers = torch.stack([make(noise=0.0)[label][0] for label in range(4)])
    for index in range(40):
        features, label = make(noise=0.3)[index]
        assert int((centers - features).norm(dim=1).argmin()) == int(label)


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
