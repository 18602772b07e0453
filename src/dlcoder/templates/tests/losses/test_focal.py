"""Tests of the softmax focal loss."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.focal import FocalLoss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=GENERATOR)
TARGET = torch.tensor([0, 1, 2, 3, 0, -100])


def test_without_focus_it_is_cross_entropy() -> None:
    expected = F.cross_entropy(LOGITS, TARGET)
    torch.testing.assert_close(FocalLoss(gamma=0.0)(LOGITS, TARGET), expected)


def test_it_is_cross_entropy_times_the_power_of_the_miss() -> None:
    logits = torch.tensor([[0.0, 0.0]])
    expected = 0.5**2 * torch.tensor(2.0).log()
    torch.testing.assert_close(
        FocalLoss(gamma=2.0)(logits, torch.tensor([1])), expected
    )


def test_ignored_targets_have_no_part_in_the_mean() -> None:
    torch.testing.assert_close(
        FocalLoss()(LOGITS, TARGET), FocalLoss()(LOGITS[:5], TARGET[:5])
    )
    assert FocalLoss()(LOGITS, torch.full((6,), -100)) == 0


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_saturated_logits_have_a_finite_gradient(gamma: float) -> None:
    logits = (100 * LOGITS).requires_grad_()
    FocalLoss(gamma=gamma)(logits, TARGET).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
