"""A confusion matrix as a PNG, without a plotting library."""

import numpy as np
import numpy.typing as npt

from dlcoder.templates.components.utils.png import Image

# Digits of 3x5 pixels: one number for each row, one bit for each pixel.
DIGITS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 1, 1, 1),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}
INK = np.array([8, 48, 107])
"""The color of a cell that holds all samples of its class."""


def draw_confusion(counts: npt.NDArray[np.int64], *, cell: int = 48) -> Image:
    """Draw counts (C, C) as an image (C * cell + margin, C * cell + margin, 3).

    Rows are true classes, columns predicted ones, both labeled by their number. The
    shade of a cell is its part of the row; its number is the count, where it fits.
    """
    classes = len(counts)
    margin = cell // 2
    size = margin + classes * cell
    image = np.full((size, size, 3), 255, dtype=np.uint8)
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row in range(classes):
        start = margin + row * cell
        middle = start + cell // 2
        _write(image, str(row), (middle, margin // 2), np.zeros(3))
        _write(image, str(row), (margin // 2, middle), np.zeros(3))
        for column in range(classes):
            left = margin + column * cell
            shade = 255 + parts[row, column] * (INK - 255)
            image[start : start + cell - 1, left : left + cell - 1] = shade
            text = np.full(3, 255) if parts[row, column] > 0.5 else INK
            count = str(counts[row, column])
            _write(image, count, (middle, left + cell // 2), text)
    return image


def _write(
    image: Image, text: str, center: tuple[int, int], color: npt.NDArray[np.generic]
) -> None:
    """Write a number around a (row, column), two pixels for each of a digit's."""
    glyphs = [
        [[row >> bit & 1 for bit in (2, 1, 0)] + [0] for row in DIGITS[digit]]
        for digit in text
    ]
    pixels = np.concatenate(glyphs, axis=1)[:, :-1].repeat(2, axis=0).repeat(2, axis=1)
    height, width = pixels.shape
    top, left = center[0] - height // 2, center[1] - width // 2
    area = image[max(top, 0) : top + height, max(left, 0) : left + width]
    if area.shape[:2] == pixels.shape:
        area[pixels == 1] = color
