"""Tests of the cross entropy of the hardest pixels."""

import math

import pytest
import torch

from dlcoder.templates.components.losses.ohem_cross_entropy import OhemCrossEntropyLoss

TARGET = torch.tensor([0, 0, 0, 0, -1])


def logits_for(*probabilities: float) -> torch.Tensor:
    """Logits (N, 2) that give the first class these probabilities."""
    p = torch.tensor(probabilities)
    return torch.stack([p.log(), (1 - p).log()], dim=1)


def test_the_mean_is_over_pixels_below_the_threshold() -> None:
    loss = OhemCrossEntropyLoss(threshold=0.5, min_kept=0.2, ignore_index=-1)
    value = loss(logits_for(0.9, 0.8, 0.4, 0.2, 0.1), TARGET)
    assert float(value) == pytest.approx(-(math.log(0.4) + math.log(0.2)) / 2)


def test_where_few_are_hard_the_hardest_are_kept() -> None:
    loss = OhemCrossEntropyLoss(threshold=0.01, min_kept=0.2, ignore_index=-1)
    value = loss(logits_for(0.9, 0.8, 0.4, 0.2, 0.1), TARGET)
    assert float(value) == pytest.approx(-math.log(0.2))


def test_easy_pixels_get_no_gradient() -> None:
    logits = logits_for(0.9, 0.8, 0.4, 0.2, 0.1).requires_grad_()
    loss = OhemCrossEntropyLoss(threshold=0.5, min_kept=0.2, ignore_index=-1)
    loss(logits, TARGET).backward()
    assert logits.grad is not None
    assert logits.grad.any(dim=1).tolist() == [False, False, True, True, False]


def test_a_batch_of_ignored_pixels_costs_nothing() -> None:
    loss = OhemCrossEntropyLoss(ignore_index=-1)
    assert loss(logits_for(0.9, 0.1), torch.tensor([-1, -1])) == 0
