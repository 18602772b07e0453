"""The training loop: epochs of windows, each one logged and at times saved."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor
from torch.utils.data import DataLoader

from dlcoder.templates.components.datasets.loader import windows
from dlcoder.templates.components.engine.checkpoint import Checkpointer
from dlcoder.templates.components.engine.objective import Batch
from dlcoder.templates.components.engine.position import BatchOrder, Position
from dlcoder.templates.components.engine.schedule import WarmupSchedule
from dlcoder.templates.components.utils.distributed import World, on_any_rank
from dlcoder.templates.components.utils.jsonl import Log
from dlcoder.templates.components.utils.memory import peak_memory_mb
from dlcoder.templates.components.utils.profiler import StepProfiler
from dlcoder.templates.components.utils.progress import ProgressLine
from dlcoder.templates.components.utils.stop_signal import StopSignal


class Step(Protocol):
    """An update of the model, called once for each window."""

    @property
    def schedule(self) -> WarmupSchedule:
        """Sets the learning rate."""

    def __call__(self, window: Sequence[Batch], /) -> dict[str, float]:
        """Update the weights once; return `loss_*`, `metric_*` and `grad_norm`."""


@dataclass(kw_only=True)
class Trainer:
    """A run, from its present position to its last epoch.

    Attributes:
        step: Updates the model from one window.
        evaluate: Returns `loss_*` and `metric_*` over the validation set.
        loader: Yields the micro-batches that `sampler` chooses.
        sampler: The order of the batches, from any position.
        position: How far the run is.
        checkpointer: Saves everything that has a state.
        log: One record for each step.
        eval_log: One record for each evaluation.
        stop: Whether somebody wants the run to end.
        world: This process's place among all.
        epochs: Epochs in the whole run.
        accumulate: Micro-batches in a window.
        save_every: Steps between checkpoints within an epoch.
        metric: The metric that the best checkpoint is chosen by.
        lower_is_better: Whether the metric is an error.
        progress: Shows a person how it goes.
        profiler: Finds out where the time of some steps goes.
    """

    step: Step
    evaluate: Callable[[], dict[str, float]]
    loader: DataLoader[tuple[Tensor, ...]]
    sampler: BatchOrder
    position: Position
    checkpointer: Checkpointer
    log: Log
    eval_log: Log
    stop: StopSignal
    world: World
    epochs: int
    accumulate: int
    save_every: int
    metric: str
    lower_is_better: bool = False
    progress: ProgressLine = field(default_factory=ProgressLine)
    profiler: StepProfiler = field(default_factory=lambda: StepProfiler(Path()))

    def fit(self) -> bool:
        """Train to the end; False if a signal ended the run before, after saving."""
        # What a killed run logged beyond its last checkpoint happens again now.
        self.log.rewind(lambda record: record["step"] <= self.position.step)
        self.eval_log.rewind(lambda record: record["epoch"] < self.position.epoch)
        with self.profiler:
            while self.position.epoch < self.epochs:
                if not self._train_epoch():
                    return False
                self._finish_epoch()
        return True

    def _train_epoch(self) -> bool:
        position = self.position
        self.sampler.seek(position.epoch, position.batch)
        started = time.perf_counter()
        for window in windows(self.loader, self.accumulate):
            time_data = time.perf_counter() - started
            lr = self.step.schedule.lr
            record = {**self.step(window), "lr": lr}
            position.step += 1
            position.batch += len(window)
            time_iter = time.perf_counter() - started
            self._log_step(record, time_data, time_iter)
            self.profiler.step()
            if on_any_rank(self.stop.requested, self.world):
                self.checkpointer.save("last.pt")
                return False
            if position.step % self.save_every == 0:
                self.checkpointer.save("last.pt")
            started = time.perf_counter()
        return True

    def _log_step(
        self, record: dict[str, float], time_data: float, time_iter: float
    ) -> None:
        record = {
            "step": self.position.step,
            "epoch": self.position.epoch,
            **record,
            "time_data": round(time_data, 6),
            "time_iter": round(time_iter, 6),
            "max_mem": peak_memory_mb(self.world.device),
        }
        self.log.write(record)
        self.progress.show(record)

    def _finish_epoch(self) -> None:
        position = self.position
        metrics = self.evaluate()
        record = {"step": position.step, "epoch": position.epoch, **metrics}
        self.eval_log.write(record)
        self.progress.finish(record)
        value = metrics[f"metric_{self.metric}"]
        improved = position.finish_epoch(-value if self.lower_is_better else value)
        self.checkpointer.save(*(["best.pt"] if improved else []), "last.pt")
