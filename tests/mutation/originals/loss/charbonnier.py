"""Charbonnier loss: a smooth absolute error."""

import torch
from torch import Tensor, nn


class CharbonnierLoss(nn.Module):
    """Mean of sqrt((x - y)^2 + eps^2)."""

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        error = pred.float() - target.float()
        return torch.sqrt(error * error + self.eps**2).mean()
