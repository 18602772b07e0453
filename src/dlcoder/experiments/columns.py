"""Columns of numbers: what every reader of logs makes of them."""

import math
from collections.abc import Iterable
from typing import Any

from dlcoder.experiments.runs import flatten

STEP_NAMES = ("step", "global_step", "trainer/global_step", "_step", "iteration", "iter", "epoch")
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


def columns_of(rows: Iterable[dict[str, Any]], wanted: frozenset[str] | None = None) -> Columns:
    """The quantities of records, each at the step of its record or else at its place.

    Args:
        rows: Records; nested ones count by their dotted names.
        wanted: Names to take; None for all.
    """
    columns: Columns = {}
    for place, record in enumerate(rows):
        row = flatten(record) if any(type(value) is dict for value in record.values()) else record
        step = _step(row, place)
        for name, value in row.items():
            if name in STEP_NAMES or value == "" or (wanted is not None and name not in wanted):
                continue
            parsed = value if type(value) is float else number(value)
            if parsed is not None:
                steps, values = columns.setdefault(str(name), ([], []))
                steps.append(step)
                values.append(parsed)
    return columns


def _step(row: dict[str, Any], place: int) -> float:
    for name in STEP_NAMES:
        if name in row and (step := number(row[name])) is not None and math.isfinite(step):
            return step
    return float(place)
