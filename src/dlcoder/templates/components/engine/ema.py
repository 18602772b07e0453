"""An exponential moving average of a model's weights, which is what gets evaluated.

    average <- d average + (1 - d) weight,    d = min(decay, (1 + n) / (10 + n))

after update number n = 1, 2, ... The warm-up of d lets the average forget the random
initial weights; with a constant decay it would look broken for 1 / (1 - decay) updates.

Buffers are averaged too: batch norm's running statistics must belong to the averaged
weights. Integer buffers, which count, are copied.
"""

import copy
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


class Ema:
    """The averaged copy of a model.

    Args:
        model: The model, not wrapped for data parallelism.
        decay: The decay that the warm-up ends at, in [0, 1).
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards `model`. To be called after each optimizer step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, value in zip(_tensors(self.module), _tensors(model), strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights and the number of updates."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    # Each once: `state_dict` names a weight that two layers share twice.
    return chain(model.parameters(), model.buffers())
