"""The charts of a summary as a PNG picture, by matplotlib where it is installed."""

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dlcoder.experiments.charts import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 4
_COLUMNS = 2


def can_plot() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def plot(charts: Sequence[Chart]) -> bytes | None:
    """The first charts side by side; None where there is nothing to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    charts = charts[:_MOST]
    if not charts:
        return None
    lines = -(-len(charts) // _COLUMNS)
    figure = Figure(figsize=(4.6 * min(len(charts), _COLUMNS), 3.6 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, chart in enumerate(charts):
        _draw(figure.add_subplot(lines, min(len(charts), _COLUMNS), place + 1), chart)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def _draw(axes: "Axes", chart: Chart) -> None:
    for trace in chart.traces:
        color = f"C{trace.color % 10}"
        for curve in trace.faint:
            axes.plot(*zip(*curve, strict=True), color=color, linewidth=0.5, alpha=0.3)
        if trace.band:
            xs, low, high = zip(*trace.band, strict=True)
            axes.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
        if trace.dots:
            axes.plot(*zip(*trace.dots, strict=True), "o", color=color, alpha=0.5, markersize=4)
        if trace.line:
            axes.plot(*zip(*trace.line, strict=True), color=color, linewidth=1.4, label=trace.name[:28])
    axes.set_title(chart.title, fontsize=9)
    axes.set(xlabel=chart.x, ylabel=chart.y, xscale="log" if chart.log_x else "linear")
    if chart.rows:
        axes.set_yticks(range(len(chart.rows)), [name[:32] for name in chart.rows], fontsize=7)
        axes.set_ylim(len(chart.rows) - 0.5, -0.5)
    elif axes.lines and len(chart.traces) > 1:
        axes.legend(fontsize=7)
