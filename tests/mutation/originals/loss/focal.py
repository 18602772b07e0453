"""Softmax focal loss."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """Mean over valid elements of -(1 - p_t)^gamma log p_t."""

    def __init__(self, gamma: float = 2.0, ignore_index: int = -100) -> None:
        super().__init__()
        self.gamma = gamma
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (B, C) against classes (B,)."""
        logits = logits.float()
        cross_entropy = F.cross_entropy(logits, target, ignore_index=self.ignore_index, reduction="none")
        # expm1 keeps 1 - p exact for confident elements, and its gradient finite.
        miss = -torch.expm1(-cross_entropy)
        focal = miss.clamp_min(1e-12) ** self.gamma * cross_entropy
        valid = target != self.ignore_index
        return (focal * valid).sum() / valid.sum().clamp_min(1)
