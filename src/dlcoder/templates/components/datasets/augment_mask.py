"""Augmentation of an image together with its label map, on tensors.

Shapes: image (3, H, W), float, normalized; mask (H, W), int64.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcoder.templates.components.datasets.resize import resize


class MaskAugment:
    """Random scale, crop, flip and jitter, the same for image and mask.

    What comes in from outside the image does not count.

    Args:
        low: The least scale. 1 keeps the size.
        high: The greatest scale.
        flip: Whether half of the images are mirrored left to right. Not where sides
            are told apart, as in medical images of organs.
        jitter: The largest relative change of contrast, and of brightness in standard
            deviations. 0 for none.
        ignore_index: The label of pixels that do not count.
    """

    def __init__(
        self,
        *,
        low: float = 0.5,
        high: float = 2.0,
        flip: bool = True,
        jitter: float = 0.0,
        ignore_index: int = 255,
    ) -> None:
        self.low = low
        self.high = high
        self.flip = flip
        self.jitter = jitter
        self.ignore_index = ignore_index

    def __call__(
        self, image: Tensor, mask: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return augmented copies of the same size."""
        draws = torch.rand(6, generator=generator).tolist()
        height, width = mask.shape
        scale = self.low * (self.high / self.low) ** draws[0]
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        image = resize(image, rows, columns)
        mask = resize(mask, rows, columns, labels=True)

        margin = (0, max(0, width - columns), 0, max(0, height - rows))
        image = F.pad(image, margin)
        mask = F.pad(mask, margin, value=self.ignore_index)
        top = int(draws[1] * (mask.shape[0] - height + 1))
        left = int(draws[2] * (mask.shape[1] - width + 1))
        image = image[:, top : top + height, left : left + width]
        mask = mask[top : top + height, left : left + width]

        if self.flip and draws[3] < 0.5:
            image, mask = image.flip(-1), mask.flip(-1)
        if self.jitter > 0:
            contrast, brightness = 2 * draws[4] - 1, 2 * draws[5] - 1
            image = image * (1 + self.jitter * contrast) + self.jitter * brightness
        return image, mask
