"""Charts as SVG, drawn without any library; the page enlarges them by changing the view box of the inner drawing."""

import math
from html import escape

from dlcoder.experiments.charts import Chart, Point, Trace

WIDTH, HEIGHT = 520, 300
_LEFT, _TOP, _PLOT_W, _PLOT_H = 70, 28, 436, 220
_LABELS = 150
"""Room for the names of rows."""
_SIDE = 1000.0
_TICKS = 5
COLORS = ("#2456c8", "#c45a00", "#1c7a43", "#8a3fb0", "#b3261e", "#00707a", "#7a5c00", "#a1286f", "#4d5a66", "#5a8a00")
_FONT = "font-family='system-ui, sans-serif' font-size='11'"


def chart_svg(chart: Chart) -> str:
    """One chart: an `svg` element that stands alone."""
    x0, x1, y0, y1 = chart.span()
    left = _LEFT + (_LABELS - 30 if chart.rows else 0)
    width = _PLOT_W - (left - _LEFT)
    marks = "".join(_trace(chart, trace, (x0, x1, y0, y1)) for trace in chart.traces)
    height = HEIGHT + (0 if chart.rows or len(chart.traces) < 2 else 16 * math.ceil(len(chart.traces) / 2))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' class='chart' viewBox='0 0 {WIDTH} {height}' role='img' "
        f"aria-label='{escape(chart.title, quote=True)}' {_FONT} data-range='{x0!r} {x1!r} {y0!r} {y1!r}' "
        f"data-log='{int(chart.log_x)}' data-rows='{int(bool(chart.rows))}' data-x='{escape(chart.x, quote=True)}'>"
        f"<text x='{left}' y='16' font-weight='600' fill='currentColor'>{escape(chart.title)}</text>"
        f"{_axes(chart, left, width, (x0, x1, y0, y1))}"
        f"<svg class='plot' x='{left}' y='{_TOP}' width='{width}' height='{_PLOT_H}' viewBox='0 0 1000 1000' "
        f"preserveAspectRatio='none'><rect class='ground' width='1000' height='1000' fill='transparent'/>{marks}</svg>"
        f"{_legend(chart, left)}</svg>"
    )


def charts_svg(charts: list[Chart]) -> str:
    """All charts below one another, as the text of an SVG file."""
    height = sum(HEIGHT + 16 * len(chart.traces) for chart in charts)
    top, parts = 0, []
    for chart in charts:
        parts.append(f"<g transform='translate(0 {top})' color='#1d2126'>{_sized(chart_svg(chart), chart)}</g>")
        top += HEIGHT + 16 * len(chart.traces)
    ground = f"<rect width='{WIDTH}' height='{height}' fill='#fff'/>"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'>"
        f"{ground}{''.join(parts)}</svg>\n"
    )


def _sized(svg: str, chart: Chart) -> str:
    return svg.replace("<svg ", f"<svg width='{WIDTH}' height='{HEIGHT + 16 * len(chart.traces)}' ", 1)


def short(value: float) -> str:
    """A number at an axis."""
    return f"{value:.4g}"


def _axes(chart: Chart, left: int, width: int, span: tuple[float, float, float, float]) -> str:
    x0, x1, y0, y1 = span
    ink = "fill='currentColor'"
    box = f"x='{left}' y='{_TOP}' width='{width}' height='{_PLOT_H}'"
    parts = [f"<rect {box} fill='none' stroke='currentColor' opacity='.35'/>"]
    for place in range(_TICKS):
        share = place / (_TICKS - 1)
        value = x0 + (x1 - x0) * share
        text = short(10**value if chart.log_x else value)
        x, y = left + share * width, _TOP + _PLOT_H + 15
        anchor = "end" if place == _TICKS - 1 else "middle"
        parts.append(f"<text class='tx' x='{x:.1f}' y='{y}' text-anchor='{anchor}' {ink}>{text}</text>")
        if not chart.rows:
            level = short(y1 - (y1 - y0) * share)
            y = round(_TOP + share * _PLOT_H) + 4
            parts.append(
                f"<text class='ty' x='{left - 6}' y='{y}' text-anchor='end' fill='currentColor'>{level}</text>"
            )
    for place, name in enumerate(chart.rows):
        y = round(_TOP + _PLOT_H * (place + 0.5) / len(chart.rows)) + 4
        shown = escape(name if len(name) <= 26 else name[:25] + "…")
        parts.append(
            f"<text x='{left - 6}' y='{y}' text-anchor='end' {ink}>{shown}<title>{escape(name)}</title></text>"
        )
    parts.append(
        f"<text x='{left + width / 2:.1f}' y='{_TOP + _PLOT_H + 32}' text-anchor='middle' fill='currentColor' "
        f"opacity='.7'>{escape(chart.x)}</text>"
    )
    return "".join(parts)


def _legend(chart: Chart, left: int) -> str:
    if chart.rows or len(chart.traces) < 2:
        return ""
    parts = []
    for place, trace in enumerate(chart.traces):
        x, y = left + 215 * (place % 2), HEIGHT + 4 + 16 * (place // 2)
        name = trace.name if len(trace.name) <= 30 else trace.name[:29] + "…"
        parts.append(
            f"<rect x='{x}' y='{y - 8}' width='14' height='4' fill='{_color(trace)}'/>"
            f"<text x='{x + 20}' y='{y - 2}' fill='currentColor'>{escape(name)}</text>"
        )
    return "".join(parts)


def _color(trace: Trace) -> str:
    return COLORS[trace.color % len(COLORS)]


def _trace(chart: Chart, trace: Trace, span: tuple[float, float, float, float]) -> str:
    def at(point: Point) -> str:
        x0, x1, y0, y1 = span
        x = math.log10(point[0]) if chart.log_x else point[0]
        share = (y1 - point[1]) / (y1 - y0)
        if chart.rows:
            share = 1 - share  # rows count from the top
        return f"{_SIDE * (x - x0) / (x1 - x0):.1f} {_SIDE * share:.1f}"

    color = _color(trace)
    stroke = f"fill='none' stroke='{color}' vector-effect='non-scaling-stroke'"
    parts = [
        f"<path d='M{'L'.join(map(at, curve))}' {stroke} stroke-width='.7' opacity='.3'/>" for curve in trace.faint
    ]
    if trace.band:
        edge = [(x, low) for x, low, _ in trace.band] + [(x, high) for x, _, high in reversed(trace.band)]
        parts.append(f"<path d='M{'L'.join(map(at, edge))}Z' fill='{color}' opacity='.15'/>")
    if trace.dots:
        path = "".join(f"M{at(point)}h0" for point in trace.dots)
        parts.append(f"<path d='{path}' {stroke} stroke-width='7' stroke-linecap='round' opacity='.55'/>")
    if trace.line:
        name = escape(trace.name, quote=True)
        parts.append(
            f"<path class='line' data-name='{name}' d='M{'L'.join(map(at, trace.line))}' {stroke} stroke-width='2'/>"
        )
    return "".join(parts)
