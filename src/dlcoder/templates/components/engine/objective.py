"""What a run minimizes, and what ends it when that is no number any more."""

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, ...]


class Objective(Protocol):
    """What is minimized."""

    def count(self, batch: Batch, /) -> int:
        """The number of samples that count in a batch, which may be 0."""

    def __call__(self, model: nn.Module, batch: Batch, /) -> dict[str, Tensor]:
        """Return sums over samples: `loss_*` to minimize, `metric_*` to watch."""


class NonFiniteError(RuntimeError):
    """The loss or the gradient is not finite. The weights are still those before."""


def with_total(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put `loss_total`, the sum of all `loss_*`, before what an objective returned."""
    losses = [value for name, value in sums.items() if name.startswith("loss_")]
    return {"loss_total": torch.stack(losses).sum(), **sums}


def refuse_non_finite(record: Mapping[str, float], names: Iterable[str]) -> None:
    """Raise unless these values, the same on all ranks, are finite.

    Raises:
        NonFiniteError: One is not.
    """
    for name in names:
        if not math.isfinite(record[name]):
            raise NonFiniteError(
                f"{name} is {record[name]}; the update was not made. Lower the "
                "learning rate, lengthen its warm-up, or look at the samples."
            )
