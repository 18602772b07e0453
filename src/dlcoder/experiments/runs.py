"""What is known of a run after reading it, whatever wrote it."""

import math
from array import array
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_POINTS = 400
"""Points of a curve that are kept: more than a plot has pixels to show apart."""


@dataclass
class Series:
    """One logged quantity: thinned for plots, exact where numbers are taken from it.

    Attributes:
        steps: Of the kept points.
        values: Of the kept points, finite.
        count: How many were logged.
        bad: How many were not finite.
        first_bad: Step of the first that was not.
        first: The first finite value.
        last: The last finite value.
        low: The smallest finite value.
        high: The largest.
        last_step: The last step, whatever its value.
        total: Sum of the finite values.
        ends_bad: Whether the last value was not finite.
    """

    steps: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    count: int = 0
    bad: int = 0
    first_bad: float | None = None
    first: float = math.nan
    last: float = math.nan
    low: float = math.nan
    high: float = math.nan
    last_step: float = 0
    total: float = 0
    ends_bad: bool = False


def series_of(steps: list[float], values: list[float]) -> Series:
    """Reduce a logged quantity to what tables and plots need."""
    series = Series(count=len(values))
    if not values:
        return series
    series.last_step = steps[-1]
    series.ends_bad = not math.isfinite(values[-1])
    if not math.isfinite(sum(values)):  # one that is not finite makes the sum so
        kept = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
        series.bad = len(values) - len(kept)
        if series.bad:
            series.first_bad = next(s for s, v in zip(steps, values, strict=True) if not math.isfinite(v))
        if not kept:
            return series
        steps, values = [step for step, _ in kept], [value for _, value in kept]
    series.first, series.last = values[0], values[-1]
    series.low, series.high, series.total = min(values), max(values), sum(values)
    stride = max(1, math.ceil(len(values) / MOST_POINTS))
    series.steps, series.values = array("d", steps[::stride]), array("d", values[::stride])
    if (len(values) - 1) % stride:
        series.steps.append(steps[-1])
        series.values.append(values[-1])
    return series


@dataclass
class Run:
    """One run.

    Attributes:
        name: Its path, as short as tells it apart.
        source: What wrote it.
        config: Settings by dotted name.
        seed: Its seed, if one is recorded.
        arm: The arm that its plan put it into.
        control: Whether its plan made it the control; None where no plan says.
        series: What it logged.
        results: Final values that stand alone, as in a table of results.
        status: Where it ended.
        why: Evidence of the status.
        starts: How often it was started.
        hours: Wall time in hours.
        gpus: Devices it held at once, as far as recorded; 0 for a CPU.
        memory_mb: Peak memory.
        facts: What should be equal among runs that are compared: commit, versions, data, hardware.
        changes: What its plan changed of the control; None where no plan says.
    """

    name: str
    source: str
    config: dict[str, Any] = field(default_factory=dict)
    seed: int | str | None = None
    arm: str | None = None
    control: bool | None = None
    series: dict[str, Series] = field(default_factory=dict)
    results: dict[str, float] = field(default_factory=dict)
    status: Literal["finished", "crashed", "diverged", "unfinished"] = "finished"
    why: str = ""
    starts: int = 1
    hours: float | None = None
    gpus: int | None = None
    memory_mb: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] | None = None

    @property
    def steps(self) -> float:
        """The last step of any series."""
        return max((series.last_step for series in self.series.values()), default=0)

    def value(self, metric: str, pick: Literal["last", "best"], lower: bool) -> float | None:
        """Its result, or None if it has none."""
        if metric in self.results:
            return self.results[metric]
        series = self.series.get(metric)
        if series is None or math.isnan(series.last) or (pick == "last" and series.ends_bad):
            return None
        return series.last if pick == "last" else (series.low if lower else series.high)


def flatten(tree: Any, name: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; W&B's `{value: x}` wrappers are taken off."""
    if isinstance(tree, dict):
        if name and set(tree) <= {"value", "desc"} and "value" in tree:
            return flatten(tree["value"], name)
        return {
            k: v
            for key, value in tree.items()
            for k, v in flatten(value, f"{name}.{key}" if name else str(key)).items()
        }
    if isinstance(tree, list):
        return {name: str(tree)}
    return {name: tree}
