"""Predictions over true values, as an image: on the diagonal they agree."""

import numpy as np

from dlcoder.templates.components.utils.chart import FRAME, Values, blank_chart, plot
from dlcoder.templates.components.utils.png import Image

POINT = (8, 48, 107)


def draw_scatter(truth: Values, predicted: Values) -> Image:
    """Draw truth (N,) to the right and predictions (N,) upwards, on one scale."""
    low = float(min(truth.min(), predicted.min()))
    high = float(max(truth.max(), predicted.max()))
    ranges = (low, high), (low, high)
    image = blank_chart()
    diagonal = np.linspace(low, high, 1000)
    plot(image, (diagonal, diagonal), ranges, FRAME, radius=0)
    plot(image, (truth, predicted), ranges, POINT)
    return image
