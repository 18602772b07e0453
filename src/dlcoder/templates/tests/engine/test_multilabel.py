"""Tests of the multi-label objective."""

import math

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.multilabel import MultiLabel


def test_labels_that_nobody_knows_do_not_count() -> None:
    logits = torch.tensor([[0.0, 5.0, 9.0], [0.0, -5.0, 9.0]])
    labels = torch.tensor([[1.0, 1.0, -1.0], [0.0, 1.0, -1.0]])
    objective = MultiLabel()
    assert objective.count((logits, labels)) == 4
    sums = objective(nn.Identity(), (logits, labels))
    assert sums["metric_label_accuracy"] == 2
    expected = 2 * math.log(2) + math.log1p(math.exp(-5)) + math.log1p(math.exp(5))
    assert float(sums["loss_cross_entropy"]) == pytest.approx(expected)
