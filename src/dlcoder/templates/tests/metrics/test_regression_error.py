"""Tests of the errors of a regression."""

import math

import pytest
import torch

from dlcoder.templates.components.metrics.regression_error import (
    RegressionSums,
    regression_metrics,
)

TARGET = torch.tensor([[1.0], [2.0], [3.0], [4.0]])


def measure(
    prediction: torch.Tensor, target: torch.Tensor = TARGET
) -> dict[str, float]:
    metric = RegressionSums(1)
    for part in zip(prediction.split(3), target.split(3), strict=True):
        metric.update(*part)
    return regression_metrics(metric.sums)


def test_errors_follow_their_definitions() -> None:
    metrics = measure(TARGET + torch.tensor([[1.0], [-1.0], [0.0], [2.0]]))
    assert metrics["mae"] == pytest.approx(1)
    assert metrics["rmse"] == pytest.approx(1.5**0.5)
    assert metrics["r2"] == pytest.approx(1 - 6 / 5)


def test_the_mean_explains_nothing_and_the_truth_all() -> None:
    assert measure(TARGET)["r2"] == 1
    assert measure(torch.full((4, 1), 2.5))["r2"] == pytest.approx(0)


def test_targets_far_from_zero_lose_no_digits() -> None:
    far = TARGET.double() + 1e6
    assert measure(far + 0.5, far)["r2"] == pytest.approx(1 - 1 / 5, rel=1e-3)


def test_a_target_that_does_not_vary_has_no_part_in_r2() -> None:
    metric = RegressionSums(2)
    # Seven times 0.1 is not 0.7: what is left of its spread is rounding.
    target = torch.stack([torch.arange(7.0), torch.full((7,), 0.1)], dim=1).double()
    metric.update(target + torch.tensor([0.0, 1.0]), target)
    assert regression_metrics(metric.sums)["r2"] == 1
    constant = metric.sums[:, 1:]
    assert math.isnan(regression_metrics(constant)["r2"])


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        RegressionSums(1).update(torch.zeros(4), torch.zeros(4, 1))
