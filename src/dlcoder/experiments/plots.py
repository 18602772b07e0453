"""Pictures of runs, by matplotlib where it is installed."""

import io
from importlib.util import find_spec

from dlcoder.experiments.runs import Series
from dlcoder.experiments.summary import Summary

MOST_ARMS = 12


def can_plot() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def plot(summary: Summary, form: str = "png") -> bytes:
    """The curves of every arm (mean over seeds, band from least to most) beside each run's result and the interval.

    Args:
        summary: The arms; the first twelve are shown.
        form: png or svg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = summary.rows[:MOST_ARMS]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    curves, dots = figure.subplots(1, 2)
    for index, row in enumerate(rows):
        color = f"C{index % 10}"
        series = [run.series[summary.metric] for run in row.arm.runs if summary.metric in run.series]
        xs, middle, low, high = band(series)
        if xs:
            curves.plot(xs, middle, color=color, label=row.arm.name[:28], linewidth=1.2)
            curves.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
        dots.plot(list(row.values.values()), [index] * len(row.values), "o", color=color, alpha=0.5, markersize=4)
        if row.ci and row.mean is not None:
            dots.plot([row.ci.low, row.ci.high], [index, index], color=color)
            dots.plot([row.mean], [index], "|", color=color, markersize=12)
    curves.set(xlabel="step", ylabel=summary.metric)
    curves.legend(fontsize=7) if curves.lines else curves.set_axis_off()
    dots.set_yticks(range(len(rows)), [f"{row.arm.name[:28]} (n={len(row.values)})" for row in rows], fontsize=7)
    dots.invert_yaxis()
    dots.set(xlabel=f"{summary.metric}: runs and 95 % CI of the mean")
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=100)
    return out.getvalue()


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
