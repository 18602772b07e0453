"""Binary cross entropy with a focus that differs for positives and negatives."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AsymmetricLoss(nn.Module):
    """Multi-label loss; easy negatives are muted by `gamma_neg`."""

    def __init__(self, gamma_neg: float = 2.0, gamma_pos: float = 0.5) -> None:
        super().__init__()
        self.gamma_neg = gamma_neg
        self.gamma_pos = gamma_pos

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean loss of logits (B, C) against targets in {0, 1} (B, C)."""
        logits = logits.float()
        bce = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        miss = -torch.expm1(-bce)
        gamma = torch.where(target > 0.5, self.gamma_pos, self.gamma_neg)
        return (miss.clamp_min(1e-8) ** gamma * bce).mean()
