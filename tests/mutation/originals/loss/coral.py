"""Ordinal regression by cumulative decisions."""

import torch
import torch.nn.functional as F
from torch import Tensor


def coral_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over the C - 1 thresholds, mean over samples: ordinal logits (B, C - 1), labels (B,)."""
    above = labels[:, None] > torch.arange(logits.shape[1], device=labels.device)
    return F.binary_cross_entropy_with_logits(logits, above.to(logits.dtype), reduction="none").sum(dim=1).mean()
