"""Tells whether two runs show the same, and ends a run at the first event that an earlier one does not have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .observe import Observer
from .runs import Event, Result
from .trace import Trace

_OBSERVED = {
    "optimizer",
    "scheduler",
    "loader",
    "fwd",
    "bwd",
    "clip",
    "step",
    "group",
    "ddp",
    "save",
    "load",
    "coll",
    "write",
    "error",
    "end",
    "average",
    "set_epoch",
    "iter",
    "iter_end",
}
_NAMED = re.compile(r"\d+|(?<=tmp)\w+|[0-9a-f]{8,}")
_INCIDENTAL = ("site", "m", "tensors", "tensor_bytes", "bulk_s")
"""Fields that say where and how large, not what."""


class Likeness:
    """Ends a process that follows an earlier run as soon as it does something else.

    Args:
        path: What `write_expected` wrote of the earlier run.
        observer: Of the process that is to end.
    """

    def __init__(self, path: str, observer: Observer) -> None:
        self.o = observer
        self.expected = iter(Path(path).read_text().splitlines())
        observer.trace.written = self.compare

    def compare(self, trace: Trace, line: str) -> None:
        """Take one event, as it was written."""
        event = json.loads(line)
        if event["e"] in _OBSERVED and _shown(event, trace.root.rstrip("/")) != next(self.expected, ""):
            trace.written = None
            self.o.stop("differs")


def write_expected(result: Result, path: Path) -> None:
    """Keep what a run of one process showed, for later ones to be compared with as they go."""
    events = result.ranks[0] if result.ranks else []
    path.write_text("".join(_shown(e, str(result.root)) + "\n" for e in events if e["e"] in _OBSERVED))


def signature(result: Result) -> tuple[str, str]:
    """All that a run shows, without times: what it does, and what it prints and writes."""
    root = str(result.root)
    kept = [[_shown(e, root) for e in events if e["e"] in _OBSERVED] for events in result.ranks]
    lines = [re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", line) for line in result.output.replace(root, "").splitlines()]
    written = [_file_size(result, e["path"]) for e in result.events("write")]
    return json.dumps([kept, result.codes]).replace(root, ""), json.dumps([lines, written]).replace(root, "")


def is_alike(result: Result, events: str, prints: str | None) -> bool:
    """Whether a run that was compared as it went showed all of the run whose signature is given, and no more.

    Args:
        result: The run.
        events: What the other one did.
        prints: What it printed and wrote; `None` if that does not matter.
    """
    if any(e["reason"] == "differs" for e in result.events("stop")):
        return False
    own = signature(result)
    return own[0] == events and prints in (None, own[1])


def _shown(event: Event, root: str) -> str:
    """What one event says about the program, wherever its copy lies."""
    shown = {k: v for k, v in event.items() if k not in _INCIDENTAL}
    if event["e"] in ("write", "save", "load"):
        # File names may hold the time, a process's number or a random word.
        shown = {k: _NAMED.sub("#", v.replace(root, "")) if k == "path" else v for k, v in shown.items()}
    return json.dumps(shown).replace(root, "")


def _file_size(result: Result, path: str) -> Any:
    """A text file's number of lines and fields, which an option may change."""
    file = result.root / path
    if file.suffix not in (".jsonl", ".csv", ".txt", ".log", ".json") or not file.is_file():
        return path
    return [path, [re.sub(r"\d+(\.\d+)?", "#", line) for line in file.read_text("utf-8", "replace").splitlines()[:200]]]
