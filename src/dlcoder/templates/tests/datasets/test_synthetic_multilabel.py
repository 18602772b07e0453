"""Tests of the synthetic multi-label images."""

import torch

from dlcoder.templates.components.datasets.synthetic_multilabel import (
    FREQUENCY,
    SyntheticMultiLabel,
)


def make(noise: float = 1.0, seed: int = 0) -> SyntheticMultiLabel:
    return SyntheticMultiLabel(
        200, num_classes=5, image_size=16, seed=seed, noise=noise
    )


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    for first, again in zip(make()[3], make()[3], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_every_class_is_as_frequent_as_promised() -> None:
    labels = torch.stack([make()[i][1] for i in range(200)])
    assert labels.unique().tolist() == [0.0, 1.0]
    assert ((labels.mean(dim=0) - FREQUENCY).abs() < 0.12).all()
    assert labels.sum(dim=1).max() > 1


def test_images_are_standardized() -> None:
    images = torch.stack([make()[i][0] for i in range(200)])
    assert images.shape == (200, 3, 16, 16)
    assert 0.85 < float(images.std()) < 1.15


def test_an_image_without_classes_is_noise_alone() -> None:
    data = make(noise=0.0)
    empty = [data[i][0] for i in range(200) if not data[i][1].any()]
    assert empty
    assert not torch.stack(empty).any()


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
