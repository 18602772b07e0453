"""The summary as one HTML file: verdict, doubts, charts to enlarge, tables to sort; it needs nothing but itself."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dlcoder import __version__
from dlcoder.experiments.charts import charts_of
from dlcoder.experiments.intervals import Interval
from dlcoder.experiments.summary import ArmResult, Summary
from dlcoder.experiments.svg import chart_svg
from dlcoder.experiments.tables import HEAD, ablation_rows, cells, contrast_rows, stability_rows

_HERE = Path(__file__).parent
_MOST_RUNS = 2000


class Cell(NamedTuple):
    """A cell of a table, and what it is sorted by where that is not what it shows."""

    text: str
    key: float | None = None


Table = tuple[str, Sequence[str], Sequence[Sequence[Cell]]]


def render_page(summary: Summary, verdict: str) -> str:
    """The page about a summary. Names that runs bring along are escaped by the template and the drawings."""
    from markupsafe import Markup

    script, style = (_HERE / "page.js").read_text("utf-8"), (_HERE / "page.css").read_text("utf-8")
    text: str = _template().render(
        summary=summary,
        verdict=verdict,
        charts=[Markup(chart_svg(chart)) for chart in charts_of(summary)],
        tables=[table for table in _tables(summary) if table[2]],
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        style=Markup(style),
        script=Markup(script),
        version=__version__,
    )
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((_HERE / "page.html.j2").read_text("utf-8"))


def _tables(summary: Summary) -> list[Table]:
    return [
        ("Results", HEAD, [_result(row) for row in summary.rows]),
        _plain("What each arm changes", ablation_rows(summary, "html")),
        _plain("Contrasts: do changes add up (x: 0 if so), what does each add to all?", contrast_rows(summary)),
        _plain("Under new seeds (bootstrap)", stability_rows(summary)),
        ("Runs", _RUN_HEAD, _runs(summary)),
    ]


def _result(row: ArmResult) -> list[Cell]:
    """The cells of an arm, sorted by numbers in full."""
    c = row.comparison
    keys: list[float | None] = [None, len(row.values), row.mean, row.sd, _low(row.ci), _low(row.bootstrap)]
    keys += [c.difference, _low(c.interval), c.p, row.p_holm, c.effect] if c else [None] * 5
    keys += [row.hours, row.memory_mb]
    return [Cell(text, key) for text, key in zip(cells(row), keys, strict=True)]


def _low(interval: Interval | None) -> float | None:
    return None if interval is None else interval.low


def _plain(title: str, rows: Sequence[Sequence[str]]) -> Table:
    head, *body = rows or [[]]
    return title, head, [[Cell(text) for text in row] for row in body]


_RUN_HEAD = ("run", "arm", "seed", "status", "value", "steps", "hours", "peak MB", "starts", "why")


def _runs(summary: Summary) -> list[list[Cell]]:
    found = []
    for row in summary.rows:
        for run in row.arm.runs:
            value = run.value(summary.metric, summary.pick, summary.lower)
            numbers = (value, run.steps, run.hours, run.memory_mb, run.starts)
            shown = [Cell("" if number is None else f"{number:.5g}", number) for number in numbers]
            seed = "" if run.seed is None else str(run.seed)
            found.append([Cell(run.name), Cell(row.arm.name), Cell(seed), Cell(run.status), *shown, Cell(run.why)])
    return found[:_MOST_RUNS]
