"""Tests of the average precision of detectors."""

import math

import pytest
import torch

from dlcoder.templates.components.metrics.average_precision import AveragePrecision

BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.0, 40.0]])
LABELS = torch.tensor([0, 1])
SCORES = torch.tensor([0.9, 0.8])


def measure(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> float:
    metric = AveragePrecision()
    metric.update(boxes, scores, labels, BOXES, LABELS)
    return metric.compute()["map"]


def test_perfect_detections_score_one_and_none_zero() -> None:
    assert measure(BOXES, SCORES, LABELS) == pytest.approx(1)
    assert measure(BOXES[:0], SCORES[:0], LABELS[:0]) == 0


def test_a_class_that_is_confused_scores_nothing() -> None:
    assert measure(BOXES, SCORES, 1 - LABELS) == 0


def test_an_overlap_of_three_quarters_passes_half_the_thresholds_and_one() -> None:
    narrow = BOXES * torch.tensor([1.0, 1.0, 0.76, 1.0])
    metric = AveragePrecision()
    metric.update(narrow[:1], SCORES[:1], LABELS[:1], BOXES[:1], LABELS[:1])
    # 0.50, 0.55, ..., 0.75 of ten thresholds up to 0.95.
    assert metric.compute()["map"] == pytest.approx(0.6)


def test_a_false_alarm_ranked_above_costs_and_one_below_does_not() -> None:
    alarm = torch.tensor([[60.0, 60.0, 70.0, 70.0]])
    boxes, labels = torch.cat([BOXES, alarm]), torch.tensor([0, 1, 0])
    below, above = torch.tensor([0.9, 0.8, 0.1]), torch.tensor([0.9, 0.8, 0.95])
    assert measure(boxes, below, labels) == pytest.approx(1)
    assert measure(boxes, above, labels) == pytest.approx((0.5 + 1) / 2)


def test_a_crowd_is_neither_right_nor_wrong() -> None:
    metric = AveragePrecision()
    crowd = torch.tensor([False, True])
    labels = torch.tensor([0, 0])
    metric.update(BOXES, SCORES, labels, BOXES, labels, crowd)
    assert metric.compute()["map"] == pytest.approx(1)


def test_processes_are_merged_to_the_whole() -> None:
    first, second, whole = AveragePrecision(), AveragePrecision(), AveragePrecision()
    first.update(BOXES, SCORES, LABELS, BOXES, LABELS)
    second.update(BOXES + 3, SCORES, LABELS, BOXES, LABELS)
    whole.update(BOXES, SCORES, LABELS, BOXES, LABELS)
    whole.update(BOXES + 3, SCORES, LABELS, BOXES, LABELS)
    first.merge(second)
    assert first.compute() == whole.compute()


def test_nothing_to_find_is_not_a_number() -> None:
    assert math.isnan(AveragePrecision().compute()["map"])
