"""Tests of the batch-hard triplet loss."""

import pytest
import torch

from dlcoder.templates.components.losses.triplet import BatchHardTripletLoss

LABELS = torch.tensor([0, 0, 1, 1])
POINTS = torch.tensor([[0.0], [1.0], [3.0], [3.5]])


def test_the_hardest_pairs_count() -> None:
    # Distances to the positive: 1, 1, 0.5, 0.5; to the negative: 3, 2, 2, 2.5.
    loss = BatchHardTripletLoss(margin=1.5)(POINTS, LABELS)
    expected = (0 + 0.5 + 0 + 0) / 4
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_a_collapse_costs_the_margin_and_has_a_finite_gradient() -> None:
    points = torch.zeros(4, 2, requires_grad=True)
    loss = BatchHardTripletLoss(margin=0.3)(points, LABELS)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_a_batch_of_one_class_costs_nothing() -> None:
    assert BatchHardTripletLoss()(POINTS, torch.zeros(4)) == 0
