"""Tests of four images in one."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlcoder.templates.components.datasets.augment_boxes import BoxAugment
from dlcoder.templates.components.datasets.mosaic import Mosaic
from dlcoder.templates.components.datasets.sampler import ResumableBatchSampler

Sample = tuple[Tensor, Tensor, Tensor]


class Marked(Dataset[Sample]):
    """Gray images with a rectangle of the color of its label, or with none.

    Sizes differ, and so do the places.
    """

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:
        image = torch.full((3, 32, 40 if index == 4 else 32), 0.5)
        if index == 5:
            return image, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
        left, top = 2 + 3 * index, 14 - 2 * index
        image[:, top : top + 12, left : left + 14] = 1 + index
        box = torch.tensor([[left, top, left + 14, top + 12]], dtype=torch.float32)
        return image, box, torch.tensor([index])


def mosaics(**options: Any) -> Mosaic:
    return Mosaic(Marked(), seed=0, **{"part": 1.0, **options})


def test_boxes_hold_their_objects() -> None:
    kept = 0
    data = mosaics()
    for epoch in range(25):
        for index in range(len(data)):
            image, boxes, labels = data[epoch, index]
            assert image.shape == Marked()[index][0].shape
            assert len(boxes) == len(labels)
            kept += len(boxes)
            for box, label in zip(boxes.round().long(), labels.tolist(), strict=True):
                x1, y1, x2, y2 = box.tolist()
                assert 0 <= x1 < x2 <= image.shape[2]
                assert 0 <= y1 < y2 <= image.shape[1]
                # Edges are blended where the image was scaled.
                inside = image[:, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
                if inside.numel() > 3 * 9:
                    median = float(inside.flatten().median())
                    assert median == pytest.approx(1 + label, abs=0.1)
    assert kept > 200


def test_every_object_in_the_image_has_its_box() -> None:
    data = mosaics(low=1.0, high=1.0, visible=0.0)
    for epoch in range(20):
        image, boxes, _ = data[epoch, 0]
        covered = torch.zeros(image.shape[1:], dtype=torch.bool)
        for x1, y1, x2, y2 in boxes.long().tolist():
            covered[y1:y2, x1:x2] = True
        assert torch.equal(image[0] >= 1, covered)


def test_four_images_without_objects_are_no_error() -> None:
    class Empty(Marked):
        def __getitem__(self, index: int) -> Sample:
            return super().__getitem__(5)

    image, boxes, labels = Mosaic(Empty(), seed=0, part=1.0)[0, 0]
    assert bool((image == 0.5).any())
    assert (boxes.shape, labels.shape) == ((0, 4), (0,))
    assert labels.dtype == torch.int64


def test_the_sample_asked_for_is_one_of_the_four_in_any_corner() -> None:
    data = mosaics(visible=0.0)
    corners = set()
    for epoch in range(60):
        _, boxes, labels = data[epoch, 1]
        for box, label in zip(boxes, labels.tolist(), strict=True):
            if label == 1:
                x1, y1, x2, y2 = box.tolist()
                corners.add((x1 + x2 > 32, y1 + y2 > 32))
    assert len(corners) == 4


# needs: Mosaic.until
def test_the_last_epochs_see_images_as_they_are() -> None:
    data = mosaics(until=2)
    for index in range(len(data)):
        plain = Marked()[index]
        assert not torch.equal(data[1, index][0], plain[0])
        assert all(
            torch.equal(a, b) for a, b in zip(data[2, index], plain, strict=True)
        )


def test_a_part_of_the_samples_stays_alone() -> None:
    data = mosaics(part=0.5)
    alone = [
        torch.equal(data[epoch, index][0], Marked()[index][0])
        for epoch in range(20)
        for index in range(6)
    ]
    assert 40 < sum(alone) < 80


# needs: Mosaic.augment
def test_augmentation_follows() -> None:
    plain, augmented = mosaics(), mosaics(augment=BoxAugment())
    image, boxes, labels = augmented[0, 0]
    assert image.shape == (3, 32, 32)
    assert len(boxes) == len(labels)
    assert not torch.equal(image, plain[0, 0][0])


def batches(epoch: int, *, workers: int = 0) -> list[list[Tensor]]:
    sampler = ResumableBatchSampler(6, 2, seed=0, with_epoch=True)
    sampler.seek(epoch)

    class Square(Marked):
        def __getitem__(self, index: int) -> Sample:
            return super().__getitem__(index % 4)

    data = Mosaic(Square(), seed=3)
    loader = DataLoader(
        data, batch_sampler=sampler, num_workers=workers, collate_fn=data.collate_fn
    )
    return list(loader)


def test_workers_change_nothing_and_epochs_do() -> None:
    one, two, later = batches(0), batches(0, workers=2), batches(1)
    for first, second in zip(one, two, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(one[0][0], later[0][0])
