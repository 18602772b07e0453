"""Tests of the synthetic segmentation data."""

import torch

from dlcoder.templates.components.datasets.synthetic_segmentation import (
    IGNORE,
    SyntheticSegmentation,
)


def make(noise: float = 1.0, seed: int = 0) -> SyntheticSegmentation:
    return SyntheticSegmentation(
        50, num_classes=4, image_size=32, seed=seed, noise=noise
    )


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    for first, again in zip(make()[3], make()[3], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(make()[3][1], make(seed=1)[3][1])


def test_masks_hold_every_class_and_borders_that_do_not_count() -> None:
    masks = torch.stack([make()[i][1] for i in range(50)])
    assert masks.shape == (50, 32, 32)
    assert masks.unique().tolist() == [0, 1, 2, 3, IGNORE]


def test_images_are_standardized() -> None:
    images = torch.stack([make()[i][0] for i in range(50)])
    assert images.shape == (50, 3, 32, 32)
    assert 0.7 < float(images.std()) < 1.3


def test_without_noise_the_color_gives_the_class_away() -> None:
    image, mask = make(noise=0.0)[1]
    for label in mask.unique().tolist():
        if label != IGNORE:
            colors = image[:, mask == label]
            torch.testing.assert_close(colors, colors[:, :1].expand_as(colors))


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
