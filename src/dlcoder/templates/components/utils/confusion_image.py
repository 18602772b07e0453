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
HEIGHT = 10
"""Of a digit, in pixels."""
INK = np.array([8, 48, 107])
"""The color of a cell that holds all samples of its class."""


SIDE = 2400
"""The most pixels that a side gets, if there are not more classes."""


def draw_confusion(counts: npt.NDArray[np.int64], *, cell: int | None = None) -> Image:
    """Draw counts (C, C) as an image (C * cell + margin, C * cell + margin, 3).

    Rows are true classes, columns predicted ones, both labeled by their number. The
    shade of a cell is its part of the row; its number is the count, where it fits.

    Args:
        counts: Samples by true and predicted class.
        cell: Pixels of a cell's side; by default 48, fewer where classes are many.
    """
    classes = len(counts)
    if cell is None:
        cell = min(48, max(1, SIDE // classes))
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = (255 + parts[..., None] * (INK - 255)).astype(np.uint8)
    table = shades.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell > 4:  # Room for a line between two cells.
        table[cell - 1 :: cell] = table[:, cell - 1 :: cell] = 255
    margin = cell // 2
    size = margin + classes * cell
    image = np.full((size, size, 3), 255, dtype=np.uint8)
    image[margin:, margin:] = table
    if cell > HEIGHT:
        _write_numbers(image, counts, parts, cell)
    return image


def _write_numbers(
    image: Image,
    counts: npt.NDArray[np.int64],
    parts: npt.NDArray[np.float64],
    cell: int,
) -> None:
    margin = cell // 2
    middles = [margin + number * cell + cell // 2 for number in range(len(counts))]
    for row, down in enumerate(middles):
        _write(image, str(row), (down, margin // 2), np.zeros(3), cell)
        _write(image, str(row), (margin // 2, down), np.zeros(3), cell)
        for column, right in enumerate(middles):
            color = np.full(3, 255) if parts[row, column] > 0.5 else INK
            _write(image, str(counts[row, column]), (down, right), color, cell)


def _write(
    image: Image,
    text: str,
    center: tuple[int, int],
    color: npt.NDArray[np.generic],
    room: int,
) -> None:
    """Write a number around a (row, column), two pixels for each of a digit's.

    One that is wider than `room` is left out.
    """
    glyphs = [
        [[row >> bit & 1 for bit in (2, 1, 0)] + [0] for row in DIGITS[digit]]
        for digit in text
    ]
    pixels = np.concatenate(glyphs, axis=1)[:, :-1].repeat(2, axis=0).repeat(2, axis=1)
    height, width = pixels.shape
    if width > room:
        return
    top, left = center[0] - height // 2, center[1] - width // 2
    area = image[max(top, 0) : top + height, max(left, 0) : left + width]
    if area.shape[:2] == pixels.shape:
        area[pixels == 1] = color
