"""Tests of the evaluation of a regression."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.evaluate_regression import evaluate_regression
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_errors_are_over_all_samples_whatever_the_batches() -> None:
    targets = torch.tensor([[0.0], [1.0], [2.0]])
    predicted = torch.tensor([[0.0], [1.0], [3.0]])
    batches = [(predicted[:2], targets[:2]), (predicted[2:], targets[2:])]
    evaluation = evaluate_regression(nn.Identity(), batches, num_targets=1, world=ALONE)
    assert evaluation.metrics == pytest.approx(
        {
            "loss_total": 1 / 3,
            "metric_mae": 1 / 3,
            "metric_rmse": (1 / 3) ** 0.5,
            "metric_r2": 0.5,
        }
    )
