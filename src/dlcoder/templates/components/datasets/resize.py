"""Images and label maps, scaled on tensors.

Shapes: image (3, H, W); label map (H, W), whose labels are never blended.
"""

import torch.nn.functional as F
from torch import Tensor


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


def resize(image: Tensor, height: int, width: int, *, labels: bool = False) -> Tensor:
    """Scale an image (3, H, W), or labels (H, W), to (..., height, width)."""
    if image.shape[-2:] == (height, width):
        return image
    if labels:
        return F.interpolate(
            image[None, None].float(), (height, width), mode="nearest-exact"
        )[0, 0].to(image.dtype)
    return F.interpolate(
        image[None].float(),
        (height, width),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )[0]
