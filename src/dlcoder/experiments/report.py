"""A summary as the answer of the tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcoder.experiments.charts import charts_of
from dlcoder.experiments.page import render_page
from dlcoder.experiments.plots import can_plot, plot
from dlcoder.experiments.summary import ArmResult, Summary, summarize
from dlcoder.experiments.svg import charts_svg
from dlcoder.experiments.tables import ablation_table, contrast_table, result_table, stability_table
from dlcoder.progress import Progress, silent

_MOST_ROWS = 25


@dataclass(frozen=True)
class Report:
    """A summary in every form.

    Attributes:
        fields: Those of the tool's answer.
        picture: The charts as PNG, where matplotlib is installed.
        drawing: The charts as the text of an SVG file.
        page: All of it as the text of an HTML file.
    """

    fields: dict[str, Any]
    picture: bytes | None
    drawing: str
    page: str


def make_report(
    paths: Sequence[Path], baseline: str | None, metric: str | None, form: str, progress: Progress = silent
) -> Report:
    """Summarize runs.

    Args:
        paths: As for `summarize`, like the two that follow.
        baseline: The control.
        metric: What is compared.
        form: Of the tables: markdown, latex or csv.
        progress: Told while reading.
    """
    summary = summarize(paths, baseline, metric, progress)
    verdict = _verdict(summary)
    charts = charts_of(summary)
    page, picture = render_page(summary, verdict), plot(charts) if can_plot() else None
    warnings = list(summary.warnings)
    if len(summary.rows) > _MOST_ROWS:
        warnings.append(
            f"{len(summary.rows)} arms; the control and the best {_MOST_ROWS - 1} are shown, Holm counts all."
        )
    if not can_plot():
        warnings.append("No picture: install dlcoder[plots].")
    summary.rows = summary.rows[:_MOST_ROWS]
    fields: dict[str, Any] = dict(
        metric=summary.metric,
        baseline=summary.control,
        verdict=verdict,
        table=result_table(summary, form),
        ablation=ablation_table(summary, form),
        contrasts=contrast_table(summary, form),
        stability=stability_table(summary, form),
        arms=[_data(row) for row in summary.rows],
        warnings=warnings,
    )
    return Report(fields, picture, charts_svg(charts), page)


def _verdict(summary: Summary) -> str:
    sign = -1 if summary.lower else 1
    found = [row for row in summary.rows if row.p_holm is not None and row.p_holm < 0.05 and row.comparison]
    better = [row.arm.name for row in found if row.comparison and row.comparison.difference * sign > 0]
    worse = [row.arm.name for row in found if row.comparison and row.comparison.difference * sign < 0]
    parts = [f"better than {summary.control}: {', '.join(better[:5])}"] if better else []
    parts += [f"worse: {', '.join(worse[:5])}"] if worse else []
    said = "; ".join(parts) if parts else f"no arm differs significantly from {summary.control}"
    runs = f"{summary.runs} runs, {len(summary.rows)} arms, {summary.pick} {summary.metric}"
    return f"{said[0].upper()}{said[1:]} ({runs}, {'lower' if summary.lower else 'higher'} is better, Holm p < 0.05)."


def _data(row: ArmResult) -> dict[str, Any]:
    c = row.comparison
    data: dict[str, Any] = {"arm": row.arm.name, "n": len(row.values), "mean": row.mean, "sd": row.sd, "ci": row.ci}
    data |= {"bootstrap_ci": row.bootstrap, "gpu_hours": row.hours, "peak_mb": row.memory_mb}
    if c:
        data |= {
            "test": c.test,
            "difference": c.difference,
            "difference_ci": c.interval,
            "p": c.p,
            "p_holm": row.p_holm,
        }
        data |= {"effect_g": c.effect, "probability_higher": c.better, "p_permutation": c.p_permutation}
    return {key: value for key, value in data.items() if value is not None}
