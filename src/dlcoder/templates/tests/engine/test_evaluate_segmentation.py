"""Tests of the evaluation of a segmentation."""

import math

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.evaluate_segmentation import (
    evaluate_segmentation,
)
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_metrics_are_over_pixels_whatever_the_batches() -> None:
    """The images hold the logits themselves."""
    masks = torch.tensor([[[0, 1], [2, 255]], [[0, 0], [1, 1]]])
    images = 50.0 * nn.functional.one_hot(masks.clamp(max=2), 3).permute(0, 3, 1, 2)
    images[1, :, 0] = images[1, :, 1]  # two pixels of class 0 become class 1
    one = [(images, masks)]
    two = [(images[:1], masks[:1]), (images[1:], masks[1:])]
    metrics = [
        evaluate_segmentation(nn.Identity(), batches, num_classes=3, world=ALONE)
        for batches in (one, two)
    ]
    assert metrics[0].metrics == pytest.approx(metrics[1].metrics)
    assert metrics[0].counts.tolist() == [[1, 2, 0], [0, 3, 0], [0, 0, 1]]
    mean_iou = (1 / 3 + 3 / 5 + 1) / 3
    assert metrics[0].metrics["metric_mean_iou"] == pytest.approx(mean_iou)
    assert metrics[0].metrics["loss_total"] == pytest.approx(2 * 50 / 7)
    assert math.isfinite(metrics[0].metrics["metric_mean_dice"])
