"""Tests of PNG files."""

import struct
import zlib
from pathlib import Path

import numpy as np

from dlcoder.templates.components.utils.png import write_png


def test_the_file_is_a_png_of_these_pixels(tmp_path: Path) -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    write_png(tmp_path / "image.png", image)
    data = (tmp_path / "image.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == image.shape[1::-1]
    length = struct.unpack(">I", data[33:37])[0]
    rows = zlib.decompress(data[41 : 41 + length])
    pixels = np.frombuffer(rows, dtype=np.uint8).reshape(len(image), -1)[:, 1:]
    assert (pixels.reshape(image.shape) == image).all()
