"""Tests of the boundary loss."""

import pytest
import torch

from dlcoder.templates.components.losses.boundary import BoundaryLoss, signed_distance

TARGET = torch.zeros(7, 7, dtype=torch.int64)
TARGET[2:5, 2:5] = 1


def test_distances_are_negative_inside_zero_on_the_edge_and_positive_outside() -> None:
    distance = signed_distance(TARGET, 3)[1]
    assert distance[3, 3] == -1
    assert not distance[2, 2:5].any()
    assert float(distance[0, 0]) == pytest.approx(8**0.5)


def test_a_class_that_is_absent_has_no_distances() -> None:
    assert not signed_distance(TARGET, 3)[2].any()


def test_predicting_far_away_costs_more_than_nearby() -> None:
    distance = signed_distance(TARGET, 2).unsqueeze(0)
    losses = []
    for row in (1, 0):
        logits = torch.zeros(1, 2, 7, 7)
        logits[0, 1, row, 3] = 100
        losses.append(float(BoundaryLoss()(logits, TARGET.unsqueeze(0), distance)))
    assert losses[0] < losses[1]


def test_ignored_pixels_do_not_count() -> None:
    distance = signed_distance(TARGET, 2).unsqueeze(0)
    ignored = torch.full((1, 7, 7), 255)
    assert BoundaryLoss()(torch.randn(1, 2, 7, 7), ignored, distance) == 0
