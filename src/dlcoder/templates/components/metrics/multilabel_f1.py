"""F1, precision and recall where a sample may have any number of classes.

    precision_c = TP / (TP + FP),   recall_c = TP / (TP + FN),
    F1_c = 2 TP / (2 TP + FP + FN)

Macro averages treat all classes alike, micro averages all labels: on rare classes they
differ much. Counts of all batches and ranks are added up before any ratio is taken.

Shapes: logits (B, C), target (B, C) of 0 and 1, counts (3, C): TP, FP and FN.
"""

import math

import torch
from torch import Tensor


class MultiLabelCounts:
    """True positives, false positives and false negatives of each class.

    Args:
        num_classes: The number of classes, C.
        threshold: A class is predicted from this probability on, in (0, 1).
        ignore_index: Labels of this value do not count.
        device: Where batches come from.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        threshold: float = 0.5,
        ignore_index: int = -1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.logit_threshold = math.log(threshold / (1 - threshold))
        self.ignore_index = ignore_index
        self.counts = torch.zeros(3, num_classes, dtype=torch.int64, device=device)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count one batch: logits (B, C), target (B, C)."""
        predicted = (logits >= self.logit_threshold) & (target != self.ignore_index)
        true = target == 1
        self.counts += torch.stack(
            [
                (predicted & true).sum(dim=0),
                (predicted & ~true).sum(dim=0),
                (~predicted & true).sum(dim=0),
            ]
        )


def multilabel_metrics(counts: Tensor) -> dict[str, float]:
    """Compute the usual metrics from counts (3, C).

    Returns:
        `macro_f1`, `macro_precision` and `macro_recall`, averaged over the classes for
        which they are defined, and `micro_f1` over all labels. Each is 0 where nothing
        is defined.
    """
    hits, false_alarms, misses = counts.double().cpu()
    total = counts.sum(dim=1).double()
    return {
        "macro_f1": _mean(2 * hits / (2 * hits + false_alarms + misses)),
        "macro_precision": _mean(hits / (hits + false_alarms)),
        "macro_recall": _mean(hits / (hits + misses)),
        "micro_f1": _mean(2 * total[:1] / (total.sum() + total[0])),
    }


def _mean(values: Tensor) -> float:
    """The mean of what is defined: 0 / 0 stands for a class without labels."""
    return float(values.nanmean()) if not values.isnan().all() else 0.0
