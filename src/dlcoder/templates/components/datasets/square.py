"""The middle square of an image, scaled on tensors.

Shapes: image (3, H, W) becomes (3, S, S).
"""

from torch import Tensor

from dlcoder.templates.components.datasets.resize import resize


def square(image: Tensor, size: int, *, labels: bool = False) -> Tensor:
    """Scale the shorter side to `size` and cut the middle out, (..., size, size).

    Args:
        image: Image (3, H, W).
        size: Height and width of the result in pixels, S.
        labels: Whether it is a label map (H, W), whose labels must not be blended.
    """
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    scaled = resize(image, round(height * scale), round(width * scale), labels=labels)
    top, left = (scaled.shape[-2] - size) // 2, (scaled.shape[-1] - size) // 2
    return scaled[..., top : top + size, left : left + size]
