"""Tests of the picture of a confusion matrix."""

import numpy as np

from dlcoder.templates.components.utils.confusion_image import INK, draw_confusion


def test_the_diagonal_of_a_perfect_classifier_is_dark() -> None:
    image = draw_confusion(np.diag([3, 1234567]), cell=40)
    assert image.shape == (100, 100, 3)
    assert (image[22, 22] == INK).all()
    assert (image[62, 62] == INK).all()
    assert (image[22, 62] == 255).all()
    # A count of seven digits is wider than its cell, and left out.
    assert (image[61:99, 61:99] == INK).all()


def test_a_thousand_classes_fit_into_an_image() -> None:
    image = draw_confusion(np.eye(1000, dtype=np.int64))
    assert image.shape == (2001, 2001, 3)
    assert (image[1:3, 1:3] == INK).all()
    assert (image[1:3, 3:5] == 255).all()


def test_a_class_without_samples_is_drawn_blank() -> None:
    image = draw_confusion(np.array([[0, 0], [1, 1]]), cell=40)
    assert (image[22, 22] == 255).all()
