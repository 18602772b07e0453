"""Batches of images whose numbers of boxes differ.

Shapes: images (B, 3, H, W), boxes (B, N, 4), labels (B, N), -1 where an image has fewer
than N boxes: tensors only, which travel between processes and devices like any batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_boxes(samples: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, ...]:
    """Make a batch of (image (3, H, W), boxes (N, 4), labels (N,))."""
    images, boxes, labels = zip(*samples, strict=True)
    most = max(len(image_labels) for image_labels in labels)
    padded_boxes = torch.zeros(len(samples), most, 4)
    padded_labels = torch.full((len(samples), most), -1)
    for row, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
        padded_boxes[row, : len(image_boxes)] = image_boxes
        padded_labels[row, : len(image_labels)] = image_labels
    return torch.stack(images), padded_boxes, padded_labels


def without_padding(boxes: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the boxes (N, 4) and labels (N,) of each image of a batch."""
    real = labels >= 0
    pairs = list(zip(boxes, labels, real, strict=True))
    return [b[keep] for b, _, keep in pairs], [lab[keep] for _, lab, keep in pairs]
