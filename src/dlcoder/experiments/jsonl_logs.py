"""JSONL logs, one record a line: millions of lines in seconds, by a compiled parser that skips what is not wanted."""

import json
import math
import re
from collections.abc import Iterator
from itertools import compress
from operator import attrgetter
from pathlib import Path
from typing import Any

from dlcoder.experiments.columns import STEP_NAMES, Columns, columns_of
from dlcoder.experiments.runs import flatten

_SHORT = 200_000
"""Bytes; below, nothing is gained by leaving names out."""
# What Python writes for floats that JSON has no word for.
_NOT_FINITE = re.compile(rb"(?<=[:,\[\s])(?:NaN|-?Infinity)(?=\s*[,}\]])")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file; lines that are none, as a cut-off last one, are left out."""
    return list(records(path.read_bytes()))


def jsonl_names(path: Path) -> set[str]:
    """The names that the records of a file carry, nested ones with dots."""
    shapes = {
        tuple(row) if not any(type(v) is dict for v in row.values()) else tuple(flatten(row))
        for row in read_jsonl(path)
    }
    return {str(name) for shape in shapes for name in shape}


def records(data: bytes) -> Iterator[dict[str, Any]]:
    """The records among the lines of `data`."""
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def jsonl_columns(path: Path, wanted: frozenset[str] | None) -> Columns:
    """The quantities of a JSONL log; of a long one only the wanted names.

    Args:
        path: The log.
        wanted: Names to read, those of steps among them; None for all.
    """
    data = path.read_bytes()
    if wanted is None or len(data) <= _SHORT:
        return columns_of(records(data))
    found = _scan(data, wanted)
    return columns_of(records(data), wanted) if found is None else found


def _scan(data: bytes, wanted: frozenset[str]) -> Columns | None:
    """The wanted quantities of flat records of numbers; None where the records are not that plain."""
    import msgspec

    if not data.endswith(b"\n"):
        data = data[: data.rfind(b"\n") + 1]
    chosen = [name for name in STEP_NAMES if name in wanted] + sorted(wanted.difference(STEP_NAMES))
    kind = float | None | msgspec.UnsetType
    names = {f"field{index}": name for index, name in enumerate(chosen)}
    record = msgspec.defstruct("Record", [(field, kind, msgspec.UNSET) for field in names], rename=names, gc=False)
    try:
        rows = _decoded(msgspec.json.Decoder(record), data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if any("." in name for name in chosen) and data.count(b"{") != len(rows):
        return None  # a dotted name may be that of a nested record
    columns = {name: list(map(attrgetter(field), rows)) for field, name in names.items()}
    return _columns(columns, msgspec.UNSET, len(rows))


def _decoded(decoder: Any, data: bytes) -> list[Any]:
    import msgspec

    try:
        rows: list[Any] = decoder.decode_lines(data)
    except msgspec.DecodeError:
        rows = decoder.decode_lines(_NOT_FINITE.sub(b"null", data))
    return rows


def _columns(columns: dict[str, list[Any]], unset: object, count: int) -> Columns | None:
    logged = {name: values for name, values in columns.items() if _dense(values) or values.count(unset) < count}
    known = [logged.pop(name) for name in STEP_NAMES if name in logged]
    steps = known[0] if known else list(map(float, range(count)))
    if not _dense(steps):
        return None  # another name has to stand in for some records
    found: Columns = {}
    for name, values in logged.items():
        own = steps
        if not _dense(values):
            there = [value is not unset for value in values]
            own = list(compress(steps, there))
            values = [math.nan if value is None else value for value in compress(values, there)]
        found[name] = (own, values)
    return found


def _dense(values: list[Any]) -> bool:
    """Whether all are numbers; a sum is the fastest way to know."""
    try:
        sum(values)
    except TypeError:
        return False
    return True
