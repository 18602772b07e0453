"""Tests of the evaluation of a multi-label classifier."""

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.evaluate_multilabel import evaluate_multilabel
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_counts_are_over_all_samples_whatever_the_batches() -> None:
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0], [9.0, 9.0]])
    batches = [(logits[:1], labels[:1]), (logits[1:], labels[1:])]
    evaluation = evaluate_multilabel(nn.Identity(), batches, num_classes=2, world=ALONE)
    assert evaluation.counts.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert evaluation.metrics["metric_micro_f1"] == pytest.approx(2 / 3)
    assert evaluation.metrics["loss_total"] == pytest.approx(18 / 5, rel=1e-3)
