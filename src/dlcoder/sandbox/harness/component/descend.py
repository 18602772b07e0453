"""Adam in a few lines: torch.optim imports the compiler, which takes seconds in a cold process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

import torch
from torch import Tensor

from . import judge


def adam(loss: Callable[[], Tensor], parameters: Sequence[Tensor], rate: float, steps: int) -> list[float]:
    """Minimize in place; returns the loss at every step."""
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    values = []
    for step in range(1, steps + 1):
        value = loss()
        values.append(judge.number(value))
        gradients = judge.gradients(value, parameters)
        with torch.no_grad():
            for p, g, m, v in zip(parameters, gradients, first, second):
                if g is None:
                    continue
                m.mul_(0.9).add_(g, alpha=0.1)
                v.mul_(0.99).addcmul_(g, g, value=0.01)
                p.sub_(rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8))
    return values
