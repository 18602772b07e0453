"""What a summary shows as pictures, before anything draws it: curves, results of each run, sweeps over a setting."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from dlcoder.experiments.intervals import mean
from dlcoder.experiments.runs import Series
from dlcoder.experiments.summary import ArmResult, Summary

MOST_ARMS = 12
_MOST_SWEEPS = 4
_LEAST_LEVELS = 3
_LOG_SPAN = 20.0
"""A setting whose levels span a wider factor is drawn on a logarithmic axis."""
Point = tuple[float, float]


@dataclass
class Trace:
    """One arm in a chart.

    Attributes:
        name: Of the arm.
        color: Its number among the arms: the same in every chart.
        line: Points that are joined.
        dots: Points that stand alone: single runs.
        band: x, low and high.
        faint: Curves of single runs.
    """

    name: str
    color: int
    line: list[Point] = field(default_factory=list)
    dots: list[Point] = field(default_factory=list)
    band: list[tuple[float, float, float]] = field(default_factory=list)
    faint: list[list[Point]] = field(default_factory=list)


@dataclass
class Chart:
    """A chart; `rows` names the places on the y axis of a chart whose traces lie below one another."""

    title: str
    x: str
    y: str
    traces: list[Trace]
    rows: list[str] = field(default_factory=list)
    log_x: bool = False

    def span(self) -> tuple[float, float, float, float]:
        """The least and largest x and y of everything that is drawn, a little widened."""
        points = [p for trace in self.traces for p in (*trace.line, *trace.dots, *chain.from_iterable(trace.faint))]
        points += [(x, y) for trace in self.traces for x, low, high in trace.band for y in (low, high)]
        xs = [math.log10(x) if self.log_x else x for x, _ in points]
        ys = [y for _, y in points]
        if self.rows:
            return (*_widened(min(xs), max(xs)), -0.5, len(self.rows) - 0.5)
        return (*_widened(min(xs), max(xs)), *_widened(min(ys), max(ys)))


def _widened(low: float, high: float) -> tuple[float, float]:
    room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return (0.0 if 0 <= low < room else low - room), high + room


def charts_of(summary: Summary) -> list[Chart]:
    """The charts of a summary: those that have something to show."""
    rows = summary.rows[:MOST_ARMS]
    found = [_results(summary, rows), _curves(summary, rows), *_sweeps(summary)]
    return [chart for chart in found if chart is not None]


def _results(summary: Summary, rows: Sequence[ArmResult]) -> Chart | None:
    """Every run's result, with the interval of the mean."""
    traces = []
    for place, row in enumerate(rows):
        trace = Trace(row.arm.name, place, dots=[(value, float(place)) for value in row.values.values()])
        if row.ci is not None:
            trace.line = [(row.ci.low, float(place)), (row.ci.high, float(place))]
        traces.append(trace)
    if not any(trace.dots for trace in traces):
        return None
    names = [f"{row.arm.name} (n={len(row.values)})" for row in rows]
    return Chart("Runs, and 95 % interval of the mean", summary.metric, "", traces, rows=names)


def _curves(summary: Summary, rows: Sequence[ArmResult]) -> Chart | None:
    """The mean over seeds, the band from least to most, single runs faint."""
    traces = []
    for place, row in enumerate(rows):
        series = [run.series[summary.metric] for run in row.arm.runs if summary.metric in run.series]
        xs, middle, low, high = band(series)
        if len(xs) > 1:
            faint = [list(zip(one.steps, one.values, strict=True)) for one in series] if len(series) > 1 else []
            shaded = list(zip(xs, low, high, strict=True)) if len(series) > 1 else []
            traces.append(Trace(row.arm.name, place, list(zip(xs, middle, strict=True)), band=shaded, faint=faint))
    return Chart("Mean over seeds, and its range", "step", summary.metric, traces) if traces else None


def _sweeps(summary: Summary) -> list[Chart]:
    """The metric over each numeric setting that has three levels or more."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in summary.rows:
        changed = {**row.arm.config, **row.arm.changes}
        for name, level in changed.items():
            if isinstance(level, int | float) and not isinstance(level, bool) and math.isfinite(level):
                points[name] += [(float(level), value) for value in row.values.values()]
    found = []
    for name, dots in points.items():
        levels = sorted({x for x, _ in dots})
        if len(levels) >= _LEAST_LEVELS:
            log = levels[0] > 0 and levels[-1] / levels[0] > _LOG_SPAN
            line = [(x, mean([y for at, y in dots if at == x])) for x in levels]
            trace = Trace("mean at each level", 0, line=line, dots=dots)
            found.append(Chart(f"Sweep of {name}", name, summary.metric, [trace], log_x=log))
    return found[:_MOST_SWEEPS]


def band(series: list[Series]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Steps, mean, least and most over seeds, at the steps that the shortest curve has, the others interpolated."""
    series = [one for one in series if len(one.steps)]
    if not series:
        return [], [], [], []
    xs = list(min(series, key=lambda one: one.steps[-1]).steps)
    columns = list(zip(*(_at(one, xs) for one in series), strict=True))
    return xs, [sum(column) / len(column) for column in columns], list(map(min, columns)), list(map(max, columns))


def _at(series: Series, xs: list[float]) -> list[float]:
    found, place, steps, values = [], 0, series.steps, series.values
    for x in xs:
        while place + 1 < len(steps) and steps[place + 1] <= x:
            place += 1
        if place + 1 == len(steps) or x <= steps[place]:
            found.append(values[place])
        else:
            part = (x - steps[place]) / (steps[place + 1] - steps[place])
            found.append(values[place] + part * (values[place + 1] - values[place]))
    return found
