"""The middle square of images and label maps, scaled on tensors.

Shapes: image (3, H, W) becomes (3, S, S); label map (H, W) becomes (S, S).
"""

from torch import Tensor

from dlcoder.templates.components.datasets.resize import resize


def square(image: Tensor, size: int, *, labels: bool = False) -> Tensor:
    """Scale the shorter side to `size` and cut the middle out, (..., size, size).

    Args:
        image: Image (3, H, W), or label map (H, W).
        size: Height and width of the result.
        labels: Whether these are labels, which must not be blended.
    """
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    scaled = resize(image, round(height * scale), round(width * scale), labels=labels)
    top, left = (scaled.shape[-2] - size) // 2, (scaled.shape[-1] - size) // 2
    return scaled[..., top : top + size, left : left + size]
