"""Tests of the perplexity."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.metrics.perplexity import PerplexitySums, perplexity

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 5, 9, generator=GENERATOR)
TARGET = torch.randint(9, (7, 5), generator=GENERATOR)
TARGET[:3, 1:] = -100


def test_equal_logits_are_as_perplexed_as_there_are_tokens() -> None:
    metric = PerplexitySums()
    metric.update(torch.zeros(2, 3, 9), torch.zeros(2, 3, dtype=torch.int64))
    assert perplexity(metric.sums) == pytest.approx(9, rel=1e-6)


def test_it_is_weighed_by_tokens_not_by_batches() -> None:
    metric = PerplexitySums()
    for part in zip(LOGITS.split(3), TARGET.split(3), strict=True):
        metric.update(*part)
    loss = F.cross_entropy(LOGITS.flatten(0, 1), TARGET.flatten())
    assert perplexity(metric.sums) == pytest.approx(float(loss.exp()), rel=1e-5)


def test_without_tokens_it_is_not_a_number() -> None:
    assert math.isnan(perplexity(PerplexitySums().sums))
