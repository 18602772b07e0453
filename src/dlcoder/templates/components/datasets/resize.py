"""Scaling on tensors.

Shapes: image (3, H, W), float, or uint8, which is faster and is rounded.
"""

import torch.nn.functional as F
from torch import Tensor


def resize(image: Tensor, height: int, width: int, *, labels: bool = False) -> Tensor:
    """Scale an image to (..., height, width).

    Args:
        image: Image (3, H, W).
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        labels: Whether it is a label map (H, W), whose labels must not be blended.
    """
    if image.shape[-2:] == (height, width):
        return image
    if labels:
        return F.interpolate(
            image[None, None].float(), (height, width), mode="nearest-exact"
        )[0, 0].to(image.dtype)
    return F.interpolate(
        image[None],
        (height, width),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )[0]
