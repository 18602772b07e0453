"""Tests of scatter plots."""

import numpy as np

from dlcoder.templates.components.utils.scatter_image import POINT, draw_scatter


def where(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero((image == POINT).all(axis=2))
    return len(image) - 1 - rows, columns


def test_right_predictions_lie_on_the_diagonal() -> None:
    truth = np.array([0.0, 0.5, 2.0])
    up, right = where(draw_scatter(truth, truth))
    assert len(up) == 27
    assert (abs(up - right) <= 2).all()


def test_a_constant_prediction_is_a_horizontal_line() -> None:
    up, right = where(draw_scatter(np.array([0.0, 1.0, 2.0]), np.ones(3)))
    assert up.max() - up.min() == 2
    assert right.max() - right.min() > 300
