"""Boxes on images: what is there in green, what was detected in red.

Shapes: images (N, 3, H, W), boxes (M, 4) of each as x1, y1, x2, y2 in pixels.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from dlcoder.templates.components.utils.image_grid import draw_grid, to_pixels
from dlcoder.templates.components.utils.png import Image

TRUE, DETECTED = (0, 170, 60), (230, 30, 30)


def draw_boxes(
    images: Tensor, truth: Sequence[Tensor], detected: Sequence[Tensor]
) -> Image:
    """Draw the true and the detected boxes of each image, four images in a row."""
    pixels = np.ascontiguousarray(to_pixels(images))
    for image, true, found in zip(pixels, truth, detected, strict=True):
        for boxes, color in ((true, TRUE), (found, DETECTED)):
            for box in boxes.round().long().tolist():
                _outline(image, box, color)
    return draw_grid(pixels, columns=min(4, len(pixels)))


def _outline(image: Image, box: Sequence[int], color: tuple[int, int, int]) -> None:
    height, width, _ = image.shape
    left, right = (min(max(x, 0), width - 1) for x in (box[0], box[2]))
    top, bottom = (min(max(y, 0), height - 1) for y in (box[1], box[3]))
    image[[top, bottom], left : right + 1] = color
    image[top : bottom + 1, [left, right]] = color
