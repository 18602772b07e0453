"""Tests of the synthetic detection data."""

import torch

from dlcoder.templates.components.datasets.synthetic_detection import (
    MOST,
    SyntheticDetection,
)


def make(noise: float = 0.5, seed: int = 0) -> SyntheticDetection:
    return SyntheticDetection(60, num_classes=3, image_size=32, seed=seed, noise=noise)


def test_samples_are_repeatable_and_depend_on_the_seed() -> None:
    for first, again in zip(make()[3], make()[3], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(make()[3][0], make(seed=1)[3][0])


def test_images_have_none_to_several_objects_inside() -> None:
    samples = [make()[i] for i in range(60)]
    assert {len(labels) for _, _, labels in samples} == set(range(MOST + 1))
    for _, boxes, labels in samples:
        assert boxes.shape == (len(labels), 4)
        assert ((boxes >= 0) & (boxes <= 32)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 8).all()
    assert torch.cat([labels for _, _, labels in samples]).unique().tolist() == [
        0,
        1,
        2,
    ]


def test_without_noise_objects_are_where_their_boxes_are() -> None:
    for image, boxes, _ in (make(noise=0.0)[i] for i in range(60)):
        inside = torch.zeros(32, 32, dtype=torch.bool)
        for left, top, right, bottom in boxes.long().tolist():
            inside[top:bottom, left:right] = True
        assert torch.equal(image.abs().sum(dim=0) > 0, inside)


def test_the_fingerprint_tells_versions_apart() -> None:
    assert make().fingerprint() == make().fingerprint()
    assert make().fingerprint() != make(seed=1).fingerprint()
