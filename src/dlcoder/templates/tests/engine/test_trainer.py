"""Tests of the training loop around the update."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from dlcoder.templates.components.engine.checkpoint import Checkpointer
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.engine.trainer import Trainer
from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.jsonl import JsonlLog
from dlcoder.templates.components.utils.stop_signal import StopSignal

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


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


class Count:
    """A step that only counts samples, and asks for a stop after some steps."""

    def __init__(self, stop: StopSignal, stop_after: int) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        self.schedule = WarmupSchedule(
            optimizer, peak=0.1, total_updates=9, warmup_updates=0
        )
        self.stop = stop
        self.stop_after = stop_after
        self.steps = 0

    def __call__(self, window: Sequence[tuple[Tensor, ...]]) -> dict[str, float]:
        self.steps += 1
        self.stop.requested = self.steps == self.stop_after
        seen = sum(float(samples.sum()) for (samples,) in window)
        return {"loss_total": seen, "grad_norm": 0.0}


def make(folder: Path, *, stop_after: int = 0) -> Trainer:
    numbers = Numbers()
    folder.mkdir(exist_ok=True)
    position, stop = Position(), StopSignal()
    return Trainer(
        step=Count(stop, stop_after),
        evaluate=lambda: {"metric_accuracy": 1.0, "loss_total": 0.0},
        metric="accuracy",
        loader=DataLoader(numbers, batch_size=None),
        sampler=numbers,
        position=position,
        checkpointer=Checkpointer(
            folder, parts={"position": position}, settings={}, world=ALONE
        ),
        log=JsonlLog(folder / "metrics.jsonl"),
        eval_log=JsonlLog(folder / "eval.jsonl"),
        stop=stop,
        world=ALONE,
        epochs=2,
        accumulate=2,
        save_every=100,
    )


def losses(folder: Path) -> list[tuple[int, int, float]]:
    records = JsonlLog(folder / "metrics.jsonl").read()
    return [(r["step"], r["epoch"], r["loss_total"]) for r in records]


def test_every_epoch_sees_every_batch_and_is_evaluated(tmp_path: Path) -> None:
    assert make(tmp_path).fit()
    steps = losses(tmp_path)
    assert [(step, epoch) for step, epoch, _ in steps] == [
        *((1, 0), (2, 0), (3, 0)),
        *((4, 1), (5, 1), (6, 1)),
    ]
    assert sum(loss for _, epoch, loss in steps if epoch == 0) == 45.0
    assert [r["epoch"] for r in JsonlLog(tmp_path / "eval.jsonl").read()] == [0, 1]
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert best["parts"]["position"]["epoch"] == 1


def test_a_stop_within_an_epoch_saves_and_goes_on_exactly(tmp_path: Path) -> None:
    make(tmp_path / "whole").fit()
    assert not make(tmp_path / "cut", stop_after=2).fit()
    again = make(tmp_path / "cut")
    assert again.checkpointer.restore("last.pt")
    assert again.fit()
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
