"""Learning rate: a linear warm-up to the peak, and what comes after it, in closed form.

The rate follows from the number of the update alone: there is nothing that a resumed
run could get out of step with.
"""

import math
from typing import Any, Literal

from torch.optim import Optimizer


class WarmupSchedule:
    """Sets the learning rate of all parameter groups before each update.

    Args:
        optimizer: Whose learning rate is set.
        peak: The rate at the end of the warm-up.
        total_updates: Optimizer updates in the whole run.
        warmup_updates: Updates of the warm-up; 0 for none.
        form: What comes after a warm-up of w updates, with t going from 0 to 1 then:
            cosine falls by half a cosine to the rest;
            constant stays at the peak;
            linear falls in a straight line to the rest;
            inverse_sqrt is the peak times sqrt(w / n) at update n = w + 1, w + 2, ...;
            wsd stays at the peak, and falls in a straight line at the end;
            step is multiplied by a factor at each milestone.
        rest: The rate that it falls to, as a part of the peak.
        cooldown: The last part of the run after the warm-up, in which it falls.
        milestones: Where it drops, as parts of the run after the warm-up.
        milestone_factor: What it is multiplied by at a milestone.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        peak: float,
        total_updates: int,
        warmup_updates: int,
        form: Literal[
            "cosine", "constant", "linear", "inverse_sqrt", "wsd", "step"
        ] = "cosine",
        rest: float = 0.01,
        cooldown: float = 0.2,
        milestones: tuple[float, ...] = (0.6, 0.9),
        milestone_factor: float = 0.1,
    ) -> None:
        if form == "wsd" and not 0 < cooldown <= 1:
            raise ValueError(f"cooldown must be above 0 and at most 1, got {cooldown}")
        self.optimizer = optimizer
        self.peak = peak
        self.total = total_updates
        self.warmup = min(warmup_updates, total_updates)
        self.form = form
        self.rest = rest
        self.cooldown = cooldown
        self.milestones = milestones
        self.milestone_factor = milestone_factor
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
        if self.form == "constant":
            return self.peak
        if self.form == "inverse_sqrt":
            return self.peak * math.sqrt(max(1, self.warmup) / (update + 1))
        # From 0 at the end of the warm-up to 1 at the end of the run, and beyond it.
        t = min(1.0, (update - self.warmup) / max(1, self.total - self.warmup))
        if self.form == "step":
            passed = sum(t >= milestone for milestone in self.milestones)
            return self.peak * self.milestone_factor**passed
        if self.form == "wsd":
            # Stable until the cooldown.
            t = max(0.0, t - (1 - self.cooldown)) / self.cooldown
        if self.form == "cosine":
            # Slow at both ends.
            t = (1 - math.cos(math.pi * t)) / 2
        # From the peak to the rest.
        return self.peak * (1 - (1 - self.rest) * t)

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
