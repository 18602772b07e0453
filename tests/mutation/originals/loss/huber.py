"""Huber loss: quadratic near the target, linear far from it."""

import torch
from torch import Tensor, nn


class HuberLoss(nn.Module):
    """0.5 e^2 up to |e| = delta, delta (|e| - delta / 2) beyond, as the mean. pred, target: (B, D)."""

    def __init__(self, delta: float = 1.5) -> None:
        super().__init__()
        self.delta = delta

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a scalar."""
        error = (pred.float() - target.float()).abs()
        far = self.delta * (error - 0.5 * self.delta)
        return torch.where(error <= self.delta, 0.5 * error * error, far).mean()
