"""How far a run is: what comes next, and the best so far."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class BatchOrder(Protocol):
    """Which batches an epoch has, in which order."""

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Let the next iteration begin at `batch` of `epoch`."""

    def __len__(self) -> int:
        """The batches of a whole epoch."""


@dataclass
class Position:
    """A place in a run.

    Attributes:
        step: Windows done in the whole run.
        epoch: The present epoch, from 0.
        batch: Micro-batches done in it, on each rank.
        best: The best value of the metric that checkpoints are chosen by.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None

    def finish_epoch(self, value: float) -> bool:
        """Go on to the next epoch; True if `value`, the metric, is the best so far.

        Any number is better than NaN, which no number would be greater than.
        """
        improved = self.best is None or math.isnan(self.best) or value > self.best
        if improved:
            self.best = value
        self.epoch += 1
        self.batch = 0
        return improved

    def state_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of `state_dict`."""
        self.__dict__.update(state)
