"""Points in a frame, as an image, without a plotting library."""

import numpy as np
import numpy.typing as npt

from dlcoder.templates.components.utils.png import Image

Values = npt.NDArray[np.float64]
Range = tuple[float, float]
SIZE, MARGIN = 400, 20
FRAME = (200, 200, 200)


def blank_chart() -> Image:
    """Return a white square with a frame."""
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    inside = slice(MARGIN // 2, SIZE - MARGIN // 2)
    for edge in (MARGIN // 2, SIZE - MARGIN // 2 - 1):
        image[edge, inside] = image[inside, edge] = FRAME
    return image


def plot(
    image: Image,
    points: tuple[Values, Values],
    ranges: tuple[Range, Range],
    color: tuple[int, int, int],
    *,
    radius: int = 1,
) -> None:
    """Draw points into a chart.

    Args:
        image: What `blank_chart` returned; it is changed.
        points: x (N,), to the right, and y (N,), upwards.
        ranges: The values at the edges, for x and for y.
        color: Red, green, blue.
        radius: Pixels around the middle of a point.
    """
    columns, rows = (
        _scale(values, low, high)
        for values, (low, high) in zip(points, ranges, strict=True)
    )
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            image[SIZE - 1 - rows + down, columns + right] = color


def _scale(values: Values, low: float, high: float) -> npt.NDArray[np.int64]:
    part = ((values - low) / max(high - low, 1e-12)).clip(0, 1)
    return (MARGIN + part * (SIZE - 2 * MARGIN)).round().astype(np.int64)
