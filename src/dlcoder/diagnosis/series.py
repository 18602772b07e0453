"""Numbers that trainers print, read into series: loss, accuracy, learning rate, gradient norm, times, memory."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dlcoder.diagnosis.lines import Line

_NUMBER = r"[-+]?(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|inf)\b|[-+]?(?:NaN|Inf|NAN|INF|Infinity|infinity)\b"
_PAIR = re.compile(
    r"([A-Za-z_\u4e00-\u9fff][\w@/.\-\u4e00-\u9fff]{0,60}(?: [A-Za-z_(][\w@/.\-()]{0,30}){0,2})[\"']?\s{0,4}(?:[:=|]\s{0,8}|\s{1,8})"
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
    r"^(?:iter_|batch_|step_|train_|total_)?time(?:_iter|/iter)?$|elapsed time per iteration|^batch$|iter_time|step_time",
    re.I,
)
_MEMORY = re.compile(r"\bmem|memory|max_mem|gpu_mem|\brss\b|显存|内存", re.I)
_VALID = re.compile(r"\b(?:val|valid|validation|eval|test|dev|testing)(?:\b|_|/|\d)|^val|测试|验证", re.I)
_TRAIN = re.compile(r"\btrain|^tr_|训练", re.I)
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


def kind_of(name: str) -> str:
    """What a printed name measures, or an empty string."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "")


def _split_of(name: str, text: str) -> str:
    if _VALID.search(name):
        return "valid"
    if _TRAIN.search(name):
        return "train"
    head = text[:60]
    if re.search(r"\btrain", head, re.I):
        return "train"
    return "valid" if re.search(r"\b(?:val(?:id|idation)?|eval(?:uation)?|test)\b", head, re.I) else ""


def _number(text: str) -> float:
    return float(text.lower().replace("infinity", "inf"))


def _from_json(text: str) -> list[tuple[str, float]]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(record, dict):
        return []
    return [(str(key), float(v)) for key, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool)]


def read_series(lines: Sequence[Line], limit: int = 20_000) -> list[Series]:
    """Read the series out of `lines`; only names whose kind is known."""
    series: dict[tuple[str, str], Series] = {}
    total = 0
    for line in lines:
        text = line.text[:3000]
        if total > limit or (not any(ch.isdigit() for ch in text[:400]) and "nan" not in text.lower()):
            continue
        previous: tuple[str, str] | None = None
        if text.startswith("{") and text.rstrip().endswith("}"):
            pairs = [(key, value, None) for key, value in _from_json(text)]
        else:
            pairs = []
        if not pairs:
            for found in _PAIR.finditer(text):
                try:
                    value = _number(found[2])
                    average = _number(found[4]) if found[4] else None
                except ValueError:
                    continue
                pairs.append((found[1], value, average))
        for name, value, average in pairs:
            key = " ".join(name.lower().split())
            kind = kind_of(key)
            if not kind:
                continue
            split = _split_of(key, text)
            if kind == "accuracy" and previous and not _VALID.search(key) and not _TRAIN.search(key):
                split = previous[1]
            if kind in ("loss", "accuracy"):
                previous = (key, split)
            entry = series.setdefault((key, split), Series(key, kind, split))
            entry.points.append(Point(value, line, average))
            total += 1
    return list(series.values())
