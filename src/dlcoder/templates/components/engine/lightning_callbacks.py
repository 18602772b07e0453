"""What happens around the updates of a run under Lightning: logs, saving, stopping."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from dlcoder.templates.components.engine.lightning_module import TrainModule
from dlcoder.templates.components.engine.position import Position
from dlcoder.templates.components.engine.run_state import RunState, write_atomically
from dlcoder.templates.components.utils.distributed import World, on_any_rank
from dlcoder.templates.components.utils.jsonl import Log
from dlcoder.templates.components.utils.memory import peak_memory_mb
from dlcoder.templates.components.utils.progress import ProgressLine
from dlcoder.templates.components.utils.stop_signal import StopSignal


class StoppedError(Exception):
    """SIGTERM has ended the run. Everything is saved."""


class ExactResume(Callback):
    """Puts the state of the run into Lightning's checkpoints, and takes it from there.

    To be the first of all callbacks: the others rely on the position.

    Args:
        state: What Lightning itself does not save, random states of all ranks included.
    """

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.resumed: Mapping[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the state. Lightning calls this on all ranks."""
        checkpoint.update(self.state.collect())

    def on_load_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the state until everything else is in its place.

        Raises:
            ValueError: It belongs to other settings or another number of ranks.
        """
        self.state.refuse_other_run(checkpoint)
        self.resumed = checkpoint

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Go on from the state, if there is one."""
        if self.resumed is not None:
            self.state.restore(self.resumed)
            self.resumed = None


class LogSteps(Callback):
    """Writes one record for each step, and shows it.

    Args:
        records: The log, one record for each step.
        progress: Shows a person how it goes.
        position: How far the run is.
        world: This process's place among all.
    """

    def __init__(
        self,
        records: Log,
        progress: ProgressLine,
        position: Position,
        world: World,
    ) -> None:
        self.records = records
        self.progress = progress
        self.position = position
        self.world = world
        self.started = time.perf_counter()
        self.time_data = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Drop what was logged beyond the checkpoint: it happens again."""
        self.records.rewind(lambda record: record["step"] <= self.position.step)
        self.started = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Count no evaluation as waiting for data."""
        self.started = time.perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, window: Any, index: int
    ) -> None:
        """Take the time that the data took."""
        self.time_data = time.perf_counter() - self.started

    def on_train_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        window: Any,
        index: int,
    ) -> None:
        """Write the record that the module left."""
        assert isinstance(module, TrainModule)
        record = {
            "step": self.position.step,
            "epoch": self.position.epoch,
            **module.record,
            "time_data": round(self.time_data, 6),
            "time_iter": round(time.perf_counter() - self.started, 6),
            "max_mem": peak_memory_mb(self.world.device),
        }
        self.records.write(record)
        self.progress.show(record)
        self.started = time.perf_counter()


class EvaluateAndSave(Callback):
    """Evaluates after each epoch; saves then, at times in between, and on SIGTERM.

    To be the last of all callbacks: what the others do is saved.

    Args:
        folder: Where checkpoints go: `last.pt` to go on from, `best.pt` to use.
        evaluate: Returns `loss_*` and `metric_*` over the validation set.
        records: One record for each evaluation.
        progress: Shows a person how it goes.
        position: How far the run is.
        world: This process's place among all.
        save_every: Steps between checkpoints within an epoch.
        metric: The metric that the best checkpoint is chosen by.
        lower_is_better: Whether the metric is an error.
    """

    def __init__(
        self,
        folder: Path,
        evaluate: Callable[[], dict[str, float]],
        records: Log,
        progress: ProgressLine,
        position: Position,
        world: World,
        *,
        save_every: int,
        metric: str,
        lower_is_better: bool = False,
    ) -> None:
        self.folder = folder
        self.evaluate = evaluate
        self.records = records
        self.progress = progress
        self.position = position
        self.world = world
        self.save_every = save_every
        self.metric = metric
        self.lower_is_better = lower_is_better
        self.stop: StopSignal | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Prepare to be stopped.

        Now, and not before: Lightning's own handler of SIGTERM, which this replaces,
        talks to other ranks whatever they are doing.
        """
        self.stop = StopSignal()
        self.records.rewind(lambda record: record["epoch"] < self.position.epoch)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        window: Any,
        index: int,
    ) -> None:
        """Save if it is time to, or if somebody wants the run to end.

        Raises:
            StoppedError: Somebody does.
        """
        if trainer.is_last_batch:
            # The epoch's end saves. Restarted from here, Lightning would skip it.
            return
        stopped = self._stopped()
        if stopped or self.position.step % self.save_every == 0:
            trainer.save_checkpoint(self.folder / "last.pt")
        if stopped:
            raise StoppedError

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Evaluate and save.

        Raises:
            StoppedError: Somebody wants the run to end.
        """
        metrics = self.evaluate()
        position = self.position
        record = {"step": position.step, "epoch": position.epoch, **metrics}
        self.records.write(record)
        self.progress.finish(record)
        value = metrics[f"metric_{self.metric}"]
        if position.finish_epoch(-value if self.lower_is_better else value):
            trainer.save_checkpoint(self.folder / "best.pt")
        trainer.save_checkpoint(self.folder / "last.pt")
        if self._stopped():
            raise StoppedError

    def _stopped(self) -> bool:
        assert self.stop is not None
        return on_any_rank(self.stop.requested, self.world)


class AtomicFiles(TorchCheckpointIO):
    """Writes checkpoints so that a kill leaves the old file or the new one."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint. Lightning calls this on rank 0."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(path), checkpoint)
