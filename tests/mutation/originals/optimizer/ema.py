"""Exponential moving average of a model."""

import copy

import torch
from torch import nn


class EMA:
    """A copy whose parameters follow slowly; buffers are copied."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.module = copy.deepcopy(model).eval()
        self.module.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a step toward the model."""
        for mine, theirs in zip(self.module.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - self.decay)
        for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict:
        """What must be saved."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        self.module.load_state_dict(state)
