"""Tests of curves."""

import numpy as np

from dlcoder.templates.components.utils.curve_image import LINE, draw_curve


def test_a_falling_curve_falls() -> None:
    image = draw_curve(np.array([3.0, 2.0, 1.0]))
    rows, columns = np.nonzero((image == LINE).all(axis=2))
    assert rows[columns == columns.min()].max() < rows[columns == columns.max()].min()


def test_a_single_value_is_no_error() -> None:
    assert (draw_curve(np.array([1.0])) == LINE).all(axis=2).any()
