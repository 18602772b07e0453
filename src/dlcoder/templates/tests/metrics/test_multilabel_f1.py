"""Tests of the metrics of labels that may hold at once."""

import pytest
import torch

from dlcoder.templates.components.metrics.multilabel_f1 import (
    MultiLabelCounts,
    multilabel_metrics,
)

LOGITS = torch.tensor([[2.0, -1.0, -3.0], [1.0, 1.0, -3.0], [-1.0, 2.0, -3.0]])
TARGET = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0]])


def counts(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    metric = MultiLabelCounts(3)
    for part in zip(logits.split(2), target.split(2), strict=True):
        metric.update(*part)
    return metric.counts


def test_hits_false_alarms_and_misses_are_counted_for_each_class() -> None:
    assert counts(LOGITS, TARGET).tolist() == [[1, 2, 0], [1, 0, 0], [1, 0, 0]]


def test_metrics_follow_their_definitions() -> None:
    metrics = multilabel_metrics(counts(LOGITS, TARGET))
    # The third class has neither labels nor predictions.
    assert metrics["macro_f1"] == pytest.approx((2 / 4 + 1) / 2)
    assert metrics["macro_precision"] == pytest.approx((1 / 2 + 1) / 2)
    assert metrics["macro_recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert metrics["micro_f1"] == pytest.approx(6 / 8)


def test_labels_that_are_not_known_do_not_count() -> None:
    unknown = torch.where(LOGITS > 1.5, -1, TARGET)
    assert counts(LOGITS, unknown).tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0]]
    nothing = counts(LOGITS, torch.full((3, 3), -1))
    assert set(multilabel_metrics(nothing).values()) == {0.0}
