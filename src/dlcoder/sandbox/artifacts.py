"""What runs printed and reported, in full, for whoever can follow a link to it: kept as long as this process lives."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from dlcoder.errors import UserError
from dlcoder.sandbox import scratch
from dlcoder.text import clean

if TYPE_CHECKING:
    from dlcoder.sandbox.jobs import Frame, Outcome

ADDRESS = "dlcoder://runs/"
KINDS = {
    "output.log": "text/plain",
    "frames.jsonl": "application/x-ndjson",
    "report.html": "text/html",
    "charts.svg": "image/svg+xml",
}
"""The files of a run and their MIME types."""
KEPT = 50
"""Runs; the oldest goes first."""
LARGEST = 4 << 20
"""Bytes of one file; of a longer output, its beginning and its end are kept."""

_PROGRESS = {"running", "progress", "fraction", "done"}
_runs: dict[str, Path] = {}
_wanted: ContextVar[bool] = ContextVar("dlcoder_runs_wanted", default=False)


@contextmanager
def kept() -> Iterator[None]:
    """Keep what is run within: a server's client can read it, while a command has ended before anybody could."""
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def keep(outcome: "Outcome") -> list[str]:
    """Keep what a run printed and reported.

    Returns:
        The addresses of its files, of those that hold anything; none outside `kept`.
    """
    if not _wanted.get():
        return []
    texts = {"output.log": _printed(outcome.output_path), "frames.jsonl": _reported(outcome.frames)}
    return keep_files({name: text for name, text in texts.items() if text.strip()})


def keep_files(texts: Mapping[str, str]) -> list[str]:
    """Keep files, whose names are those of `KINDS`.

    Returns:
        Their addresses; none outside `kept`.
    """
    if not texts or not _wanted.get():
        return []
    run = secrets.token_urlsafe(12)
    folder = _home() / run
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
    _runs[run] = folder
    while len(_runs) > KEPT:
        scratch.remove(_runs.pop(next(iter(_runs))))
    return [f"{ADDRESS}{run}/{name}" for name in texts]


def read(run: str, name: str) -> tuple[str, str]:
    """The text of a run's file and its MIME type.

    Raises:
        UserError: There is none, or none any more.
    """
    try:
        # Both are keys, so no text of a caller becomes part of a path.
        return (_runs[run] / name).read_text(encoding="utf-8"), KINDS[name]
    except (KeyError, OSError):
        raise UserError(
            "There is no such file of a run.",
            f"The last {KEPT} runs of a server are kept while it lives: run it again.",
        ) from None


def _home() -> Path:
    folder = scratch.shared("artifacts")
    folder.chmod(0o700)
    return folder


def _printed(path: Path) -> str:
    left_out = path.stat().st_size - LARGEST
    with path.open("rb") as file:
        raw = file.read(LARGEST if left_out <= 0 else LARGEST // 2)
        if left_out > 0:
            file.seek(left_out, 1)
            raw += f"\n[dlcoder: {left_out} bytes left out]\n".encode() + file.read(LARGEST // 2)
    # What a progress bar writes over itself becomes lines.
    return clean(raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))


def _reported(frames: "list[Frame]") -> str:
    """One line per frame that says more than how far the run was, as many whole lines as there is room for."""
    lines: list[str] = []
    room = LARGEST
    for frame in frames:
        if frame.keys() <= _PROGRESS:
            continue
        line = clean(json.dumps(frame, ensure_ascii=False)) + "\n"
        room -= len(line.encode("utf-8", "replace"))
        if room < 0:
            break
        lines.append(line)
    return "".join(lines)
