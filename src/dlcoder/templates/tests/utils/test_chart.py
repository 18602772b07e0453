"""Tests of charts."""

import numpy as np

from dlcoder.templates.components.utils.chart import MARGIN, SIZE, blank_chart, plot


def test_points_are_where_their_values_say() -> None:
    image = blank_chart()
    points = np.array([0.0, 1.0]), np.array([0.0, 2.0])
    plot(image, points, ((0.0, 1.0), (0.0, 2.0)), (255, 0, 0), radius=0)
    red = np.argwhere((image == (255, 0, 0)).all(axis=2)).tolist()
    assert red == [[MARGIN - 1, SIZE - MARGIN], [SIZE - 1 - MARGIN, MARGIN]]


def test_a_range_without_extent_is_no_error() -> None:
    image = blank_chart()
    plot(image, (np.zeros(2), np.zeros(2)), ((0.0, 0.0), (0.0, 0.0)), (255, 0, 0))
    assert ((image == (255, 0, 0)).all(axis=2)).sum() == 9
