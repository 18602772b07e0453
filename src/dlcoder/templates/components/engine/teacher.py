"""The teacher of a student: an average of its weights, with what keeps both apart.

    weights     <- m weights + (1 - m) student,     m from m_0 to 1, by a cosine
    m_0          = min(`momentum`, 1 - 20 / total updates)
    temperature    from `cold` to `warm`, in a line over the first part of the updates
    center      <- a moving mean of the outputs, over all ranks

A teacher is about 1 / (1 - m) updates behind. In a short run m_0 is lower, for that to
be a twentieth of the run at most: it would stay near its random start to the end.

Without the center and the low temperature, every image would soon get one answer. All
three belong to the state of a run.

Buffers are the teacher's own: it is in training mode, so batch norm sees the batch, and
what it learns of the data serves the evaluation alone.

Paper: Caron et al., 2021, https://arxiv.org/abs/2104.14294
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from dlcoder.templates.components.engine.ema import Ema
from dlcoder.templates.components.losses.dino import DINOLoss


class Teacher(Ema):
    """The averaged copy of a student that its outputs are compared with.

    Args:
        model: The student, not wrapped for data parallelism, on its device.
        prototypes: K, the number of outputs.
        total_updates: Optimizer updates in the whole run.
        momentum: How slowly the weights follow at first, in [0, 1), in a run that is
            long enough.
        cold: The first temperature.
        warm: The last one.
        warmup: The part of all updates in which the temperature rises.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        prototypes: int,
        total_updates: int,
        momentum: float = 0.996,
        cold: float = 0.04,
        warm: float = 0.07,
        warmup: float = 0.3,
    ) -> None:
        self.total = max(1, total_updates)
        super().__init__(model, decay=max(0.0, min(momentum, 1 - 20 / self.total)))
        self.module.train()
        self.cold = cold
        self.warm = warm
        self.warmup = max(1, round(warmup * total_updates))
        device = next(model.parameters()).device
        self.loss = DINOLoss(prototypes).to(device)

    @property
    def momentum(self) -> float:
        """How slowly the weights follow the next update."""
        t = min(1.0, self.updates / self.total)
        return 1 - (1 - self.decay) * (1 + math.cos(math.pi * t)) / 2

    @property
    def temperature(self) -> float:
        """What the outputs are divided by."""
        t = min(1.0, self.updates / self.warmup)
        return self.cold + t * (self.warm - self.cold)

    def compare(self, student: Tensor, views: list[Tensor]) -> Tensor:
        """Return the scalar loss of a student, and move the center.

        Args:
            student: Its outputs of all views, global ones first, (V, B, K).
            views: The global views, G x (B, 3, S, S).
        """
        with torch.no_grad():
            teacher = self.module(views)
        loss: Tensor = self.loss(student, teacher, self.temperature)
        return loss

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow the student. To be called after each optimizer step."""
        follow = 1 - self.momentum
        students = model.parameters()
        for own, student in zip(self.module.parameters(), students, strict=True):
            own.lerp_(student, follow)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, the number of updates, and the center."""
        return {**super().state_dict(), "center": self.loss.center}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        super().load_state_dict(state)
        self.loss.center.copy_(state["center"])
