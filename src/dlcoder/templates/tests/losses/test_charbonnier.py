"""Tests of the Charbonnier loss."""

import pytest
import torch

from dlcoder.templates.components.losses.charbonnier import CharbonnierLoss


def test_large_errors_cost_their_size_and_none_costs_eps() -> None:
    zero = torch.zeros(1)
    assert float(CharbonnierLoss(eps=1e-3)(zero + 3, zero)) == pytest.approx(3)
    assert float(CharbonnierLoss(eps=1e-3)(zero, zero)) == pytest.approx(1e-3)


def test_the_gradient_at_a_perfect_prediction_is_zero() -> None:
    prediction = torch.zeros(2, 3, requires_grad=True)
    CharbonnierLoss()(prediction, torch.zeros(2, 3)).backward()
    assert prediction.grad is not None
    assert not prediction.grad.any()


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        CharbonnierLoss()(torch.zeros(4, 1), torch.zeros(4))
