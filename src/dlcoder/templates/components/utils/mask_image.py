"""Segmentation masks as colors: image, truth and prediction side by side.

Shapes: images (N, 3, H, W), masks (N, H, W) with 255 for pixels that do not count.
"""

import colorsys

import numpy as np
from torch import Tensor

from dlcoder.templates.components.utils.image_grid import draw_grid, to_pixels
from dlcoder.templates.components.utils.png import Image


def draw_masks(images: Tensor, truth: Tensor, predicted: Tensor) -> Image:
    """Draw a row for each image: the image, its true mask, and the predicted one."""
    columns = (to_pixels(images), color_mask(truth), color_mask(predicted))
    cells = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
    return draw_grid(cells, columns=3)


def color_mask(masks: Tensor) -> Image:
    """Give each class its color: masks (N, H, W) to (N, H, W, 3)."""
    colors: Image = _palette()[masks.cpu().numpy()]
    return colors


def _palette() -> Image:
    """A color for each class: 0 is black, 255 gray, neighbors are far apart."""
    # Steps of the golden ratio never come back to a hue.
    hues = [colorsys.hsv_to_rgb(0.618034 * c % 1, 0.75, 0.95) for c in range(256)]
    palette = (np.array(hues) * 255).astype(np.uint8)
    palette[0], palette[255] = 0, 128
    return palette
