"""Pinball loss, whose minimum is a quantile of the target."""

import torch
from torch import Tensor, nn


class PinballLoss(nn.Module):
    """max(q e, (q - 1) e) for e = target - pred, as the mean. pred, target: (B, D)."""

    def __init__(self, q: float = 0.9) -> None:
        super().__init__()
        self.q = q

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        error = target - pred
        return torch.maximum(self.q * error, (self.q - 1) * error).mean()
