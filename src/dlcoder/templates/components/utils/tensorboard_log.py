"""A log that TensorBoard shows as curves, while the run goes on.

The records stay where they are: this passes them on, and draws their numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcoder.templates.components.utils.jsonl import Log

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise ImportError("Curves need TensorBoard: pip install tensorboard") from error


class TensorBoardLog:
    """A log whose records TensorBoard shows.

    Args:
        records: The log that keeps them.
        folder: Where TensorBoard's files go: a folder for each kind of record, and
            `tensorboard --logdir` of the folder above shows their curves in one plot.
    """

    def __init__(self, records: Log, folder: Path) -> None:
        self.records = records
        self.folder = folder
        self.writer: SummaryWriter | None = None

    def write(self, record: dict[str, Any]) -> None:
        """Add one record: a point of the curve of each of its numbers, at its step."""
        self.records.write(record)
        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder))
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float):
                self.writer.add_scalar(name, value, record["step"])
        # A kill must not take what is already in the other log.
        self.writer.flush()

    def read(self) -> list[dict[str, Any]]:
        """Return all records."""
        return self.records.read()

    def rewind(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the records that `keep` does not hold for; TensorBoard hides them."""
        self.records.rewind(keep)
        if not self.folder.exists():
            return
        kept = max((record["step"] for record in self.read()), default=-1)
        if self.writer is not None:
            self.writer.close()
        self.writer = SummaryWriter(str(self.folder), purge_step=kept + 1)
