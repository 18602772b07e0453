"""Accuracy of a whole dataset, over all ranks."""

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Accuracy(nn.Module):
    """Share of right predictions among those that count."""

    def __init__(self, ignore_index: int = -100) -> None:
        super().__init__()
        self.ignore_index = ignore_index
        self.register_buffer("right", torch.zeros((), dtype=torch.int64))
        self.register_buffer("total", torch.zeros((), dtype=torch.int64))

    def reset(self) -> None:
        """Forget everything."""
        self.right.zero_()
        self.total.zero_()

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Count logits (B, C) against classes (B,)."""
        valid = target != self.ignore_index
        self.right += ((logits.argmax(dim=1) == target) & valid).sum()
        self.total += valid.sum()

    def compute(self) -> float:
        """The accuracy in [0, 1] over all ranks; 0 if nothing was seen."""
        counts = torch.stack([self.right, self.total])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(counts)
        return float(counts[0]) / max(float(counts[1]), 1.0)
