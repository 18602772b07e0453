"""Numbers that trainers print, read into series: loss, accuracy, learning rate, gradient norm, times, memory."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dlcoder.diagnosis.columns import Columns, Pair, header, row
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.quantities import kind_of, number

_NUMBER = (
    r"[-+]?(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|inf)\b"
    r"|[-+]?(?:NaN|Inf|NAN|INF|Infinity|infinity)\b"
)
_PAIR = re.compile(
    r"([A-Za-z_\u4e00-\u9fff][\w@/.\-\u4e00-\u9fff]{0,60}(?: [A-Za-z_(][\w@/.\-()]{0,30}){0,2})[\"']?\s{0,4}(?:[:="
    r"|]\s{0,8}|\s{1,8})"
    r"[\"'(]?(?:tensor\()?(" + _NUMBER + r")( ?%)?(?:\s{0,2}\(\s{0,2}(" + _NUMBER + r")\))?"
)
_VALID = re.compile(r"\b(?:val|valid|validation|eval|test|dev|testing)(?:\b|_|/|\d)|^val|测试|验证", re.I)
_TRAIN = re.compile(r"\btrain|^tr_|训练", re.I)
_ANY_NUMBER = re.compile(r"\d|nan", re.I)


@dataclass(frozen=True)
class Point:
    """One printed value."""

    value: float
    line: Line
    average: float | None = None


@dataclass
class Series:
    """The values of one name in order of printing.

    Attributes:
        name: The name as printed, lower case.
        kind: `loss`, `accuracy`, `error`, `lr`, `norm`, `scale`, `data_time`, `time`, `memory` or `step`.
        split: `train`, `valid` or an empty string.
    """

    name: str
    kind: str
    split: str
    points: list[Point] = field(default_factory=list)

    @property
    def finite(self) -> list[float]:
        """The finite values."""
        return [point.value for point in self.points if math.isfinite(point.value)]

    @property
    def first_bad(self) -> int | None:
        """Index of the first value that is not finite."""
        return next((i for i, point in enumerate(self.points) if not math.isfinite(point.value)), None)


@lru_cache(maxsize=8192)
def _own_split(name: str) -> str:
    return "valid" if _VALID.search(name) else "train" if _TRAIN.search(name) else ""


_HEAD_TRAIN = re.compile(r"\btrain", re.I)
_HEAD_VALID = re.compile(r"\b(?:val(?:id|idation)?|eval(?:uation)?|test)\b", re.I)


def _head_split(text: str) -> str:
    """The split that the beginning of a line names."""
    head = text[:60]
    return "train" if _HEAD_TRAIN.search(head) else "valid" if _HEAD_VALID.search(head) else ""


def _from_json(text: str) -> list[Pair]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(record, dict):
        return []
    numbers = ((k, v) for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool))
    return [(str(key), float(value), None) for key, value in numbers if abs(value) < 1e300 or value != value]


_SWALLOWED = re.compile(r"(.{1,80}?) (nan|inf)(?: (.{1,60}))?$", re.I)
"""A value that reads as part of a name: `Loss nan (nan)`, `loss nan acc 0.1`."""


def _from_text(text: str) -> list[Pair]:
    pairs: list[Pair] = []
    for found in _PAIR.finditer(text):
        name: str | None = found[1]
        inner = _SWALLOWED.match(found[1])
        if inner:
            pairs.append((inner[1], number(inner[2]), None))
            name = inner[3]
        try:
            if name:
                pairs.append((name, number(found[2]), number(found[4]) if found[4] else None))
        except ValueError:
            continue
    return pairs


_HEAD = re.compile(r"\s*\|?\s*(?:epoch|class|step|iter)\w*\s", re.I)
"""How tables begin whose names may hold digits."""


def _pairs(text: str, tables: Sequence[Columns]) -> list[Pair]:
    """The names and values of one line."""
    for table in tables:
        if pairs := row(table, text):
            return pairs
    if text.startswith("{") and text.rstrip().endswith("}") and (record := _from_json(text)):
        return record
    return _from_text(text)


_SPLITS = {"train", "val", "valid", "validation", "test", "eval"}
"""Names that stand for a loss where one was named just before: `loss train: 1.2, val: 1.3`."""


def read_series(lines: Sequence[Line], limit: int = 20_000) -> list[Series]:
    """Read the series out of `lines`; only names whose kind is known."""
    series: dict[tuple[str, str], Series] = {}
    tables: list[Columns] = []
    total = 0
    for line in lines:
        text = line.text[:3000]
        if total > limit:
            break
        numbers = _ANY_NUMBER.search(text[:400])
        if (not numbers or _HEAD.match(text)) and (table := header(text)):
            tables = [table, *(known for known in tables if known != table)][:3]
            continue
        if not numbers:
            continue
        before, previous = "", ""
        head = _head_split(text)
        for name, value, average in _pairs(text, tables):
            key = " ".join(name.lower().split())
            kind = kind_of(key)
            own = _own_split(key)
            if not kind and before == "loss" and key in _SPLITS:
                key, kind = "loss", "loss"
            before = kind
            if not kind:
                continue
            split = own or (previous if kind == "accuracy" and previous else head)
            if kind in ("loss", "accuracy"):
                previous = split
            series.setdefault((key, split), Series(key, kind, split)).points.append(Point(value, line, average))
            total += 1
    return list(series.values())
