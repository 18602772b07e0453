"""Tests of the windows that Lightning's Trainer is fed with."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.loader import make_loader
from dlcoder.templates.components.datasets.sampler import ResumableBatchSampler
from dlcoder.templates.components.engine.lightning_data import TrainData, WindowLoader
from dlcoder.templates.components.engine.position import Position


class Numbers(Dataset[tuple[Tensor]]):
    """The numbers below ten, by index or by (epoch, index)."""

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor]:
        index = draw[1] if isinstance(draw, tuple) else draw
        return (torch.tensor(float(index)),)


def make(position: Position) -> WindowLoader:
    sampler = ResumableBatchSampler(10, 2, seed=0)
    loader = make_loader(
        Numbers(), device=torch.device("cpu"), workers=0, batch_sampler=sampler
    )
    return WindowLoader(loader, sampler, position, accumulate=2)


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
