"""CSV and TSV logs with a heading."""

import csv
import io
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

from dlcoder.experiments.columns import STEP_NAMES, Columns, columns_of

_SHORT = 200_000


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The records of a CSV or TSV file with a heading."""
    reader = csv.DictReader(io.StringIO(_text(path)), delimiter=_delimiter(path))
    return [dict(row) for row in reader if row]


def csv_names(path: Path) -> set[str]:
    """The names in the heading."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return set(next(csv.reader(file, delimiter=_delimiter(path)), []))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def csv_columns(path: Path, wanted: frozenset[str] | None) -> Columns:
    """The quantities of a CSV log; of a long one only the wanted names."""
    if wanted is None or path.stat().st_size <= _SHORT:
        return columns_of(read_csv(path))
    found = _scan(_text(path), _delimiter(path), wanted)
    return columns_of(read_csv(path), wanted) if found is None else found


def _scan(text: str, delimiter: str, wanted: frozenset[str]) -> Columns | None:
    """The wanted columns of a file without quotes, all of whose lines are whole; else None."""
    if '"' in text:
        return None
    text = text.replace("\r\n", "\n")
    head, _, body = text[: text.rfind("\n") + 1].partition("\n")
    names = head.split(delimiter)
    # A mark after every line: it stands in every column's place if, and only if, all lines have as many cells.
    cells = body.replace("\n", f"{delimiter}\n{delimiter}").split(delimiter)
    width = len(names) + 1
    lines = body.count("\n")
    if len(cells) != width * lines + 1 or cells[width - 1 :: width].count("\n") != lines:
        return None
    step = next((index for name in STEP_NAMES if name in names for index in [names.index(name)]), None)
    steps = list(map(float, range(lines))) if step is None else _floats(cells[step:-1:width])
    if steps is None:
        return None
    columns: Columns = {}
    for index, name in enumerate(names):
        if name not in wanted or name in STEP_NAMES:
            continue
        column, own = cells[index:-1:width], steps
        if "" in column:
            column, own = list(filter(None, column)), list(compress(steps, column))
        values = _floats(column)
        if values is None:
            return None
        if values:
            columns[name] = (own, values)
    return columns


def _floats(cells: Sequence[str]) -> list[float] | None:
    import msgspec

    try:
        # Many times as fast as `float`, where no cell is nan, inf or no number at all.
        return msgspec.json.decode(f"[{','.join(cells)}]", type=list[float])
    except msgspec.MsgspecError:
        pass
    try:
        return list(map(float, cells))
    except ValueError:
        return None
