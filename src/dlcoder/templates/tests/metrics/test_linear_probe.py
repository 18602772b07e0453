"""Tests of the linear probe."""

import torch
import torch.nn.functional as F

from dlcoder.templates.components.metrics.linear_probe import (
    LinearProbe,
    fit_linear,
    probe_accuracy,
)

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(60, 4, generator=GENERATOR)
LABELS = FEATURES[:, :3].argmax(dim=1)


def test_classes_that_a_line_separates_are_told_apart() -> None:
    probe = LinearProbe(FEATURES, LABELS, 3, weight_decay=1e-4)
    probe.update(FEATURES[:40], LABELS[:40])
    probe.update(FEATURES[40:], LABELS[40:])
    assert probe_accuracy(probe.counts) > 0.95


def test_scale_and_shift_of_features_do_not_matter() -> None:
    moved = FEATURES * torch.tensor([1.0, 10.0, 0.1, 1000.0]) + 5
    plain, other = LinearProbe(FEATURES, LABELS, 3), LinearProbe(moved, LABELS, 3)
    torch.testing.assert_close(
        plain.classifier.weight, other.classifier.weight, rtol=0, atol=1e-3
    )


def test_the_solution_is_a_minimum() -> None:
    features = FEATURES.double()
    classifier = fit_linear(features, LABELS, 3, weight_decay=0.01)
    penalty = 0.01 / 2 * classifier.weight.square().sum()
    loss = F.cross_entropy(classifier(features), LABELS) + penalty
    gradients = torch.autograd.grad(loss, list(classifier.parameters()))
    assert max(float(g.abs().max()) for g in gradients) < 1e-6
