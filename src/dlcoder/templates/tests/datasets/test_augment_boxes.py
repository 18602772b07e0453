"""Tests of augmenting image and boxes together."""

import torch
from torch import Tensor

from dlcoder.templates.components.datasets.augment_boxes import BoxAugment, clip_boxes

Sample = tuple[Tensor, Tensor, Tensor]


def sample() -> Sample:
    """White rectangles of which the first lies left."""
    boxes = torch.tensor([[2.0, 4, 12, 16], [20, 20, 30, 30]])
    image = torch.zeros(3, 32, 32)
    image[:, 4:16, 2:12] = 1
    image[:, 20:30, 20:30] = 1
    return image, boxes, torch.tensor([0, 1])


def draw(augment: BoxAugment, seed: int) -> Sample:
    return augment(*sample(), torch.Generator().manual_seed(seed))


def test_boxes_still_hold_their_objects() -> None:
    kept = 0
    for seed in range(60):
        image, boxes, labels = draw(BoxAugment(jitter=0.0), seed)
        assert image.shape == (3, 32, 32)
        assert len(boxes) == len(labels)
        kept += len(boxes)
        for x1, y1, x2, y2 in boxes.round().long().tolist():
            assert 0 <= x1 < x2 <= 32
            assert 0 <= y1 < y2 <= 32
            assert float(image[:, y1:y2, x1:x2].mean()) > 0.75
    assert kept > 80


def test_an_image_without_boxes_stays_one() -> None:
    image, boxes, labels = sample()
    generator = torch.Generator().manual_seed(0)
    _, boxes, labels = BoxAugment()(image, boxes[:0], labels[:0], generator)
    assert (boxes.shape, labels.shape) == ((0, 4), (0,))


# needs: BoxAugment.flip
def test_a_mirrored_box_keeps_the_order_of_its_corners() -> None:
    drawn = [draw(BoxAugment(low=1.0, high=1.0), seed)[1] for seed in range(30)]
    firsts = {tuple(boxes[0].tolist()) for boxes in drawn}
    assert firsts == {(2, 4, 12, 16), (20, 4, 30, 16)}


def test_a_box_that_is_mostly_gone_is_dropped() -> None:
    boxes = torch.tensor([[-8.0, 0, 2, 10], [-5, 0, 5, 10], [0, 9.5, 5, 30]])
    clipped, labels = clip_boxes(boxes, torch.tensor([0, 1, 2]), 10, 10, visible=0.3)
    assert clipped.tolist() == [[0, 0, 5, 10]]
    assert labels.tolist() == [1]


def test_the_generator_decides_and_nothing_is_changed_in_place() -> None:
    given = sample()
    augment = BoxAugment(jitter=0.3)
    one, two = (augment(*given, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(given, sample(), strict=True))
