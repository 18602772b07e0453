"""A log that Weights & Biases shows as curves, while the run goes on or later.

The records stay where they are: this passes them on, and sends their numbers.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from dlcoder.templates.components.utils.jsonl import Log

try:
    import wandb
except ImportError as error:
    raise ImportError("Weights & Biases is needed: pip install wandb") from error

Mode = Literal["online", "offline", "disabled"]


class WandbLog:
    """A log whose records Weights & Biases shows.

    Args:
        records: The log that keeps them.
        run: The run that they belong to, of `start_run`.
        prefix: What its curves are grouped under, such as `train`.
    """

    def __init__(self, records: Log, run: wandb.Run, prefix: str) -> None:
        self.records = records
        self.run = run
        self.prefix = prefix
        # Their own step, which counts calls, would put the curves of a resumed run
        # elsewhere. With this one, what is sent again falls on what was there.
        run.define_metric("step", hidden=True)
        run.define_metric(f"{prefix}/*", step_metric="step")

    def write(self, record: dict[str, Any]) -> None:
        """Add one record: a point of the curve of each of its numbers, at its step."""
        self.records.write(record)
        points = {
            f"{self.prefix}/{name}": value
            for name, value in record.items()
            if name != "step" and isinstance(value, int | float)
        }
        self.run.log({"step": record["step"], **points})

    def read(self) -> list[dict[str, Any]]:
        """Return all records."""
        return self.records.read()

    def rewind(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the records that `keep` does not hold for. What was sent stays."""
        self.records.rewind(keep)


def start_run(
    folder: Path, *, project: str, settings: Mapping[str, Any], mode: Mode
) -> wandb.Run:
    """Start a run of Weights & Biases, or go on with it: one for each folder.

    Args:
        folder: The run's folder, after which it is called.
        project: The project that it appears in.
        settings: What tells it from others.
        mode: Whether records are sent at once, or kept for `wandb sync`, or neither.
    """
    # Their characters are fewer than those of a file system.
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name)
    return wandb.init(
        project=project,
        name=name,
        id=name,
        resume="allow",
        dir=folder,
        config=dict(settings),
        mode=mode,
        # The console is not ours to take, and everything else is in the folder.
        settings=wandb.Settings(console="off", silent=True),
    )
