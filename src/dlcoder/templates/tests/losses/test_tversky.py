"""Tests of the Tversky loss."""

import pytest
import torch

from dlcoder.templates.components.losses.tversky import TverskyLoss

TARGET = torch.tensor([[[0, 0, 0], [1, 1, 255]]])


def logits_of(labels: torch.Tensor) -> torch.Tensor:
    """Logits that are sure of labels (B, H, W)."""
    return 100.0 * torch.eye(2)[labels.clamp(max=1)].movedim(-1, 1)


def test_alpha_weighs_false_alarms_and_beta_misses() -> None:
    # One pixel of class 1 called 0: a miss of the one, a false alarm of the other.
    predicted = torch.tensor([[[0, 0, 0], [0, 1, 0]]])
    loss = TverskyLoss(alpha=0.2, beta=0.8)(logits_of(predicted), TARGET)
    background, foreground = 3 / (3 + 0.2), 1 / (1 + 0.8)
    assert float(loss) == pytest.approx(1 - (background + foreground) / 2)


def test_the_focal_form_takes_the_root_of_each_class() -> None:
    predicted = torch.tensor([[[0, 0, 0], [0, 1, 0]]])
    loss = TverskyLoss(alpha=0.2, beta=0.8, gamma=2.0)(logits_of(predicted), TARGET)
    background, foreground = 1 - 3 / 3.2, 1 - 1 / 1.8
    assert float(loss) == pytest.approx((background**0.5 + foreground**0.5) / 2)


def test_a_perfect_prediction_costs_nothing_and_has_a_finite_gradient() -> None:
    logits = logits_of(TARGET).requires_grad_()
    loss = TverskyLoss()(logits, TARGET)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_mask_without_a_valid_pixel_costs_nothing() -> None:
    assert TverskyLoss()(torch.randn(1, 2, 2, 3), torch.full((1, 2, 3), 255)) == 0
