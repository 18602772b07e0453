"""Intersection over union and Dice of a segmentation, over the whole dataset.

    IoU_c = TP / (TP + FP + FN),   Dice_c = 2 TP / (2 TP + FP + FN),   over pixels

Counts of all images are added up before the ratio is taken, the convention of
Cityscapes and ADE20K; the mean of the images' scores is another number. Classes that
neither occur nor are predicted are left out of the mean.

Shapes: logits (B, C, H, W), target (B, H, W), counts (C, C) with rows for the true
classes.
"""

import torch
from torch import Tensor


class SegmentationCounts:
    """Counts of (true class, predicted class) over pixels.

    Args:
        num_classes: The number of classes, C.
        ignore_index: Pixels of this target do not count.
        device: Where batches come from.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        ignore_index: int = 255,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts = torch.zeros(
            num_classes, num_classes, dtype=torch.int64, device=device
        )

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count one batch: logits (B, C, H, W), target (B, H, W).

        Raises:
            RuntimeError: A target is neither a class nor `ignore_index`.
        """
        predicted, valid = logits.argmax(dim=1), target != self.ignore_index
        # One more cell takes the ignored pixels: selecting them would wait for the GPU.
        # int64: the number of a cell overflows the types that masks are stored in.
        cells = target.long() * self.num_classes + predicted
        cells = torch.where(valid, cells, self.num_classes**2)
        counted = torch.bincount(cells.flatten(), minlength=self.num_classes**2 + 1)
        self.counts += counted[:-1].view(self.num_classes, self.num_classes)


def segmentation_metrics(counts: Tensor) -> dict[str, float]:
    """Compute the usual metrics from pixel counts (C, C).

    Returns:
        `mean_iou` and `mean_dice`, averaged over the classes that occur or are
        predicted, and `pixel_accuracy`. Each is 0 where there are no pixels.
    """
    counts = counts.double().cpu()
    right = counts.diagonal()
    either = counts.sum(dim=0) + counts.sum(dim=1) - right
    seen = either > 0
    iou = right / either.clamp(min=1)
    dice = 2 * right / (either + right).clamp(min=1)
    classes = seen.sum().clamp(min=1)
    return {
        "mean_iou": float((iou * seen).sum() / classes),
        "mean_dice": float((dice * seen).sum() / classes),
        "pixel_accuracy": float(right.sum() / counts.sum().clamp(min=1)),
    }
