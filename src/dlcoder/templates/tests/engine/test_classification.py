"""Tests of the objective."""

import torch
from torch import nn

from dlcoder.templates.components.engine.classification import Classification

IMAGES = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def test_sums_over_parts_are_the_sums_over_the_whole() -> None:
    objective = Classification(label_smoothing=0.1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    whole = objective(model, (IMAGES, LABELS))
    parts = [
        objective(model, (IMAGES[:4], LABELS[:4])),
        objective(model, (IMAGES[4:], LABELS[4:])),
    ]
    assert whole.keys() == {"loss_cross_entropy", "metric_accuracy"}
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[0][name] + parts[1][name])


def test_it_counts_samples() -> None:
    assert Classification().count((IMAGES, LABELS)) == 6
