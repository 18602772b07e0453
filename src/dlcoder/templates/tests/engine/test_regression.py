"""Tests of the regression objective."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.regression import Regression


def test_sums_are_those_of_the_values() -> None:
    predicted = torch.tensor([[0.5, 0.0], [3.0, 1.0]])
    targets = torch.zeros(2, 2)
    objective = Regression()
    assert objective.count((predicted, targets)) == 4
    sums = objective(nn.Identity(), (predicted, targets))
    assert float(sums["loss_smooth_l1"]) == pytest.approx(0.125 + 2.5 + 0.5)
    assert float(sums["metric_mae"]) == pytest.approx(4.5)
