"""Tests of the smooth L1 loss."""

import pytest
import torch

from dlcoder.templates.components.losses.smooth_l1 import SmoothL1Loss


def test_it_is_quadratic_for_small_errors_and_linear_for_large_ones() -> None:
    loss = SmoothL1Loss(beta=1.0, reduction="sum")
    assert loss(torch.tensor([0.5]), torch.zeros(1)) == 0.125
    assert loss(torch.tensor([-3.0]), torch.zeros(1)) == 2.5


def test_an_outlier_pulls_no_harder_than_one() -> None:
    prediction = torch.tensor([2.0, 1000.0], requires_grad=True)
    SmoothL1Loss(beta=1.0, reduction="sum")(prediction, torch.zeros(2)).backward()
    assert prediction.grad is not None
    assert prediction.grad.tolist() == [1, 1]


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        SmoothL1Loss()(torch.zeros(4, 1), torch.zeros(4))


def test_half_precision_is_computed_in_single() -> None:
    loss = SmoothL1Loss()(torch.zeros(3, dtype=torch.bfloat16), torch.ones(3))
    assert loss.dtype == torch.float32
