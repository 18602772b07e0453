"""Binary cross entropy on logits, for labels that may hold at once.

    loss = -w y log p - (1 - y) log(1 - p),   p = sigmoid(logit)

A sample may have any number of classes, and each is judged alone. Where classes exclude
each other use cross entropy.

Shapes: logits (B, C, ...) and target alike, of 0, 1, or a probability.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BinaryCrossEntropyLoss(nn.Module):
    """Binary cross entropy with weights of positives and labels that are not known.

    Args:
        pos_weight: The weight w of each class's positives, such as negatives divided by
            positives; None weighs both alike.
        ignore_index: Targets of this value do not count, such as -1 where nobody
            looked for a label; None counts all.
        reduction: "mean" over the labels that count, or "sum". Sums can be added up
            over micro-batches and ranks before one division by the true count.
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        *,
        pos_weight: Sequence[float] | None = None,
        ignore_index: float | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if pos_weight is None:
            self.pos_weight = None
        else:
            self.register_buffer("pos_weight", torch.as_tensor(pos_weight))
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            logits: Scores `(B, C, ...)`.
            target: Labels in [0, 1] or `ignore_index`, the same shape, any dtype.

        Raises:
            ValueError: The shapes differ.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        valid = None
        if self.ignore_index is not None:
            valid = (target != self.ignore_index).to(logits.dtype)
        weight = None
        if self.pos_weight is not None:
            # Classes are the second dimension of logits, whatever follows.
            shape = (-1, *[1] * (logits.dim() - 2))
            weight = self.pos_weight.to(logits.dtype).view(shape)
        loss = F.binary_cross_entropy_with_logits(
            logits,
            target.to(logits.dtype),
            weight=valid,
            pos_weight=weight,
            reduction="sum",
        )
        if self.reduction == "sum":
            return loss
        # At least one, so that a batch without labels gives 0 rather than 0 / 0.
        if valid is None:
            return loss / max(target.numel(), 1)
        return loss / valid.sum().clamp(min=1)
