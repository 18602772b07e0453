"""Tests of the Dice loss."""

import pytest
import torch

from dlcoder.templates.components.losses.dice import DiceLoss

TARGET = torch.tensor([[[0, 0, 1], [1, 2, 255]]])
"""A pixel of the last class, and one that is ignored."""


def logits_of(labels: torch.Tensor, classes: int = 3) -> torch.Tensor:
    """Logits that are sure of labels (B, H, W)."""
    labels = labels.where(labels < classes, 0)
    return 100.0 * torch.eye(classes)[labels].movedim(-1, 1)


def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_everything() -> None:
    assert DiceLoss()(logits_of(TARGET), TARGET) == pytest.approx(0, abs=1e-6)
    wrong = (TARGET + 1) % 3
    assert DiceLoss()(logits_of(wrong), TARGET) == pytest.approx(1, abs=1e-6)


def test_it_is_one_minus_the_f1_score_of_hard_predictions() -> None:
    predicted = torch.tensor([[[0, 1, 1], [1, 2, 0]]])
    # F1 of the classes: 2 / 3, 4 / 5 and 1.
    expected = 1 - (2 / 3 + 4 / 5 + 1) / 3
    assert DiceLoss()(logits_of(predicted), TARGET) == pytest.approx(expected)


def test_ignored_pixels_change_nothing_and_get_no_gradient() -> None:
    logits = torch.randn(1, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    moved = logits.clone()
    moved[0, :, 1, 2] += 50
    moved.requires_grad_()
    loss = DiceLoss()(moved, TARGET)
    loss.backward()
    torch.testing.assert_close(loss, DiceLoss()(logits, TARGET))
    assert moved.grad is not None
    assert not moved.grad[0, :, 1, 2].any()


def test_a_mask_without_a_valid_pixel_costs_nothing() -> None:
    assert DiceLoss()(torch.randn(1, 3, 2, 3), torch.full((1, 2, 3), 255)) == 0


def test_a_large_background_does_not_overflow_half_precision() -> None:
    logits = logits_of(torch.zeros(1, 300, 300, dtype=torch.int64), classes=2) / 25
    target = torch.zeros(1, 300, 300, dtype=torch.int64)
    torch.testing.assert_close(
        DiceLoss()(logits.half(), target), DiceLoss()(logits, target)
    )


def test_a_label_that_is_no_class_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        DiceLoss()(torch.zeros(1, 3, 2, 3), torch.full((1, 2, 3), 3))
