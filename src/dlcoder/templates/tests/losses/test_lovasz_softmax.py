"""Tests of the Lovász-softmax loss."""

import pytest
import torch

from dlcoder.templates.components.losses.lovasz_softmax import LovaszSoftmaxLoss

TARGET = torch.tensor([[[0, 0, 1], [1, 2, 255]]])


def logits_of(labels: torch.Tensor) -> torch.Tensor:
    """Logits that are sure of labels (B, H, W)."""
    return 100.0 * torch.eye(3)[labels.clamp(max=2)].movedim(-1, 1)


def test_of_hard_predictions_it_is_one_minus_the_mean_iou() -> None:
    predicted = torch.tensor([[[0, 1, 1], [1, 2, 0]]])
    expected = 1 - (1 / 2 + 2 / 3 + 1) / 3
    loss = LovaszSoftmaxLoss()(logits_of(predicted), TARGET)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_a_class_that_is_absent_is_left_out() -> None:
    target = torch.tensor([[[0, 0, 1], [1, 1, 255]]])
    loss = LovaszSoftmaxLoss()(logits_of(target), target)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_ignored_pixels_get_no_gradient() -> None:
    logits = torch.zeros(1, 3, 2, 3, requires_grad=True)
    LovaszSoftmaxLoss()(logits, TARGET).backward()
    assert logits.grad is not None
    assert not logits.grad[0, :, 1, 2].any()
    assert logits.grad[0, :, 0].any()
    assert LovaszSoftmaxLoss()(logits, torch.full((1, 2, 3), 255)) == 0
