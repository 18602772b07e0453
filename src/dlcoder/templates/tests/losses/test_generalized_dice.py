"""Tests of the generalized Dice loss."""

import pytest
import torch

from dlcoder.templates.components.losses.generalized_dice import GeneralizedDiceLoss

TARGET = torch.tensor([[[0, 0, 0], [0, 1, 255]]])


def logits_of(labels: torch.Tensor) -> torch.Tensor:
    """Logits that are sure of labels (B, H, W)."""
    return 100.0 * torch.eye(2)[labels.clamp(max=1)].movedim(-1, 1)


def test_a_perfect_prediction_costs_nothing() -> None:
    loss = GeneralizedDiceLoss()(logits_of(TARGET), TARGET)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_a_rare_class_weighs_as_much_as_a_common_one() -> None:
    # Weights 1 / 16 and 1: the one pixel that is missed costs nearly all.
    loss = GeneralizedDiceLoss()(logits_of(torch.zeros_like(TARGET)), TARGET)
    assert float(loss) == pytest.approx(1 - 2 * (4 / 16) / (9 / 16 + 1))


def test_ignored_pixels_change_nothing() -> None:
    logits = torch.zeros(1, 2, 2, 3)
    moved = logits.clone()
    moved[0, 0, 1, 2] = 50
    loss = GeneralizedDiceLoss()
    assert loss(moved, TARGET) == loss(logits, TARGET)
    assert loss(logits, torch.full((1, 2, 3), 255)) == 0
