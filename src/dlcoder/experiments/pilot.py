"""What runs that were made before say of the spread between seeds."""

import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dlcoder.errors import UserError
from dlcoder.experiments.arms import choose_control
from dlcoder.experiments.intervals import mean
from dlcoder.experiments.summary import summarize

_LEAST_SHARED = 5
_HIGHEST = 0.95


@dataclass(frozen=True)
class Pilot:
    """Pilot runs.

    Attributes:
        values: Results of the control.
        correlation: Between arms at the same seed; None where fewer than five seeds are shared.
        source: From where.
    """

    values: list[float]
    correlation: float | None
    source: str


def read_pilot(folder: Path, metric: str | None) -> Pilot:
    """Read pilot runs.

    Raises:
        UserError: There are no runs, or fewer than two of the control.
    """
    summary = summarize([folder], None, metric)
    arm, _ = choose_control([row.arm for row in summary.rows], None)
    values = list(next(row for row in summary.rows if row.arm is arm).values.values())
    if len(values) < 2:
        raise UserError(f"{str(folder)!r} holds {len(values)} usable run(s) of {arm.name}.", "Run five seeds of it.")
    found = [_correlation(one.values, other.values) for one, other in combinations(summary.rows, 2)]
    known = [value for value in found if value is not None]
    correlation = min(max(mean(known), 0.0), _HIGHEST) if known else None
    return Pilot(values, correlation, f"{len(values)} runs of {arm.name} in {folder.name}")


def _correlation(one: dict[object, float], other: dict[object, float]) -> float | None:
    shared = [seed for seed in one if seed in other]
    if len(shared) < _LEAST_SHARED:
        return None
    a, b = [one[seed] for seed in shared], [other[seed] for seed in shared]
    a, b = [value - mean(a) for value in a], [value - mean(b) for value in b]
    norm = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / norm if norm > 0 else None
