"""Tests of the synthetic table."""

import torch

from dlcoder.templates.components.datasets.synthetic_regression import (
    SyntheticRegression,
)


def make(noise: float = 0.1, seed: int = 0) -> SyntheticRegression:
    return SyntheticRegression(
        400, num_features=8, num_targets=2, seed=seed, noise=noise
    )


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    for first, again in zip(make()[3], make()[3], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_targets_are_standardized() -> None:
    targets = torch.stack([make()[i][1] for i in range(400)])
    assert targets.shape == (400, 2)
    assert 0.8 < float(targets.std()) < 1.2
    assert abs(float(targets.mean())) < 0.15


def test_the_signal_is_the_same_for_every_seed() -> None:
    first, second = make(noise=0.0), make(noise=0.0, seed=1)
    features, targets = first[0]
    torch.testing.assert_close(second._signal(features, 1), targets[1])


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
