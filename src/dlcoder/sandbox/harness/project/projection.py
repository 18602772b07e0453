"""Gradients reduced to a few numbers that add up as the gradients do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from .trace import whole

DIRECTIONS = 4
LARGEST = 8_000_000


class Projector:
    """Projects onto fixed random directions of +-1, the same in every process: linear, so means can be compared."""

    def __init__(self) -> None:
        self._signs: dict[tuple[int, int], torch.Tensor] = {}

    def project(self, grads: Iterable[tuple[int, Any]]) -> list[float] | None:
        """Project gradients.

        Args:
            grads: Pairs of a parameter's position and its gradient.

        Returns:
            `DIRECTIONS` numbers in float64, or `None` for a model that is too large.
        """
        pairs = list(grads)
        if sum(g.numel() for _, g in pairs) > LARGEST:
            return None
        total = torch.zeros(DIRECTIONS, dtype=torch.float64)
        for position, grad in pairs:
            flat = whole(grad.detach()).to("cpu", torch.float64).reshape(-1)
            total += self._directions(position, flat.numel()) @ flat
        return [float(value) for value in total]

    def _directions(self, position: int, size: int) -> torch.Tensor:
        key = (position, size)
        if key not in self._signs:
            generator = torch.Generator().manual_seed(position)
            signs = torch.randint(0, 2, (DIRECTIONS, size), generator=generator, dtype=torch.int8)
            self._signs[key] = (signs * 2 - 1).to(torch.float64)
        return self._signs[key]
