"""Smooth L1 loss for regression: quadratic for small errors, linear for large ones.

    loss = d^2 / (2 beta) if d < beta, else d - beta / 2,    d = |prediction - target|

An outlier pulls no harder than any other error beyond `beta`. Multiplied by `beta` it
is the Huber loss. Standardize targets, and `beta = 1` is one standard deviation.

Shapes: prediction and target alike, such as (B, T).
Paper: Girshick, "Fast R-CNN", 2015, https://arxiv.org/abs/1504.08083
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SmoothL1Loss(nn.Module):
    """Smooth L1, also known as Huber loss up to a factor.

    Args:
        beta: The error where the loss turns from quadratic to linear, above 0.
        reduction: "mean" over the elements, or "sum". Sums can be added up
            over micro-batches and ranks before one division by the true count.
    """

    def __init__(
        self, *, beta: float = 1.0, reduction: Literal["mean", "sum"] = "mean"
    ) -> None:
        super().__init__()
        if beta <= 0:
            raise ValueError(f"beta must be above 0, got {beta}")
        self.beta = beta
        self.reduction = reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in float32 or wider.

        Args:
            prediction: Any shape.
            target: The same shape.

        Raises:
            ValueError: The shapes differ, and would broadcast without a word.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}"
            )
        prediction = prediction.to(torch.promote_types(prediction.dtype, torch.float32))
        return F.smooth_l1_loss(
            prediction,
            target.to(prediction.dtype),
            beta=self.beta,
            # The mean of nothing is not a number, its sum is 0.
            reduction=self.reduction if target.numel() else "sum",
        )
