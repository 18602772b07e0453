"""Tests of the evaluation of a language model."""

import math

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.evaluate_language_model import (
    evaluate_language_model,
)
from dlcoder.templates.components.utils.distributed import World

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_perplexity_is_over_tokens_whatever_the_batches() -> None:
    model = nn.Embedding(4, 4)
    nn.init.zeros_(model.weight)
    # After a 3, the model is sure of 0.
    model.weight.data[3, 0] = 50.0
    inputs = torch.tensor([[1, 3], [1, 3], [1, 3]])
    targets = torch.tensor([[3, 0], [3, 0], [3, -100]])
    batches = [(inputs[:1], targets[:1]), (inputs[1:], targets[1:])]
    evaluation = evaluate_language_model(model, batches, length=2, world=ALONE)
    assert evaluation.metrics["loss_total"] == pytest.approx(3 * math.log(4) / 5)
    assert evaluation.metrics["metric_perplexity"] == pytest.approx(4 ** (3 / 5))
    assert evaluation.metrics["metric_accuracy"] == pytest.approx(2 / 5)
    expected = torch.tensor([math.log(4), 0.0], dtype=torch.float64)
    torch.testing.assert_close(evaluation.loss_by_position, expected)
