"""Curves of what a trainer prints, as SVG: loss, gradient norm, learning rate, memory, with the failure marked."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.series import Point, Series, read_series
from dlcoder.diagnosis.verdict import FirstFailure
from dlcoder.text import clean

TITLES = {
    "loss": "Loss",
    "norm": "Gradient norm",
    "lr": "Learning rate",
    "memory": "Memory",
    "scale": "Loss scale",
    "accuracy": "Accuracy",
    "time": "Time",
    "data_time": "Time for data",
}
"""Kinds of series that are drawn, in this order."""
_COUNTER = re.compile(r"(?:\b|_)(step|iter|epoch)(?:s|ation)?\b[\"']?[^\w\n]{1,4}(\d{1,12})(?![\d.])", re.IGNORECASE)
_MOST_SERIES = 4
_MOST_POINTS = 500
_MOST_VALUES = 1_000_000
_LOG_SPAN = 300.0
"""A range of values wider than this factor is drawn on a logarithmic axis."""
WIDTH, HEIGHT = 520, 212
_LEFT, _TOP, _PLOT_W, _PLOT_H = 68, 12, 440, 156
_SIDE = 1000.0
"""The plot's own coordinates: 0 to 1000 both ways, so that zooming is a change of the view box."""


@dataclass(frozen=True)
class Curve:
    """One series on its axis: (x, value, line number), values that are not finite included."""

    name: str
    points: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Chart:
    """Curves of one kind over one axis.

    Attributes:
        title: What is drawn.
        axis: What x counts: a printed step or epoch, or lines of the log.
        source: The log that the curves are from.
        curves: At least one, each with at least two points.
        failure: Where on the axis the failure is, and its name; `None` where the log does not say.
    """

    title: str
    axis: str
    source: str
    curves: tuple[Curve, ...]
    failure: tuple[float, str] | None = None


def charts(lines: Sequence[Line], source: str, failure: FirstFailure | None) -> list[Chart]:
    """The charts of one log.

    Args:
        lines: Its lines in order.
        source: Its name.
        failure: The first failure of the run; it is marked if it is in this log.
    """
    series = [s for s in read_series(lines, _MOST_VALUES) if len(s.points) >= 2]
    counters = _counters(lines)
    found = []
    for kind, title in TITLES.items():
        chosen = sorted((s for s in series if s.kind == kind), key=lambda s: -len(s.points))[:_MOST_SERIES]
        if not chosen:
            continue
        axis, steps = _axis(chosen, counters)
        curves = tuple(Curve(_label(s, chosen), _on_axis(s, steps)) for s in chosen)
        found.append(Chart(title, axis, source, curves, _failure(curves, failure, source)))
    return found


def _label(series: Series, others: Sequence[Series]) -> str:
    twins = [other for other in others if other.name == series.name]
    return clean(f"{series.name} ({series.split})" if len(twins) > 1 and series.split else series.name, 40)


def _counters(lines: Sequence[Line]) -> dict[str, dict[int, float]]:
    """What counts steps or epochs: its word -> line number -> its value there; the finer counters first."""
    found: dict[str, dict[int, float]] = {word: {} for word in ("step", "iter", "epoch")}
    for line in lines:
        for word, value in _COUNTER.findall(line.text[:600]):
            found[word.lower()].setdefault(line.number, float(value))
    return found


def _axis(series: Sequence[Series], counters: Mapping[str, dict[int, float]]) -> tuple[str, dict[int, float]]:
    """The counter that is printed on the same lines and never goes back; else the lines themselves."""
    for name, steps in counters.items():
        ordered = [steps[number] for number in sorted(steps)]
        rises = len(set(ordered)) > 1 and all(a <= b for a, b in pairwise(ordered))
        if rises and all(_covered(s, steps) >= 0.9 for s in series):
            return name, steps
    return "line", {}


def _covered(series: Series, steps: dict[int, float]) -> float:
    distinct = {steps[p.line.number] for p in series.points if p.line.number in steps}
    return len(distinct) / len(series.points)


def _on_axis(series: Series, steps: dict[int, float]) -> tuple[tuple[float, float, int], ...]:
    points = [p for p in series.points if not steps or p.line.number in steps]
    placed = [(steps[p.line.number] if steps else float(p.line.number), _value(p), p.line.number) for p in points]
    return tuple(_thinned(placed))


def _value(point: Point) -> float:
    """The value; a running mean that is not finite beside it counts as much."""
    average = point.average
    return average if average is not None and not math.isfinite(average) and math.isfinite(point.value) else point.value


def _thinned(points: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """At most about 500 points, the extremes of each stretch and whatever is not finite among them."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    size = math.ceil(len(points) / (_MOST_POINTS // 4))
    kept: set[int] = {0, len(points) - 1}
    bad_seen = False
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        finite = [i for i in stretch if math.isfinite(points[i][1])]
        if finite:
            kept |= {finite[0], min(finite, key=lambda i: points[i][1]), max(finite, key=lambda i: points[i][1])}
        if len(finite) < len(stretch):
            bad = [i for i in stretch if not math.isfinite(points[i][1])]
            kept |= {bad[0], bad[-1]}
            bad_seen = True
    if bad_seen:
        kept.add(next(i for i, point in enumerate(points) if not math.isfinite(point[1])))
    return [points[i] for i in sorted(kept)]


def _failure(curves: Sequence[Curve], failure: FirstFailure | None, source: str) -> tuple[float, str] | None:
    bad = [point for curve in curves for point in curve.points if not math.isfinite(point[1])]
    if bad:
        return min(point[0] for point in bad), "not finite"
    if failure is None or failure.source != source or not failure.number:
        return None
    before = [point[0] for curve in curves for point in curve.points if point[2] <= failure.number]
    return (max(before), f"failure (line {failure.number})") if before else None


class _Scale:
    """The map from values to the plot's coordinates."""

    def __init__(self, chart: Chart) -> None:
        xs = [x for curve in chart.curves for x, _, _ in curve.points]
        values = [v for curve in chart.curves for _, v, _ in curve.points if math.isfinite(v)]
        self.log = bool(values) and min(values) > 0 and max(values) > _LOG_SPAN * min(values)
        shown = [math.log10(v) if self.log else v for v in values] or [0.0]
        self.x0, self.x1 = _padded(min(xs), max(xs), 0.0)
        self.y0, self.y1 = _padded(min(shown), max(shown), 0.06)
        if not self.log and min(shown) >= 0:
            self.y0 = max(self.y0, 0.0)  # a quantity that is never negative needs no room below zero

    def x(self, value: float) -> float:
        return round((value - self.x0) / (self.x1 - self.x0) * _SIDE, 2)

    def y(self, value: float) -> float:
        level = math.log10(value) if self.log else value
        return round((1 - (level - self.y0) / (self.y1 - self.y0)) * _SIDE, 2)


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    if not high > low:
        room = abs(low) * 0.05 or 0.5
        return low - room, high + room
    room = (high - low) * share
    return low - room, high + room


def number(value: float) -> str:
    """A number in few characters."""
    return f"{value:.0f}" if (value == int(value) or abs(value) >= 1e3) and abs(value) < 1e5 else f"{value:.3g}"


def draw(chart: Chart) -> str:
    """The chart as a `figure` element; every text in it is escaped."""
    scale = _Scale(chart)
    plot = [_grid()]
    if chart.failure:
        x = scale.x(chart.failure[0])
        plot.append(f'<line class="failure" x1="{x}" x2="{x}" y1="0" y2="{_SIDE:g}"/>')
    plot += [part for i, curve in enumerate(chart.curves) for part in _curve(curve, i, scale)]
    size = f'x="{_LEFT}" y="{_TOP}" width="{_PLOT_W}" height="{_PLOT_H}"'
    summary = f"{chart.title} over {chart.axis}, {chart.source}"
    return "\n".join(
        [
            f'<figure class="chart" data-axis="{escape(chart.axis)}" data-log="{int(scale.log)}" '
            f'data-range="{scale.x0!r} {scale.x1!r} {scale.y0!r} {scale.y1!r}">',
            f"<figcaption><b>{escape(chart.title)}</b> {_legend(chart)}</figcaption>",
            f'<svg class="frame" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}">',
            f'<svg class="plot" {size} viewBox="0 0 {_SIDE:g} {_SIDE:g}" preserveAspectRatio="none">',
            *plot,
            "</svg>",
            f'<rect class="border" {size}/>',
            *_ticks(scale),
            f'<text class="axis" x="{_LEFT + _PLOT_W}" y="{HEIGHT - 4}" text-anchor="end">{escape(chart.axis)}</text>',
            "</svg></figure>",
        ]
    )


def _grid() -> str:
    lines = [
        f'<path class="grid" d="M0 {_SIDE * i / 4:g}H{_SIDE:g}M{_SIDE * i / 4:g} 0V{_SIDE:g}"/>' for i in (1, 2, 3)
    ]
    return "".join(lines)


def _curve(curve: Curve, index: int, scale: _Scale) -> list[str]:
    """Its line, broken where values are not finite; dots at the top where they are not; its values for the pointer."""
    path, pen, dots, hover = [], "M", [], []
    for x, value, line in curve.points:
        at = scale.x(x)
        if not math.isfinite(value):
            dots.append(f"M{at} 14h0")
            hover.append([at, 14, x, str(value), line])
            pen = "M"
            continue
        path.append(f"{pen}{at} {scale.y(value)}")
        if pen == "M":
            path.append("h0")  # a point between two gaps is seen as a dot
        pen = "L"
        hover.append([at, scale.y(value), x, value, line])
    values = escape(json.dumps(hover, allow_nan=False, separators=(",", ":")))
    name = escape(curve.name)
    parts = [f'<path class="curve c{index}" data-name="{name}" data-points="{values}" d="{"".join(path) or "M0 0"}"/>']
    if dots:
        parts.append(f'<path class="bad" d="{"".join(dots[:400])}"/>')
    return parts


def _ticks(scale: _Scale) -> list[str]:
    """Labels at five places of each axis; the script rewrites them when the view changes."""
    labels = []
    for i in range(5):
        level = scale.y1 - (scale.y1 - scale.y0) * i / 4
        shown = number(10**level if scale.log else level)
        labels.append(
            f'<text class="ty" x="{_LEFT - 6}" y="{_TOP + _PLOT_H * i / 4 + 4:g}" text-anchor="end">{shown}</text>'
        )
        x = scale.x0 + (scale.x1 - scale.x0) * i / 4
        at = _LEFT + _PLOT_W * i / 4
        labels.append(f'<text class="tx" x="{at:g}" y="{_TOP + _PLOT_H + 16}" text-anchor="middle">{number(x)}</text>')
    return labels


def _legend(chart: Chart) -> str:
    parts = [f'<span class="key c{i}">{escape(curve.name)}</span>' for i, curve in enumerate(chart.curves)]
    if chart.failure:
        parts.append(f'<span class="key failure">{escape(chart.failure[1])}</span>')
    return " ".join(parts)
