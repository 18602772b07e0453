"""What series have in common: their middle, their direction, the one that matters."""

import math
import statistics
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.series import Point, Series


def fact(name: str, point: Point | None, note: str = "") -> Fact:
    """A fact that rests on one printed value."""
    return Fact(name, point.line if point else None, note=note)


def median(values: Sequence[float]) -> float:
    """The middle value; not a number where there is none."""
    return statistics.median(values) if values else math.nan


def main_loss(series: Sequence[Series], split: str | None = None) -> Series | None:
    """The series that is most likely the total loss, of training unless `split` says otherwise."""
    losses = [s for s in series if s.kind == "loss" and (split is None or s.split == split)]
    if split is None:
        losses = [s for s in losses if s.split != "valid"] or losses
    named = [s for s in losses if s.name in _TOTALS]
    return max(named or losses, key=lambda s: len(s.points), default=None)


_TOTALS = ("loss", "total_loss", "train_loss", "train loss", "total loss", "lm loss")


def falls(values: Sequence[float], share: float = 0.1) -> bool:
    """Whether the last third lies below the first by `share` of its level."""
    if len(values) < 3:
        return len(values) == 2 and values[1] < values[0] * (1 - share)
    third = max(len(values) // 3, 1)
    return median(values[-third:]) < median(values[:third]) - share * abs(median(values[:third]))


def rises(values: Sequence[float], share: float = 0.1) -> bool:
    """Whether the last third lies above the first by `share` of its level."""
    if len(values) < 3:
        return len(values) == 2 and values[1] > values[0] * (1 + share)
    return falls([-v for v in values], share)
