"""Tests of batches of boxes."""

import torch

from dlcoder.templates.components.datasets.pad_boxes import pad_boxes, without_padding


def test_padding_comes_off_as_it_went_on() -> None:
    boxes = [torch.rand(2, 4), torch.zeros(0, 4), torch.rand(1, 4)]
    labels = [
        torch.tensor([0, 2]),
        torch.zeros(0, dtype=torch.int64),
        torch.tensor([1]),
    ]
    samples = list(zip(torch.rand(3, 3, 8, 8), boxes, labels, strict=True))
    images, padded_boxes, padded_labels = pad_boxes(samples)
    assert images.shape == (3, 3, 8, 8)
    assert padded_boxes.shape == (3, 2, 4)
    assert padded_labels.tolist() == [[0, 2], [-1, -1], [1, -1]]
    restored_boxes, restored_labels = without_padding(padded_boxes, padded_labels)
    for before, after in zip(
        boxes + labels, restored_boxes + restored_labels, strict=True
    ):
        assert torch.equal(before, after)


def test_a_batch_without_any_object_is_no_error() -> None:
    empty = (torch.rand(3, 8, 8), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    _, boxes, labels = pad_boxes([empty, empty])
    assert boxes.shape == (2, 0, 4)
    assert labels.shape == (2, 0)
