"""Tests of what happens around the updates under Lightning."""

import os
import random
import signal
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from dlcoder.templates.components.engine.lightning_callbacks import (
    AtomicFiles,
    EvaluateAndSave,
    ExactResume,
    StoppedError,
)
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.run_state import RunState, Stateful
from dlcoder.templates.components.utils.distributed import World
from dlcoder.templates.components.utils.jsonl import JsonlLog
from dlcoder.templates.components.utils.progress import ProgressLine

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
MODULE = LightningModule()


class Recorder(Trainer):
    """Remembers what it is asked to save."""

    def __init__(self, *, last_batch: bool = False) -> None:
        self.saved: list[str] = []
        self.last_batch = last_batch

    @property
    def is_last_batch(self) -> bool:
        return self.last_batch

    def save_checkpoint(self, filepath: Path, *_: object) -> None:  # type: ignore[override]
        self.saved.append(filepath.name)


def make_saving(folder: Path, metric: float, position: Position) -> EvaluateAndSave:
    callback = EvaluateAndSave(
        folder,
        lambda: {"loss_total": 1.0, "metric_accuracy": metric},
        JsonlLog(folder / "eval.jsonl"),
        ProgressLine(enabled=False),
        position,
        ALONE,
        save_every=2,
        metric="accuracy",
    )
    callback.on_train_start(Recorder(), MODULE)
    return callback


def test_a_checkpoint_brings_back_the_state_and_the_random_states() -> None:
    position = Position(step=3, best=0.5)
    parts: dict[str, Stateful] = {"model": nn.Linear(1, 1), "position": position}
    callback = ExactResume(RunState(parts=parts, settings={}, world=ALONE))
    checkpoint: dict[str, object] = {"epoch": 1}
    callback.on_save_checkpoint(Recorder(), MODULE, checkpoint)
    following = [random.random(), float(torch.rand(()))]
    position.step = 9
    callback.on_load_checkpoint(Recorder(), MODULE, checkpoint)
    callback.on_train_start(Recorder(), MODULE)
    assert [random.random(), float(torch.rand(()))] == following
    assert position == Position(step=3, best=0.5)


def test_only_a_better_epoch_is_the_best(tmp_path: Path) -> None:
    trainer, position = Recorder(), Position()
    make_saving(tmp_path, 0.5, position).on_train_epoch_end(trainer, MODULE)
    assert trainer.saved == ["best.pt", "last.pt"]
    make_saving(tmp_path, 0.5, position).on_train_epoch_end(trainer, MODULE)
    assert trainer.saved == ["best.pt", "last.pt", "last.pt"]
    assert [r["epoch"] for r in JsonlLog(tmp_path / "eval.jsonl").read()] == [0, 1]


def test_every_few_steps_are_saved_but_never_the_last_of_an_epoch(
    tmp_path: Path,
) -> None:
    trainer, position = Recorder(), Position()
    callback = make_saving(tmp_path, 0.5, position)
    for position.step in range(1, 6):
        trainer.last_batch = position.step == 4
        callback.on_train_batch_end(trainer, MODULE, None, None, 0)
    assert trainer.saved == ["last.pt"]


def test_sigterm_saves_and_ends_the_run(tmp_path: Path) -> None:
    trainer = Recorder()
    callback = make_saving(tmp_path, 0.5, Position(step=1))
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StoppedError):
        callback.on_train_batch_end(trainer, MODULE, None, None, 0)
    assert trainer.saved == ["last.pt"]


def test_a_checkpoint_is_written_whole_and_is_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints/last.pt"
    AtomicFiles().save_checkpoint({"step": 1}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]
