"""Tests of the sigmoid focal loss."""

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.losses.sigmoid_focal import SigmoidFocalLoss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=GENERATOR)
TARGET = torch.randint(2, (6, 4), generator=GENERATOR)


def test_without_focus_and_weight_it_is_binary_cross_entropy() -> None:
    loss = SigmoidFocalLoss(gamma=0.0, alpha=None)(LOGITS, TARGET)
    expected = F.binary_cross_entropy_with_logits(LOGITS, TARGET.float())
    torch.testing.assert_close(loss, expected)


def test_alpha_weighs_positives_against_negatives() -> None:
    loss = SigmoidFocalLoss(gamma=2.0, alpha=0.9)
    positive = loss(torch.zeros(1), torch.ones(1))
    negative = loss(torch.zeros(1), torch.zeros(1))
    assert float(positive / negative) == pytest.approx(9)


def test_a_normalizer_divides_the_sum() -> None:
    loss = SigmoidFocalLoss()
    whole = loss(LOGITS, TARGET, torch.tensor(2))
    torch.testing.assert_close(whole, loss(LOGITS, TARGET) * 24 / 2)


def test_saturated_logits_have_a_finite_gradient() -> None:
    logits = (100 * LOGITS).requires_grad_()
    SigmoidFocalLoss(gamma=0.5)(logits, TARGET).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
