"""Cross entropy over classes, with label smoothing and ignored targets.

    loss = -sum_c q_c log softmax(logits)_c,    q = (1 - s) one_hot(target) + s / C

Shapes: logits (B, C, ...), target (B, ...) of class indices.
Reference: Szegedy et al., "Rethinking the Inception Architecture", arXiv:1512.00567.
Not for targets that may be several classes at once: use binary cross entropy.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


class CrossEntropy(nn.Module):
    """Cross entropy that stays finite where every target is ignored.

    Args:
        label_smoothing: The probability mass s that goes evenly to all classes, in
            [0, 1).
        ignore_index: Targets of this value do not count.
        reduction: "mean" over the targets that count, or "sum". Sums can be added up
            over micro-batches and ranks before one division by the true count.
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a float32 scalar, or float64 for float64 logits."""
        if logits.dtype.itemsize < 4:
            # A softmax over many classes loses digits in half precision.
            logits = logits.float()
        loss = F.cross_entropy(
            logits,
            target,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            reduction="sum",
        )
        if self.reduction == "sum":
            return loss
        # At least one, so that a batch of ignored targets gives 0 rather than 0 / 0.
        return loss / (target != self.ignore_index).sum().clamp(min=1)
