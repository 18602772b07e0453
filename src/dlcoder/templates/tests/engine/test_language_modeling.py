"""Tests of the language modeling objective."""

import math

import pytest
import torch
from torch import nn

from dlcoder.templates.components.engine.language_modeling import LanguageModeling


def test_sums_are_those_of_the_tokens_to_predict() -> None:
    model = nn.Embedding(4, 4)
    nn.init.zeros_(model.weight)
    inputs = torch.tensor([[1, 2, 3], [0, 0, 0]])
    targets = torch.tensor([[2, 3, -100], [0, 0, -100]])
    objective = LanguageModeling()
    assert objective.count((inputs, targets)) == 4
    sums = objective(model, (inputs, targets))
    assert float(sums["loss_cross_entropy"].detach()) == pytest.approx(4 * math.log(4))
    # Equal logits: the first token is taken.
    assert sums["metric_accuracy"] == 2
