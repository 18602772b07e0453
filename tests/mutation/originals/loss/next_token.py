"""Next-token loss of a language model."""

import torch.nn.functional as F
from torch import Tensor, nn


class NextTokenLoss(nn.Module):
    """Cross entropy of token logits, padding left out."""

    def __init__(self, ignore_index: int = -100) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over valid tokens for logits (B, T, V) and labels (B, T)."""
        flat = logits.float().flatten(0, 1)
        total = F.cross_entropy(flat, labels.flatten(), ignore_index=self.ignore_index, reduction="sum")
        return total / (labels != self.ignore_index).sum().clamp_min(1)
