"""Tests of direct preference optimization."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.dpo import DPOLoss, sequence_log_probs


def test_a_policy_that_equals_the_reference_costs_the_logarithm_of_two() -> None:
    a, b = torch.randn(5), torch.randn(5)
    assert float(DPOLoss()(a, b, a, b)) == pytest.approx(math.log(2))


def test_the_policy_learns_to_prefer_what_was_chosen() -> None:
    chosen, rejected = (torch.zeros(3, requires_grad=True) for _ in "12")
    DPOLoss()(chosen, rejected, torch.zeros(3), torch.zeros(3)).backward()
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert (chosen.grad < 0).all()
    assert (rejected.grad > 0).all()


def test_the_prompt_has_no_part_in_the_log_probability() -> None:
    logits, tokens = torch.randn(1, 4, 6), torch.tensor([[-100, -100, 2, 5]])
    log_p = logits.log_softmax(dim=2)
    expected = log_p[0, 1, 2] + log_p[0, 2, 5]
    torch.testing.assert_close(sequence_log_probs(logits, tokens)[0], expected)
