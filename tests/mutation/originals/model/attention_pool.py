"""A classifier of sequences that pools by attention."""

import torch
from torch import Tensor, nn


class AttentionPool(nn.Module):
    """x: (B, T, 16), mask: (B, T) bool, True where a step is valid; returns logits (B, num_classes)."""

    def __init__(self, dim: int = 16, num_classes: int = 5) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return logits."""
        scores = self.score(x).squeeze(-1).masked_fill(~mask, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        return self.head((weights.unsqueeze(-1) * x).sum(dim=1))
