"""Learning rate: linear warm-up, then a cosine down to a small rest.

    lr(n) = peak (n + 1) / warmup                                        n < warmup
    lr(n) = rest + (peak - rest) (1 + cos(pi t)) / 2,
            t = (n - warmup) / (total - warmup)                          n >= warmup

for update n = 0, 1, ..., and the rest beyond the total. The rate follows from n alone:
there is nothing that a resumed run could get out of step with.

Reference: Loshchilov & Hutter, "SGDR", arXiv:1608.03983.
"""

import math
from typing import Any

from torch.optim import Optimizer


class WarmupCosine:
    """Sets the learning rate of all parameter groups before each update.

    Args:
        optimizer: Whose learning rate is set.
        peak: The rate at the end of the warm-up.
        total_updates: Optimizer updates in the whole run.
        warmup_updates: Updates of the warm-up; 0 for none.
        rest: The final rate, as a part of the peak.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        peak: float,
        total_updates: int,
        warmup_updates: int,
        rest: float = 0.01,
    ) -> None:
        self.optimizer = optimizer
        self.peak = peak
        self.total = total_updates
        self.warmup = min(warmup_updates, total_updates)
        self.rest = rest
        self.updates = 0
        self._apply()

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return self.lr_at(self.updates)

    def lr_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        if update < self.warmup:
            return self.peak * (update + 1) / self.warmup
        span = max(1, self.total - self.warmup)
        t = min(1.0, (update - self.warmup) / span)
        rest = self.rest * self.peak
        return rest + (self.peak - rest) * (1 + math.cos(math.pi * t)) / 2

    def step(self) -> None:
        """Go on to the next update. Once per optimizer update, not per micro-batch."""
        self.updates += 1
        self._apply()

    def _apply(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr

    def state_dict(self) -> dict[str, Any]:
        """Return the number of updates."""
        return {"updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.updates = state["updates"]
        self._apply()
