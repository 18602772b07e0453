"""Many images as one: a grid with a thin line between them.

Shapes: images (N, 3, H, W), float, of about zero mean and unit variance.
"""

import numpy as np
from torch import Tensor

from dlcoder.templates.components.utils.png import Image

GAP = 2
"""Pixels between two images."""


def to_pixels(images: Tensor) -> Image:
    """Turn images (..., 3, H, W) into colors (..., H, W, 3), +-2 being the extremes."""
    scaled = (images.detach().float().cpu() / 4 + 0.5).clamp(0, 1)
    pixels: Image = (scaled * 255).round().byte().movedim(-3, -1).numpy()
    return pixels


def draw_grid(images: Image, *, columns: int) -> Image:
    """Put colors (N, H, W, 3) side by side, rows first."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    cell = (height + GAP, width + GAP)
    grid = np.full((rows * cell[0] - GAP, columns * cell[1] - GAP, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * cell[0], index % columns * cell[1]
        grid[top : top + height, left : left + width] = image
    return grid
