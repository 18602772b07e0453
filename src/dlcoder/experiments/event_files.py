"""The scalars of TensorBoard event files, read without TensorBoard."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from dlcoder.experiments.columns import Columns
from dlcoder.experiments.protobuf import fields, varint

_FLOAT = b"\x15"
"""The key of a value's field `simple_value`: four bytes follow."""


def event_columns(paths: Iterable[Path]) -> Columns:
    """The scalars of TensorBoard event files, read without TensorBoard."""
    columns: Columns = {}
    for path in sorted(paths):
        _read(path.read_bytes(), columns)
    return columns


def _read(data: bytes, columns: Columns) -> None:
    """Add the scalars of one file.

    Events of one tag are alike but for their step and their last four bytes, the value: what lies between is parsed
    once, and looked up from then on.
    """
    shapes: dict[bytes, tuple[list[float], list[bytes]]] = {}
    tags: dict[bytes, str] = {}
    for event in _records(data):
        step, place = _plain_step(event)
        between = event[place:-4]
        shape = shapes.get(between)
        if shape is not None:
            shape[0].append(step)
            shape[1].append(event[-4:])
            continue
        step, scalars = _event(event)
        if len(scalars) == 1 and between.endswith(_FLOAT) and event[-4:] == struct.pack("<f", scalars[0][1]):
            shapes[between] = [step], [event[-4:]]
            tags[between] = scalars[0][0]
            continue
        for tag, value in scalars:
            steps, values = columns.setdefault(tag, ([], []))
            steps.append(step)
            values.append(value)
    for between, (own, raw) in shapes.items():
        steps, values = columns.setdefault(tags[between], ([], []))
        steps += own
        values += struct.unpack(f"<{len(raw)}f", b"".join(raw))


def _plain_step(event: bytes) -> tuple[float, int]:
    """The step of an event that is a time and then a step, and where what follows begins."""
    if event[9:10] != b"\x10":
        return 0.0, 9
    step, place = varint(event, 10)
    return float(step), place


def _records(data: bytes) -> Iterator[bytes]:
    """The payloads of a TFRecord file: length, its checksum, payload, its checksum; a cut-off last one is left out."""
    place, size, length_at = 0, len(data), struct.Struct("<Q").unpack_from
    while place + 16 <= size:
        (length,) = length_at(data, place)
        end = place + 12 + length
        if end + 4 > size:
            return
        yield data[place + 12 : end]
        place = end + 4


def _event(data: bytes) -> tuple[float, list[tuple[str, float]]]:
    step, scalars = 0, []
    for field, wire, value in fields(data):
        if (field, wire) == (2, 0):
            step = value
        elif (field, wire) == (5, 2):  # a summary, of values in field 1
            scalars += [pair for f, w, part in fields(value) if (f, w) == (1, 2) for pair in _scalar(part)]
    return float(step), scalars


def _scalar(data: bytes) -> list[tuple[str, float]]:
    tag, found = "", None
    for field, wire, value in fields(data):
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
    for field, wire, value in fields(data):
        if (field, wire) == (1, 0):
            kind = value
        elif field == 2 and wire == 2 and any(f == 2 for f, _, _ in fields(value)):
            return None  # a tensor with dimensions: no scalar
        elif field in (4, 5, 6) and wire in (1, 2, 5):
            found = value
    form = {1: "<f", 2: "<d"}.get(kind)
    if form is None or found is None or len(found) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, found)[0])
