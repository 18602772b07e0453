"""Augmentation of an image together with its boxes, on tensors.

Shapes: image (3, H, W), float, normalized; boxes (N, 4), x1, y1, x2, y2 in pixels;
labels (N,).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlcoder.templates.components.datasets.resize import resize

Sample = tuple[Tensor, Tensor, Tensor]


class BoxAugment:
    """Random scale, crop, flip and jitter, the same for image and boxes.

    Args:
        low: The least scale. 1 keeps the size.
        high: The greatest scale.
        flip: Whether half of the images are mirrored left to right.
        jitter: The largest relative change of contrast, and of brightness in standard
            deviations. 0 for none.
        visible: The part of a box that must be left for it to stay an object.
    """

    def __init__(
        self,
        *,
        low: float = 0.7,
        high: float = 1.5,
        flip: bool = True,
        jitter: float = 0.0,
        visible: float = 0.3,
    ) -> None:
        self.low = low
        self.high = high
        self.flip = flip
        self.jitter = jitter
        self.visible = visible

    def __call__(
        self, image: Tensor, boxes: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Sample:
        """Return augmented copies; boxes that have left the image are dropped."""
        draws = torch.rand(6, generator=generator).tolist()
        height, width = image.shape[-2:]
        scale = self.low * (self.high / self.low) ** draws[0]
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        image = resize(image, rows, columns)
        # The scales of the two sides differ by rounding.
        boxes = boxes * boxes.new_tensor([columns / width, rows / height] * 2)

        margin = (0, max(0, width - columns), 0, max(0, height - rows))
        image = F.pad(image, margin)
        top = int(draws[1] * (image.shape[1] - height + 1))
        left = int(draws[2] * (image.shape[2] - width + 1))
        image = image[:, top : top + height, left : left + width]
        boxes = boxes - boxes.new_tensor([left, top] * 2)
        boxes, labels = clip_boxes(boxes, labels, height, width, visible=self.visible)

        if self.flip and draws[3] < 0.5:
            image = image.flip(-1)
            x1, y1, x2, y2 = boxes.unbind(dim=1)
            boxes = torch.stack([width - x2, y1, width - x1, y2], dim=1)
        if self.jitter > 0:
            contrast, brightness = 2 * draws[4] - 1, 2 * draws[5] - 1
            image = image * (1 + self.jitter * contrast) + self.jitter * brightness
        return image, boxes, labels


def clip_boxes(
    boxes: Tensor, labels: Tensor, height: int, width: int, *, visible: float
) -> tuple[Tensor, Tensor]:
    """Cut boxes (N, 4) at the image, and drop those of which too little is left."""
    limits = boxes.new_tensor([width, height] * 2)
    clipped = torch.minimum(boxes, limits).clamp(min=0)
    before = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    sides = clipped[:, 2:] - clipped[:, :2]
    # A box of less than a pixel cannot be seen, nor told from rounding.
    keep = (sides >= 1).all(dim=1) & (sides.prod(dim=1) >= visible * before)
    return clipped[keep], labels[keep]
