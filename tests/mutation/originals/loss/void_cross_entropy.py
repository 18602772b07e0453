"""Cross entropy of maps in which 255 marks pixels without a label."""

import torch.nn.functional as F
from torch import Tensor


def void_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over labelled pixels. logits: (B, C, H, W), target: (B, H, W) int64."""
    labelled = target != 255
    losses = F.cross_entropy(logits, target.masked_fill(~labelled, 0), reduction="none")
    return (losses * labelled).sum() / labelled.sum().clamp(min=1)
