"""A recurrent classifier of padded sequences."""

import torch
from torch import Tensor, nn


class LastStep(nn.Module):
    """Sequences (B, T, in_features) with lengths (B,) to class logits, from the state at the last valid step."""

    def __init__(self, in_features: int = 8, hidden: int = 32, num_classes: int = 5) -> None:
        super().__init__()
        self.gru = nn.GRU(in_features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, num_classes)."""
        states, _ = self.gru(x)
        last = (lengths - 1).clamp(min=0)
        return self.head(states[torch.arange(len(x), device=x.device), last])
