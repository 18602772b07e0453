"""The diagnosis as one HTML file: verdict, causes, a timeline of the ranks, curves, the evidence in its log.

The file needs nothing but itself. Whatever a log says is escaped by the template (which escapes everything) or by the
drawings, and the page's own policy lets only the script run that stands in it as written here: what a hostile log might
still smuggle in stays text.
"""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dlcoder.diagnosis import page_curves, page_timeline
from dlcoder.diagnosis.diagnose import examine
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.page_lines import AROUND, Excerpt, Survey, excerpts, survey
from dlcoder.diagnosis.ranks import Reading, absent_ranks
from dlcoder.diagnosis.sources import Source, collect
from dlcoder.diagnosis.verdict import Diagnosis, Evidence
from dlcoder.errors import UserError
from dlcoder.progress import Progress, silent
from dlcoder.text import clean

_HERE = Path(__file__).parent
_MOST_READ = 256
"""Logs whose lines are shown on the timeline; more ranks than that fit on no screen."""
_MOST_CURVED = 4
_MOST_EXCERPTS = 40
_MOST_SAMPLED = 4000
"""Lines from all over a long log that its curves are drawn from."""
_STATUS = {
    "failed": "The run failed",
    "degraded": "The run goes wrong",
    "healthy": "The run is healthy",
    "unknown": "The log does not say",
}


@dataclass
class _Material:
    """What the page shows besides the answer."""

    readings: list[Reading] = field(default_factory=list)
    surveys: dict[str, Survey] = field(default_factory=dict)
    total: int = 0


def write_page(
    file: Path,
    log: str | None = None,
    paths: Sequence[Path] = (),
    context: str | None = None,
    code: str | None = None,
    environment: str | None = None,
    max_hypotheses: int = 5,
    progress: Progress = silent,
) -> Diagnosis:
    """Diagnose a run and write the page about it.

    Args:
        file: Where to write; an existing file is replaced.
        log: As for `diagnose`, like all that follow.
        paths: Files, directories or patterns.
        context: What the user says about the run.
        code: Source code of the run.
        environment: Versions and hardware.
        max_hypotheses: The most causes to show.
        progress: Told how much has been read.

    Raises:
        UserError: There is nothing to read, a log cannot be read, or the page cannot be written.
    """
    found, readings = examine(log, paths, context, code, environment, max_hypotheses, progress)
    prose = {"context": context, "code": code, "environment": environment}
    given = {name: text for name, text in prose.items() if text}
    text = render_page(found, readings, collect(log, paths), given)
    try:
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        problem = f"{str(file)!r} cannot be written: {error.strerror}."
        raise UserError(problem, "Name a file in an existing, writable directory.") from None
    return found


def render_page(
    found: Diagnosis, readings: Sequence[Reading], sources: Sequence[Source], prose: Mapping[str, str]
) -> str:
    """The page about a diagnosis.

    Args:
        found: The diagnosis.
        readings: The logs as they were read for it.
        sources: Where they lie.
        prose: `context`, `code` and `environment`, where given.

    Raises:
        UserError: A log cannot be read any more.
    """
    marks = _marks(found)
    material = _material(found, readings, sources, prose, marks)
    shown, anchors = _excerpts(material.surveys, marks)
    absent = absent_ranks(material.readings, [line for r in material.readings for line in r.document.lines])
    lanes = page_timeline.timeline(material.readings, found, absent)
    values = {
        "found": found,
        "status": _STATUS[found.status],
        "excerpts": shown,
        "anchors": anchors,
        "timeline": _Markup(page_timeline.draw(lanes, anchors)) if lanes.lanes else "",
        "hidden_lanes": lanes.hidden,
        "lane_kinds": {event.kind for lane in lanes.lanes for event in lane.events},
        "absent": absent,
        "curves": [_Markup(page_curves.draw(chart)) for chart in _charts(found, material)],
        "logs": len(material.readings),
        "total": material.total,
    }
    return _render(values)


def _marks(found: Diagnosis) -> dict[str, dict[int, list[int]]]:
    """Source -> line -> the numbers of the causes that it speaks for, negative where it speaks against them."""
    marks: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for rank, hypothesis in enumerate(found.hypotheses, 1):
        for item in hypothesis.evidence:
            if item.line > 0:
                marks[item.source][item.line].append(rank if item.supports else -rank)
    first = found.first_failure
    if first is not None and first.number > 0:
        marks[first.source][first.number].append(0)
    return marks


def _material(
    found: Diagnosis,
    readings: Sequence[Reading],
    sources: Sequence[Source],
    prose: Mapping[str, str],
    marks: Mapping[str, Mapping[int, Sequence[int]]],
) -> _Material:
    material = _Material(total=len(sources))
    known = {reading.document.name: reading for reading in readings}
    for source in _chosen([source for source in sources if source.name in known], found, marks):
        reading = known[source.name]
        material.readings.append(reading)
        material.surveys[source.name] = survey(source, reading.document, _around(marks.get(source.name, {})))
    for name, text in prose.items():
        if name in marks:
            source = Source(name, None, text, len(text))
            material.surveys[name] = survey(source, None, _around(marks[name]))
    return material


def _chosen(sources: Sequence[Source], found: Diagnosis, marks: Mapping[str, Any]) -> list[Source]:
    """The logs to show: those with evidence first, then in the order given."""
    ordered = sorted(sources, key=lambda source: source.name not in marks)[:_MOST_READ]
    return sorted(ordered, key=lambda source: (source.rank is None, source.rank or 0, source.name))


def _around(marked: Mapping[int, Any]) -> set[int]:
    return {number for line in marked for number in range(line - AROUND, line + AROUND + 1)}


def _excerpts(
    surveys: Mapping[str, Survey], marks: Mapping[str, Mapping[int, Sequence[int]]]
) -> tuple[list[Excerpt], dict[tuple[str, int], str]]:
    """The quoted lines among their neighbors, and the id of each quoted line in the page."""
    found = [one for name, seen in surveys.items() if name in marks for one in excerpts(name, seen.texts, marks[name])]
    found = sorted(found, key=lambda one: min(_weight(mark) for row in one.rows for mark in row.marks))
    found = found[:_MOST_EXCERPTS]
    places = [(one.source, row.number) for one in found for row in one.rows if row.marks]
    return found, {place: f"line-{index}" for index, place in enumerate(places, 1)}


def _weight(mark: int) -> int:
    """The order of excerpts: by the best cause that they speak about, the first failure with the first cause."""
    return abs(mark) or 1


def _charts(found: Diagnosis, material: _Material) -> list[page_curves.Chart]:
    """The curves of the log that has most of them among those that are likely to."""
    first = found.first_failure
    likely = sorted(
        material.readings,
        key=lambda r: (first is None or r.document.name != first.source, r.document.rank or 0, -r.document.size),
    )
    best: list[page_curves.Chart] = []
    for reading in likely[:_MOST_CURVED]:
        charts = page_curves.charts(_curve_lines(reading, material), reading.document.name, first)
        if _richness(charts) > _richness(best):
            best = charts
    return best


def _curve_lines(reading: Reading, material: _Material) -> list[Line]:
    document = reading.document
    sample = material.surveys[document.name].sample
    evenly = sample[:: len(sample) // _MOST_SAMPLED + 1]
    lines = {(line.number, line.raw): line for line in (*evenly, *document.routine, *document.lines)}
    return sorted(lines.values(), key=lambda line: line.number)


def _richness(charts: Sequence[page_curves.Chart]) -> int:
    return sum(min(len(curve.points), 50) for chart in charts for curve in chart.curves)


def _render(values: Mapping[str, Any]) -> str:
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    allowed = [_allowed("script", script), _allowed("style", style)]
    policy = "; ".join(["default-src 'none'", "base-uri 'none'", "form-action 'none'", *allowed])
    parts = {"script": _Markup(script), "style": _Markup(style), "policy": policy}
    return str(_environment().get_template("page.html.j2").render(**parts, **values))


def _allowed(what: str, text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"{what}-src 'sha256-{digest}'"


def _Markup(text: str) -> Any:  # noqa: N802 - a class, imported late
    from markupsafe import Markup

    return Markup(text)


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def visible(value: Any) -> Any:
        return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["evidence"] = _evidence
    environment.filters["web"] = lambda url: url if re.match(r"https?://", url) else ""
    return environment


def _evidence(items: Sequence[Evidence], supports: bool) -> list[Evidence]:
    return [item for item in items if item.supports is supports]
