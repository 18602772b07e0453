"""Tests of the training loop around the update."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dlcoder.templates.components.datasets.loader import make_loader
from dlcoder.templates.components.datasets.sampler import ResumableBatchSampler
from dlcoder.templates.components.engine.checkpoint import Checkpointer
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.engine.trainer import Trainer
from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.jsonl import JsonlLog
from dlcoder.templates.components.utils.stop_signal import StopSignal

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


class Numbers(Dataset[tuple[Tensor]]):
    """The numbers below ten, by index or by (epoch, index)."""

    def __getitem__(self, draw: int | tuple[int, int]) -> tuple[Tensor]:
        index = draw[1] if isinstance(draw, tuple) else draw
        return (torch.tensor(float(index)),)


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
    sampler = ResumableBatchSampler(10, 2, seed=0)
    folder.mkdir(exist_ok=True)
    position, stop = Position(), StopSignal()
    return Trainer(
        step=Count(stop, stop_after),
        evaluate=lambda: {"metric_accuracy": 1.0, "loss_total": 0.0},
        metric="accuracy",
        loader=make_loader(
            Numbers(), device=ALONE.device, workers=0, batch_sampler=sampler
        ),
        sampler=sampler,
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
