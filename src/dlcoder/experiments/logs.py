"""Columns of numbers out of the logs that training programs write: JSONL, CSV and TensorBoard events."""

import csv
import io
import json
import math
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

STEP_NAMES = ("step", "global_step", "trainer/global_step", "_step", "iteration", "iter", "epoch")
_LARGE = 200_000
Columns = dict[str, tuple[list[float], list[float]]]
"""Steps and values of each quantity."""


def number(value: Any) -> float | None:
    """A logged value as a number; null is what JSON has for NaN. None for what is no number."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def columns_of(rows: Iterable[dict[str, Any]]) -> Columns:
    """The quantities of records, each at the step of its record or else at its place."""
    columns: Columns = {}
    for place, row in enumerate(rows):
        step = next((s for name in STEP_NAMES if (s := number(row.get(name))) is not None and s == s), float(place))
        for name, value in row.items():
            if name in STEP_NAMES or value == "":
                continue
            parsed = number(value)
            if parsed is not None:
                steps, values = columns.setdefault(str(name), ([], []))
                steps.append(step)
                values.append(parsed)
    return columns


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file; lines that are none, as a cut-off last one, are left out."""
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def jsonl_columns(path: Path, wanted: frozenset[str] | None) -> Columns:
    """The quantities of a JSONL log.

    A long one whose records are flat is searched for the wanted names only, which is ten times faster than parsing.
    """
    data = path.read_bytes()
    if wanted is not None and len(data) > _LARGE:
        found = _scan(data, wanted)
        if found is not None:
            return found
    return columns_of(read_jsonl(path))


def _scan(data: bytes, wanted: frozenset[str]) -> Columns | None:
    data = data[: data.rfind(b"\n") + 1]
    lines = data.count(b"\n")
    head = data[: data.find(b"\n")]
    # Nested records and texts could hold a wanted name a second time.
    if data.count(b"{") != lines or b'\\"' in data:
        return None
    try:
        first = json.loads(head)
    except ValueError:
        return None
    step_name = next((name for name in STEP_NAMES if name in first), None)
    steps = _column(data, step_name, lines) if step_name else [float(i) for i in range(lines)]
    if steps is None:
        return None
    columns: Columns = {}
    for name in wanted:
        key = json.dumps(name).encode()
        found = data.count(key)
        if not found:
            continue
        if found < lines / 5:
            columns |= {k: v for k, v in columns_of(_rows_with(data, key)).items() if k == name}
            continue
        values = _column(data, name, lines)
        if values is None:
            return None
        columns[name] = (steps, values)
    return columns


def _rows_with(data: bytes, key: bytes) -> Iterator[dict[str, Any]]:
    """The records of the lines that hold `key`, as an evaluation every so many steps."""
    place = data.find(key)
    while place >= 0:
        end = data.find(b"\n", place)
        try:
            row = json.loads(data[data.rfind(b"\n", 0, place) + 1 : end])
        except ValueError:
            row = {}
        yield row
        place = data.find(key, end)


def _column(data: bytes, name: str, lines: int) -> list[float] | None:
    tokens = re.findall(re.escape(json.dumps(name).encode()) + rb":\s*([^,}\s]+)", data)
    if len(tokens) != lines:
        return None
    try:
        return list(map(float, tokens))
    except ValueError:
        pass
    try:
        return [math.nan if token == b"null" else float(token) for token in tokens]
    except ValueError:
        return None


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The records of a CSV or TSV file with a heading."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return [dict(row) for row in csv.DictReader(io.StringIO(text), delimiter=delimiter) if row]


def event_columns(paths: Iterable[Path]) -> Columns:
    """The scalars of TensorBoard event files, read without TensorBoard."""
    columns: Columns = {}
    for path in sorted(paths):
        for event in _records(path.read_bytes()):
            step, scalars = _event(event)
            for tag, value in scalars:
                steps, values = columns.setdefault(tag, ([], []))
                steps.append(step)
                values.append(value)
    return columns


def _records(data: bytes) -> Iterator[bytes]:
    """The payloads of a TFRecord file: length, its checksum, payload, its checksum; a cut-off last one is left out."""
    place = 0
    while place + 16 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 16 + length > len(data):
            return
        yield data[place + 12 : place + 12 + length]
        place += 16 + length


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a protocol buffer message: number, wire type, value."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield field, wire, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if size is None:
            if wire != 2:
                return
            size, place = _varint(data, place)
        yield field, wire, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return value, place


def _event(data: bytes) -> tuple[float, list[tuple[str, float]]]:
    step, scalars = 0, []
    for field, wire, value in _fields(data):
        if (field, wire) == (2, 0):
            step = value
        elif (field, wire) == (5, 2):  # a summary, of values in field 1
            scalars += [pair for f, w, part in _fields(value) if (f, w) == (1, 2) for pair in _scalar(part)]
    return float(step), scalars


def _scalar(data: bytes) -> list[tuple[str, float]]:
    tag, found = "", None
    for field, wire, value in _fields(data):
        if (field, wire) == (1, 2):
            tag = value.decode("utf-8", "replace")
        elif (field, wire) == (2, 5):
            (found,) = struct.unpack("<f", value)
        elif (field, wire) == (8, 2):
            found = _tensor(value)
    return [] if found is None else [(tag, found)]


def _tensor(data: bytes) -> float | None:
    """The value of a tensor with one float or double: packed, or as raw content."""
    kind, found = 1, None
    for field, wire, value in _fields(data):
        if (field, wire) == (1, 0):
            kind = value
        elif field == 2 and wire == 2 and any(f == 2 for f, _, _ in _fields(value)):
            return None  # a tensor with dimensions: no scalar
        elif field in (4, 5, 6) and wire in (1, 2, 5):
            found = value
    form = {1: "<f", 2: "<d"}.get(kind)
    if form is None or found is None or len(found) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, found)[0])
