"""Tests of the top-k accuracy."""

import math

import torch

from dlcoder.templates.components.metrics.top_k_accuracy import TopKCounts

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2, 3]])
TARGET = torch.tensor([0, 1, 2, 2])


def test_the_true_class_is_looked_for_among_the_first() -> None:
    metric = TopKCounts((1, 2))
    metric.update(LOGITS, TARGET)
    assert metric.compute(metric.counts) == {"top_1": 0.5, "top_2": 0.75}


def test_uneven_batches_add_up_to_the_whole() -> None:
    metric = TopKCounts((1, 2))
    metric.update(LOGITS[:3], TARGET[:3])
    metric.update(LOGITS[3:], TARGET[3:])
    assert metric.compute(metric.counts) == {"top_1": 0.5, "top_2": 0.75}


def test_a_logit_that_is_not_a_number_is_never_right() -> None:
    metric = TopKCounts((1,))
    metric.update(torch.full((3, 3), math.nan), torch.arange(3))
    assert metric.compute(metric.counts) == {"top_1": 0}
