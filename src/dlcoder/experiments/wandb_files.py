"""The file that Weights & Biases writes offline (`run-ID.wandb`), read without its library.

A log of LevelDB's format (blocks of 32 KiB, records in one or several pieces) whose records are protocol buffers: an
offline run leaves nothing else, neither its configuration nor a summary.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcoder.experiments.protobuf import fields

_HEAD = 7
_BLOCK = 1 << 15
_LAST_PIECE = {1, 4}
_FIRST_PIECE = {1, 2}
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18


@dataclass
class WandbRun:
    """What the file tells of a run.

    Attributes:
        history: One record for each step that was logged.
        config: Settings by dotted name.
        summary: Last values.
        name: As shown.
        exit_code: Of the program; None where it never came to its end.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    exit_code: int | None = None


def read_wandb(path: Path) -> WandbRun:
    """Read a run; what follows a piece that was cut off is left out."""
    run = WandbRun()
    for record in _records(path.read_bytes()):
        for number, wire, value in fields(record):
            if wire == 2:
                _take(run, number, value)
    return run


def _take(run: WandbRun, number: int, message: bytes) -> None:
    if number == _HISTORY:
        run.history.append(_history(message))
    elif number == _CONFIG:
        run.config |= _items(message)
    elif number == _SUMMARY:
        run.summary |= _items(message)
    elif number == _EXIT:
        run.exit_code = next((value for f, w, value in fields(message) if (f, w) == (1, 0)), 0)
    elif number == _RUN:
        for f, wire, value in fields(message):
            if (f, wire) == (4, 2):
                run.config |= _items(value)
            elif (f, wire) == (8, 2):
                run.name = value.decode("utf-8", "replace")


def _records(data: bytes) -> Iterator[bytes]:
    place, pieces = _HEAD, b""
    while place + _HEAD <= len(data):
        room = _BLOCK - place % _BLOCK
        if room < _HEAD:
            place += room
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        end = place + _HEAD + length
        if kind not in (1, 2, 3, 4) or end > len(data):
            return
        pieces = data[place + _HEAD : end] if kind in _FIRST_PIECE else pieces + data[place + _HEAD : end]
        if kind in _LAST_PIECE:
            yield pieces
        place = end


def _history(message: bytes) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for number, wire, value in fields(message):
        if (number, wire) == (1, 2):
            row |= _item(value)
        elif (number, wire) == (2, 2):
            row["_step"] = next((step for f, w, step in fields(value) if (f, w) == (1, 0)), 0)
    return row


def _items(message: bytes) -> dict[str, Any]:
    """The updates of a configuration or a summary."""
    found: dict[str, Any] = {}
    for number, wire, value in fields(message):
        if (number, wire) == (1, 2):
            found |= _item(value)
    return found


def _item(message: bytes) -> dict[str, Any]:
    """A name and its value; nested names are joined by dots."""
    names: list[str] = []
    found: Any = None
    for number, wire, value in fields(message):
        if number in (1, 2) and wire == 2:
            names.append(value.decode("utf-8", "replace"))
        elif number in (8, 16) and wire == 2:
            found = _json(value)
        else:
            found = _typed(number, wire, value, found)
    return {".".join(filter(None, names)): found}


def _typed(number: int, wire: int, value: Any, found: Any) -> Any:
    if (number, wire) == (4, 0):
        return bool(value)
    if (number, wire) == (5, 0):
        return (value >> 1) ^ -(value & 1)  # negative numbers are folded between the positive ones
    if (number, wire) == (6, 1):
        return struct.unpack("<d", value)[0]
    if (number, wire) == (7, 2):
        return value.decode("utf-8", "replace")
    return found


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
