"""Cross entropy over classes, with label smoothing, class weights and ignored targets.

    loss = -sum_c w_c q_c log softmax(logits)_c,    q = (1 - s) one_hot(target) + s / C

Shapes: logits (B, C, ...), target (B, ...) of class indices.
Reference: Szegedy et al., "Rethinking the Inception Architecture", arXiv:1512.00567.
Not for targets that may be several classes at once: use binary cross entropy.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CrossEntropyLoss(nn.Module):
    """Cross entropy that stays finite where every target is ignored.

    Args:
        class_weights: The weight w of each class; None gives all classes the same.
        label_smoothing: The probability mass s that goes evenly to all classes, in
            [0, 1).
        z_loss: The weight of log(sum_c exp(logits_c))^2, which keeps the logits of
            large models from drifting; 1e-4 is usual, None leaves the term out.
        ignore_index: Targets of this value do not count.
        reduction: "mean" over the targets that count, by their weights, or "sum". Sums
            can be added up over micro-batches and ranks before one division by the
            true count.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        z_loss: float | None = None,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if class_weights is None:
            self.class_weights = None
        else:
            self.register_buffer("class_weights", torch.as_tensor(class_weights))
        self.label_smoothing = label_smoothing
        self.z_loss = z_loss
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a float32 scalar, or float64 for float64 logits.

        Raises:
            ValueError: Targets are probabilities, which `F.cross_entropy` takes.
            IndexError: A target is neither a class nor `ignore_index`.
        """
        if target.is_floating_point():
            raise ValueError(
                "targets must be class indices; give probabilities, such as those of "
                "MixUp, to torch.nn.functional.cross_entropy"
            )
        # A softmax over many classes loses digits in half precision.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = None
        if self.class_weights is not None:
            weights = self.class_weights.to(logits.dtype)
        loss = F.cross_entropy(
            logits,
            target,
            weight=weights,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            reduction="sum",
        )
        if self.z_loss is not None:
            z = logits.logsumexp(dim=1).square()
            loss = (
                loss
                + self.z_loss * (z * _counts(target, self.ignore_index, weights)).sum()
            )
        if self.reduction == "sum":
            return loss
        count = _counts(target, self.ignore_index, weights).sum().to(loss.dtype)
        # A batch of ignored targets gives 0 rather than 0 / 0.
        return loss / count.clamp(min=torch.finfo(loss.dtype).tiny)


def _counts(target: Tensor, ignore_index: int, weights: Tensor | None) -> Tensor:
    """How much each target counts `(B, ...)`: 0 if ignored, else its class's weight."""
    valid = target != ignore_index
    if weights is None:
        return valid
    return weights[target.where(valid, 0)] * valid
