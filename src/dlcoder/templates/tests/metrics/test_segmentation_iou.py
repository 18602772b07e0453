"""Tests of the segmentation metrics."""

import pytest
import torch

from dlcoder.templates.components.metrics.segmentation_iou import (
    SegmentationCounts,
    segmentation_metrics,
)

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 3, 4, 4, generator=GENERATOR)
TARGET = torch.randint(3, (7, 4, 4), generator=GENERATOR)
TARGET[0] = 255


def counts(logits: torch.Tensor, target: torch.Tensor, batch: int = 7) -> torch.Tensor:
    metric = SegmentationCounts(3)
    for part in zip(logits.split(batch), target.split(batch), strict=True):
        metric.update(*part)
    return metric.counts


def test_metrics_follow_their_definitions() -> None:
    metrics = segmentation_metrics(torch.tensor([[8, 2, 0], [1, 3, 0], [0, 0, 0]]))
    # The third class never occurs and is not averaged over.
    assert metrics["mean_iou"] == pytest.approx((8 / 11 + 3 / 6) / 2)
    assert metrics["mean_dice"] == pytest.approx((16 / 19 + 6 / 9) / 2)
    assert metrics["pixel_accuracy"] == pytest.approx(11 / 14)


def test_uneven_batches_add_up_to_the_whole() -> None:
    assert torch.equal(counts(LOGITS, TARGET, 3), counts(LOGITS, TARGET))


def test_ignored_pixels_do_not_count() -> None:
    assert torch.equal(counts(LOGITS, TARGET), counts(LOGITS[1:], TARGET[1:]))
    nothing = segmentation_metrics(counts(LOGITS[:1], TARGET[:1]))
    assert set(nothing.values()) == {0.0}


def test_a_label_that_is_no_class_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        counts(LOGITS, torch.full((7, 4, 4), 7))


def test_masks_may_be_stored_in_bytes() -> None:
    logits = torch.randn(2, 21, 4, 4, generator=torch.Generator().manual_seed(0))
    target = torch.arange(32).reshape(2, 4, 4) % 21
    metrics = SegmentationCounts(21), SegmentationCounts(21)
    metrics[0].update(logits, target)
    metrics[1].update(logits, target.byte())
    assert torch.equal(metrics[0].counts, metrics[1].counts)
