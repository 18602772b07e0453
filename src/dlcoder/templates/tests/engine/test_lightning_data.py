"""Tests of the windows that Lightning's Trainer is fed with."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from dlcoder.templates.components.engine.lightning_data import TrainData, WindowLoader
from dlcoder.templates.components.engine.position import Position


class Numbers(IterableDataset[tuple[Tensor]]):
    """Pairs of the numbers below ten, in another order in each epoch."""

    place = (0, 0)

    def seek(self, epoch: int, batch: int = 0) -> None:
        self.place = (epoch, batch)

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        epoch, first = self.place
        generator = torch.Generator().manual_seed(epoch)
        order = torch.randperm(10, generator=generator).float()
        return iter([(pair,) for pair in order.split(2)[first:]])


def make(position: Position) -> WindowLoader:
    numbers = Numbers()
    loader = DataLoader(numbers, batch_size=None)
    return WindowLoader(loader, numbers, position, accumulate=2)


def seen(loader: WindowLoader) -> list[list[float]]:
    return [torch.cat([b for (b,) in window]).tolist() for window in loader]


def test_an_epoch_is_every_sample_once_in_windows() -> None:
    loader = make(Position())
    windows = seen(TrainData(loader).train_dataloader())
    assert [len(window) for window in windows] == [4, 4, 2]
    assert len(loader) == 3
    assert sorted(x for window in windows for x in window) == list(range(10))


def test_it_goes_on_where_the_run_is() -> None:
    whole = seen(make(Position(epoch=1)))
    assert whole != seen(make(Position(epoch=0)))
    later = make(Position())
    later.load_state_dict(Position(step=4, epoch=1, batch=2).state_dict())
    assert seen(later) == whole[1:]
    assert later.state_dict()["epoch"] == 1
