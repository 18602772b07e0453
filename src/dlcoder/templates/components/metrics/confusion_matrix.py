"""A confusion matrix, and the metrics that follow from it.

Counts are integers: they add up over batches and ranks without error, so a metric of
the whole dataset is the same for every batch size and number of processes. The mean of
the batches' metrics would not be.

Shapes: logits (B, C), target (B,), counts (C, C) with rows for the true classes.
"""

import torch
from torch import Tensor


class ConfusionMatrix:
    """Counts of (true class, predicted class).

    Args:
        num_classes: The number of classes, C.
        device: Where batches come from.
    """

    def __init__(self, num_classes: int, device: torch.device | str = "cpu") -> None:
        self.num_classes = num_classes
        self.counts = torch.zeros(
            num_classes, num_classes, dtype=torch.int64, device=device
        )

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count one batch: logits (B, C), target (B,)."""
        # int64: the number of a cell overflows the types that labels may be stored in.
        cells = target.long() * self.num_classes + logits.argmax(dim=1)
        # minlength pads; a target outside of [0, C) leaves more cells or raises.
        counted = torch.bincount(cells, minlength=self.num_classes**2)
        self.counts += counted.reshape(self.num_classes, self.num_classes)


def classification_metrics(counts: Tensor) -> dict[str, float]:
    """Compute the usual metrics from confusion counts (C, C).

    Returns:
        `accuracy`: the part of all samples that is right. `balanced_accuracy`: recall,
        averaged over the classes that occur. `macro_precision`: precision, averaged
        over the classes that are predicted. `macro_f1`: F1, averaged over the classes
        that occur or are predicted. Each is 0 where there are no samples.
    """
    counts = counts.double().cpu()
    right = counts.diagonal()
    true, predicted = counts.sum(dim=1), counts.sum(dim=0)
    # 2 TP / (2 TP + FP + FN), and FP + FN = true + predicted - 2 TP.
    f1 = 2 * right / (true + predicted)
    return {
        "accuracy": float(right.sum() / counts.sum().clamp(min=1)),
        "balanced_accuracy": _mean(right / true),
        "macro_precision": _mean(right / predicted),
        "macro_f1": _mean(f1),
    }


def _mean(values: Tensor) -> float:
    """The mean of what is defined: 0 / 0 stands for a class without samples."""
    return float(values.nanmean()) if not values.isnan().all() else 0.0
