"""Numbers that trainers print, read into series: loss, accuracy, learning rate, gradient norm, times, memory."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from dlcoder.diagnosis.lines import Line

_NUMBER = (
    r"[-+]?(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|inf)\b"
    r"|[-+]?(?:NaN|Inf|NAN|INF|Infinity|infinity)\b"
)
_PAIR = re.compile(
    r"([A-Za-z_\u4e00-\u9fff][\w@/.\-\u4e00-\u9fff]{0,60}(?: [A-Za-z_(][\w@/.\-()]{0,30}){0,2})[\"']?\s{0,4}(?:[:="
    r"|]\s{0,8}|\s{1,8})"
    r"[\"'(]?(?:tensor\()?(" + _NUMBER + r")( ?%)?(?:\s{0,2}\(\s{0,2}(" + _NUMBER + r")\))?"
)
_LOSS = re.compile(
    r"loss|nll|\bkld?\b|elbo|perplexity|\bppl\b|\bce\b|\bmse\b|\bmae\b|rpn_box|rcnn_box|损失|_cls$|_box$", re.I
)
_ACC = re.compile(
    r"acc|top.?[15]\b|prec|\bm?ap\b|m?iou|dice|\bf1|auc|bleu|rouge|recall|psnr|ssim|em$|hmean|score|精度|准确率", re.I
)
_ERR = re.compile(r"\berr|error|\bwer\b|\bcer\b|\bfid\b|rmse", re.I)
_LR = re.compile(r"^(?:.*[ /_.])?(?:lr|learning[ _-]?rate|train_lr|base_lr|lr-\w+|学习率)$", re.I)
_NORM = re.compile(r"g(?:rad)?(?:ient)?[ _-]?norm|gnorm|grad_global_norm", re.I)
_SCALE = re.compile(r"loss[ _-]?scale|scaler?$|grad_scale", re.I)
_DATA = re.compile(
    r"^(?:time_)?data(?:[_ ]?time)?$|data_time|data loading|dataload|time_data|batch_generator|load_time", re.I
)
_TIME = re.compile(
    r"^(?:iter_|batch_|step_|train_|total_)?time(?:_iter|/iter)?$|elapsed time per iteration|^batch$|iter_time"
    r"|step_time",
    re.I,
)
_MEMORY = re.compile(r"\bmem|memory|max_mem|gpu_mem|\brss\b|显存|内存", re.I)
_VALID = re.compile(r"\b(?:val|valid|validation|eval|test|dev|testing)(?:\b|_|/|\d)|^val|测试|验证", re.I)
_TRAIN = re.compile(r"\btrain|^tr_|训练", re.I)
_ANY_NUMBER = re.compile(r"\d|nan", re.I)
_STEP = re.compile(r"^(?:iter|iteration|step|global_step|epoch|itr|it|num_updates|batch|轮次)s?$", re.I)


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


_KINDS = (
    ("scale", _SCALE),
    ("norm", _NORM),
    ("lr", _LR),
    ("data_time", _DATA),
    ("time", _TIME),
    ("memory", _MEMORY),
    ("loss", _LOSS),
    ("error", _ERR),
    ("accuracy", _ACC),
    ("step", _STEP),
)


@lru_cache(maxsize=8192)
def kind_of(name: str) -> str:
    """What a printed name measures, or an empty string."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "")


@lru_cache(maxsize=8192)
def _own_split(name: str) -> str:
    return "valid" if _VALID.search(name) else "train" if _TRAIN.search(name) else ""


_HEAD_TRAIN = re.compile(r"\btrain", re.I)
_HEAD_VALID = re.compile(r"\b(?:val(?:id|idation)?|eval(?:uation)?|test)\b", re.I)


def _head_split(text: str) -> str:
    """The split that the beginning of a line names."""
    head = text[:60]
    return "train" if _HEAD_TRAIN.search(head) else "valid" if _HEAD_VALID.search(head) else ""


def _number(text: str) -> float:
    return float(text.lower().replace("infinity", "inf"))


Pair = tuple[str, float, float | None]


def _from_json(text: str) -> list[Pair]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(record, dict):
        return []
    numbers = ((k, v) for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool))
    return [(str(key), float(value), None) for key, value in numbers if abs(value) < 1e300 or value != value]


def _from_text(text: str) -> list[Pair]:
    pairs: list[Pair] = []
    for found in _PAIR.finditer(text):
        try:
            pairs.append((found[1], _number(found[2]), _number(found[4]) if found[4] else None))
        except ValueError:
            continue
    return pairs


def _header(text: str) -> list[str]:
    """The names of a table of comma-separated values, where the line is its header."""
    names = [name.strip().strip('"') for name in text.split(",")]
    if len(names) < 2 or any(ch.isdigit() and not name[:1].isalpha() for name in names for ch in name[:1]):
        return []
    return names if sum(kind_of(name.lower()) != "" for name in names) >= 2 and ":" not in text else []


def _from_row(names: Sequence[str], text: str) -> list[Pair]:
    cells = text.split(",")
    if len(cells) != len(names):
        return []
    pairs: list[Pair] = []
    for name, cell in zip(names, cells, strict=True):
        try:
            pairs.append((name, _number(cell.strip() or "x"), None))
        except ValueError:
            continue
    return pairs


def _pairs(text: str, names: Sequence[str]) -> list[Pair]:
    """The names and values of one line."""
    if names and text.count(",") == len(names) - 1 and (row := _from_row(names, text)):
        return row
    if text.startswith("{") and text.rstrip().endswith("}") and (record := _from_json(text)):
        return record
    return _from_text(text)


def read_series(lines: Sequence[Line], limit: int = 20_000) -> list[Series]:
    """Read the series out of `lines`; only names whose kind is known."""
    series: dict[tuple[str, str], Series] = {}
    names: list[str] = []
    total = 0
    for line in lines:
        text = line.text[:3000]
        if total > limit:
            break
        if not _ANY_NUMBER.search(text[:400]):
            names = (_header(text) if "," in text else []) or names
            continue
        previous = ""
        head = _head_split(text)
        for name, value, average in _pairs(text, names):
            key = " ".join(name.lower().split())
            kind = kind_of(key)
            if not kind:
                continue
            own = _own_split(key)
            split = own or (previous if kind == "accuracy" and previous else head)
            if kind in ("loss", "accuracy"):
                previous = split
            series.setdefault((key, split), Series(key, kind, split)).points.append(Point(value, line, average))
            total += 1
    return list(series.values())
