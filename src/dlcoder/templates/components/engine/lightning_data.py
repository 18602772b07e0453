"""Windows of micro-batches, from any position in a run, for Lightning's Trainer."""

import math
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from dlcoder.templates.components.datasets.loader import windows
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.position import BatchOrder, Position


class WindowLoader:
    """An epoch's windows, from where the run is.

    Args:
        loader: Yields the micro-batches that `sampler` chooses.
        sampler: The order of the batches, from any position.
        position: How far the run is.
        accumulate: Micro-batches in a window.
    """

    def __init__(
        self,
        loader: DataLoader[Batch],
        sampler: BatchOrder,
        position: Position,
        *,
        accumulate: int,
    ) -> None:
        self.loader = loader
        self.sampler = sampler
        self.position = position
        self.accumulate = accumulate

    def __len__(self) -> int:
        return math.ceil(len(self.sampler) / self.accumulate)

    def __iter__(self) -> Iterator[list[Batch]]:
        self.sampler.seek(self.position.epoch, self.position.batch)
        yield from windows(self.loader, self.accumulate)

    # By these two, Lightning knows that the loader can go on within an epoch.

    def state_dict(self) -> dict[str, Any]:
        """Return the position."""
        return self.position.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position."""
        self.position.load_state_dict(state)


class TrainData(LightningDataModule):
    """The training data of a run.

    Args:
        windows: This rank's windows.
    """

    def __init__(self, windows: WindowLoader) -> None:
        super().__init__()
        self.windows = windows

    def train_dataloader(self) -> WindowLoader:
        """Return this rank's windows."""
        return self.windows
