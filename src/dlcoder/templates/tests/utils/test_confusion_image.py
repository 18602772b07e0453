"""Tests of the picture of a confusion matrix."""

import struct
import zlib
from pathlib import Path

import numpy as np

from dlcoder.templates.components.utils.confusion_image import (
    INK,
    draw_confusion,
    write_png,
)


def test_the_diagonal_of_a_perfect_classifier_is_dark() -> None:
    image = draw_confusion(np.diag([3, 1234567]), cell=40)
    assert image.shape == (100, 100, 3)
    assert (image[22, 22] == INK).all()
    assert (image[62, 62] == INK).all()
    assert (image[22, 62] == 255).all()


def test_a_class_without_samples_is_drawn_blank() -> None:
    image = draw_confusion(np.array([[0, 0], [1, 1]]), cell=40)
    assert (image[22, 22] == 255).all()


def test_the_file_is_a_png_of_these_pixels(tmp_path: Path) -> None:
    image = draw_confusion(np.array([[5, 1], [2, 7]]))
    write_png(tmp_path / "image.png", image)
    data = (tmp_path / "image.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == image.shape[1::-1]
    length = struct.unpack(">I", data[33:37])[0]
    rows = zlib.decompress(data[41 : 41 + length])
    pixels = np.frombuffer(rows, dtype=np.uint8).reshape(len(image), -1)[:, 1:]
    assert (pixels.reshape(image.shape) == image).all()
