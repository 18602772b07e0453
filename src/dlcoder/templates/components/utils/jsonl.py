"""A log of one JSON object a line, which survives kills and rewinds."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Log(Protocol):
    """Where the records of a run go."""

    def write(self, record: dict[str, Any]) -> None:
        """Add one record."""

    def read(self) -> list[dict[str, Any]]:
        """Return all records."""

    def rewind(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the records that `keep` does not hold for."""


class JsonlLog:
    """A log file that is complete after every record.

    Args:
        path: The file, added to if it exists.
        enabled: False writes nothing, as on all ranks but the first.
    """

    def __init__(self, path: Path, *, enabled: bool = True) -> None:
        self.path = path
        self.enabled = enabled

    def write(self, record: dict[str, Any]) -> None:
        """Add one record. Numbers that JSON lacks (NaN, infinities) become null."""
        if not self.enabled:
            return
        line = json.dumps({key: _plain(value) for key, value in record.items()})
        # Opened each time: the line is on its way to the disk when this returns.
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all records. A last line that a kill cut short is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def rewind(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the records that `keep` does not hold for."""
        if not self.enabled or not self.path.exists():
            return
        lines = [json.dumps(record) for record in self.read() if keep(record)]
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        partial.replace(self.path)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
