"""Other learning rates than the cosine, in closed form, each after a linear warm-up.

With n the update, w the warm-up, N the total and t = (n - w) / (N - w) from 0 to 1:

    constant        lr = peak
    linear          lr = peak + (rest - peak) t
    inverse_sqrt    lr = peak sqrt(w / (n + 1)), with w = 1 if there is no warm-up
    wsd             lr = peak, and from t = 1 - decay on down to the rest, linearly
    step            lr = peak factor ** (number of milestones that t has reached)

The rate follows from n alone: there is nothing that a resumed run could get out of step
with. constant, inverse_sqrt and the stable part of wsd do not depend on the total: a
run can be made longer later.

References: Vaswani et al., arXiv:1706.03762 (inverse_sqrt); Hu et al., "MiniCPM",
arXiv:2404.06395 (wsd).
"""

import math
from typing import Literal

from torch.optim import Optimizer

from dlcoder.templates.components.engine.schedule import WarmupCosine

Form = Literal["constant", "linear", "inverse_sqrt", "wsd", "step"]


class WarmupForm(WarmupCosine):
    """Sets the learning rate of all parameter groups before each update.

    Args:
        optimizer: Whose learning rate is set.
        peak: The rate at the end of the warm-up.
        total_updates: Optimizer updates in the whole run.
        warmup_updates: Updates of the warm-up; 0 for none.
        form: What comes after the warm-up.
        rest: The final rate, as a part of the peak, of linear and wsd.
        decay: The last part of the run, in which wsd falls.
        milestones: Where step falls, as parts of the run after the warm-up.
        factor: What step multiplies the rate by.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        peak: float,
        total_updates: int,
        warmup_updates: int,
        form: Form,
        rest: float = 0.0,
        decay: float = 0.2,
        milestones: tuple[float, ...] = (0.6, 0.9),
        factor: float = 0.1,
    ) -> None:
        self.form = form
        self.decay = decay
        self.milestones = milestones
        self.factor = factor
        super().__init__(
            optimizer,
            peak=peak,
            total_updates=total_updates,
            warmup_updates=warmup_updates,
            rest=rest,
        )

    def lr_at(self, update: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        if update < self.warmup:
            return self.peak * (update + 1) / self.warmup
        if self.form == "inverse_sqrt":
            return self.peak * math.sqrt(max(1, self.warmup) / (update + 1))
        t = min(1.0, (update - self.warmup) / max(1, self.total - self.warmup))
        return self.peak * self._part(t)

    def _part(self, t: float) -> float:
        """The part of the peak that is left at t."""
        if self.form == "linear":
            return 1 + (self.rest - 1) * t
        if self.form == "wsd":
            fallen = max(0.0, t - (1 - self.decay)) / self.decay
            return 1 + (self.rest - 1) * fallen
        if self.form == "step":
            return self.factor ** sum(t >= milestone for milestone in self.milestones)
        return 1.0
