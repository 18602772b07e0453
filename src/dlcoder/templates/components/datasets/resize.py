"""Images and label maps, scaled on tensors.

Shapes: image (3, H, W); label map (H, W), whose labels are never blended.
"""

import torch.nn.functional as F
from torch import Tensor


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
