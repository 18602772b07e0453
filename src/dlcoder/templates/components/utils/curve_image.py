"""A curve as an image."""

import numpy as np

from dlcoder.templates.components.utils.chart import Values, blank_chart, plot
from dlcoder.templates.components.utils.png import Image

LINE = (8, 48, 107)


def draw_curve(values: Values) -> Image:
    """Draw values (N,) from left to right, from the lowest to the highest."""
    last = max(len(values) - 1, 1)
    x = np.linspace(0, last, 2000)
    y = np.interp(x, np.arange(len(values)), values)
    image = blank_chart()
    plot(image, (x, y), ((0, last), (float(y.min()), float(y.max()))), LINE)
    return image
