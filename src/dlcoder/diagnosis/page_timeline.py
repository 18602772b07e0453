"""Who failed when: one lane a rank, the first failure marked, its effects grey, silent ranks shown as such."""

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.ranks import Reading, is_effect
from dlcoder.diagnosis.verdict import Diagnosis
from dlcoder.text import clean

MOST_LANES = 48
_MOST_EVENTS = 40
_STRONG = 2.0
_DAY_S = 86_400.0
_DATED = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_CLOCK = re.compile(r"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_LEFT, _RIGHT, _ROW, _TOP = 150, 950, 24, 12

Kind = Literal["first", "failure", "effect"]
Axis = Literal["time", "line", "share"]
_SIZES = {"first": 7, "failure": 5, "effect": 4}


@dataclass(frozen=True)
class Event:
    """A line that reports a failure, and where on the axis it stands."""

    kind: Kind
    line: Line
    at: float
    tip: str


@dataclass
class Lane:
    """One rank, or one log whose rank is unknown.

    Attributes:
        name: Its label.
        rank: The rank, where known.
        start: Where on the axis its first line stands.
        end: Where its last line stands.
        events: Failures that it reports.
        absent: Whether others wait for it.
        timed: Whether its place on a time axis is known.
    """

    name: str
    rank: int | None
    start: float = 0.0
    end: float = 0.0
    events: list[Event] = field(default_factory=list)
    absent: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Timeline:
    """The lanes in order; `hidden` more were left out. The axis is time, lines of one log, or each log's own share."""

    lanes: tuple[Lane, ...]
    axis: Axis
    start: float
    end: float
    hidden: int = 0


def timeline(readings: Sequence[Reading], diagnosis: Diagnosis, absent: Sequence[int]) -> Timeline:
    """Put the lines of all ranks on one axis: time where time stamps allow, else the place in the log.

    Args:
        readings: Every log with its facts.
        diagnosis: The answer; its first failure and best cause decide what is marked.
        absent: Ranks that the others wait for.
    """
    clocks = [_clock(reading) for reading in readings]
    timed = sum(bool(clock) for clock in clocks)
    times = {time for clock in clocks for time in clock.values()}
    axis: Axis = "share" if len(readings) > 1 else "line"
    if len(times) >= 2 and 2 * timed >= len(readings):
        axis = "time"
    cause = diagnosis.hypotheses[0].cause if diagnosis.hypotheses else ""
    lanes: dict[int | str, Lane] = {}
    for reading, clock in zip(readings, clocks, strict=True):
        places = clock if axis == "time" else _by_line(reading, stretch=axis == "share")
        _add_lanes(lanes, reading, places, axis != "time" or bool(clock))
        _add_events(lanes, reading, places, diagnosis, cause)
    for rank in absent:
        lanes.setdefault(rank, Lane(f"rank {rank}", rank, timed=False)).absent = True
    ordered = sorted(lanes.values(), key=lambda lane: (lane.rank is None, lane.rank or 0, lane.name))
    kept = sorted(ordered, key=_importance)[:MOST_LANES]
    shown = tuple(lane for lane in ordered if any(lane is one for one in kept))
    ends = [lane.end for lane in ordered if lane.timed] or [1.0]
    starts = [lane.start for lane in ordered if lane.timed] or [0.0]
    return Timeline(shown, axis, min(starts), max(max(ends), min(starts) + 1e-3), len(ordered) - len(shown))


def _importance(lane: Lane) -> tuple[int, int]:
    kinds = {event.kind for event in lane.events}
    level = 0 if "first" in kinds else 1 if lane.absent else 2 if "failure" in kinds else 3 if kinds else 4
    return level, lane.rank or 0


def _key(line: Line, reading: Reading) -> int | str:
    if line.rank is not None:
        return line.rank
    return reading.document.rank if reading.document.rank is not None else reading.document.name


def _add_lanes(lanes: dict[int | str, Lane], reading: Reading, places: Mapping[int, float], timed: bool) -> None:
    for line in (*reading.document.lines, *reading.document.routine):
        key = _key(line, reading)
        at = places.get(line.number)
        lane = lanes.get(key)
        if lane is None:
            rank = key if isinstance(key, int) else None
            name = f"rank {key}" if isinstance(key, int) else clean(key, 22)
            lane = lanes[key] = Lane(name, rank, at or 0.0, at or 0.0, timed=timed and at is not None)
        elif at is not None:
            if not lane.timed and timed:
                lane.start = lane.end = at
                lane.timed = True
            lane.start, lane.end = min(lane.start, at), max(lane.end, at)


def _add_events(
    lanes: dict[int | str, Lane], reading: Reading, places: Mapping[int, float], diagnosis: Diagnosis, cause: str
) -> None:
    seen: set[int] = set()
    first = diagnosis.first_failure
    for fact in sorted(reading.facts, key=lambda fact: _rank_of_kind(fact, cause)):
        line = fact.line
        kind = _kind(fact, cause)
        if line is None or kind is None or line.number in seen:
            continue
        seen.add(line.number)
        if first is not None and (line.source, line.number) == (first.source, first.number):
            kind = "first"
        lane = lanes.get(_key(line, reading))
        if lane is not None and (kind == "first" or len(lane.events) < _MOST_EVENTS):
            tip = clean(f"{line.source}:{line.number} {line.time} {line.raw.strip()}", 240)
            lane.events.append(Event(kind, line, places.get(line.number, lane.end), " ".join(tip.split())))


def _kind(fact: Fact, cause: str) -> Kind | None:
    """What a fact is on the timeline; `None` for what is no failure."""
    if is_effect(fact):
        return "effect"
    if fact.role == "benign":
        return None
    weight = max(fact.weights.values(), default=0.0)
    told = fact.role == "root" and weight >= _STRONG
    return (
        "failure" if told or fact.weights.get(cause, 0.0) >= _STRONG or fact.id.startswith(("exc.", "nan.")) else None
    )


def _rank_of_kind(fact: Fact, cause: str) -> tuple[bool, int]:
    """Failures before effects, so that a line which is both counts as a failure only if it is one of its own."""
    return _kind(fact, cause) != "effect", fact.line.number if fact.line else 0


def _clock(reading: Reading) -> dict[int, float]:
    """Seconds of each line that a time stamp at it or above it dates; empty where the log has none."""
    lines = sorted((*reading.document.lines, *reading.document.routine), key=lambda line: line.number)
    dated = [(line.number, _DATED.search(line.time)) for line in lines if line.time]
    whole = bool(dated) and sum(found is not None for _, found in dated) * 2 > len(dated)
    places: dict[int, float] = {}
    now: float | None = None
    for line in lines:
        stamp = seconds(line.time, dated=whole) if line.time else None
        now = stamp if stamp is not None else now
        if now is not None:
            places[line.number] = now
    return places


def seconds(stamp: str, *, dated: bool) -> float | None:
    """A printed time in seconds; the same scale for all stamps with a date, and another for clock times alone."""
    found = _DATED.search(stamp)
    if found:
        year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
        try:
            days = datetime.date(year, month, day).toordinal()
        except ValueError:
            return None
        return days * _DAY_S + hour * 3600 + minute * 60 + second + float(f"0.{found[7] or 0}")
    clock = _CLOCK.search(stamp)
    if clock is None or dated:
        return None
    return int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3]) + float(f"0.{clock[4] or 0}")


def _by_line(reading: Reading, stretch: bool) -> dict[int, float]:
    """The place of each line: its number, or with several logs its share of its own log."""
    numbers = {line.number for line in (*reading.document.lines, *reading.document.routine)}
    last = max([reading.document.total_lines, 1, *numbers])
    return {number: number / last * 100 if stretch else float(number) for number in numbers}


def draw(shown: Timeline, anchors: Mapping[tuple[str, int], str]) -> str:
    """The timeline as an `svg` element; every text in it is escaped.

    Args:
        shown: What to draw.
        anchors: (source, line number) -> the id of the element that quotes the line, for links.
    """
    height = _TOP + _ROW * len(shown.lanes) + 26
    parts = [f'<svg class="timeline" viewBox="0 0 1000 {height}" role="img" aria-label="Failures of each rank">']
    for row, lane in enumerate(shown.lanes):
        parts += _lane(lane, _TOP + _ROW * row + _ROW // 2, shown, anchors)
    bottom = _TOP + _ROW * len(shown.lanes)
    parts += _axis(shown, bottom)
    return "\n".join([*parts, "</svg>"])


def _x(at: float, shown: Timeline) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * min(max((at - shown.start) / (shown.end - shown.start), 0.0), 1.0), 1)


def _lane(lane: Lane, y: int, shown: Timeline, anchors: Mapping[tuple[str, int], str]) -> list[str]:
    first = any(event.kind == "first" for event in lane.events)
    state = "first" if first else "absent" if lane.absent else "failed" if lane.events else ""
    parts = [f'<text class="lane {state}" x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(lane.name)}</text>']
    if lane.absent:
        parts.append(f'<line class="silent" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="note" x="{_RIGHT}" y="{y - 4}" text-anchor="end">the others wait for it</text>')
    if lane.timed or lane.events:
        where = (_x(lane.start, shown), _x(lane.end, shown)) if lane.timed else (_LEFT, _RIGHT)
        kind = "span" if lane.timed else "span untimed"
        parts.append(f'<line class="{kind}" x1="{where[0]}" x2="{max(where[1], where[0] + 2)}" y1="{y}" y2="{y}"/>')
    order = {"effect": 0, "failure": 1, "first": 2}
    for event in sorted(lane.events, key=lambda event: order[event.kind]):
        parts.append(_event(event, _x(event.at, shown) if lane.timed else _RIGHT, y, anchors))
    return parts


def _event(event: Event, x: float, y: int, anchors: Mapping[tuple[str, int], str]) -> str:
    size = _SIZES[event.kind]
    tip = escape(event.tip)
    shape = f'class="event {event.kind}" cx="{x}" cy="{y}" r="{size}"'
    dot = f'<circle {shape} data-tip="{tip}"><title>{tip}</title></circle>'
    target = anchors.get((event.line.source, event.line.number))
    return f'<a href="#{escape(target)}">{dot}</a>' if target else dot


def _axis(shown: Timeline, y: int) -> Iterable[str]:
    yield f'<line class="base" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>'
    for i in range(5):
        at = shown.start + (shown.end - shown.start) * i / 4
        x = _LEFT + (_RIGHT - _LEFT) * i / 4
        yield f'<text class="tick" x="{x:g}" y="{y + 16}" text-anchor="middle">{escape(_tick(at, shown))}</text>'


def _tick(at: float, shown: Timeline) -> str:
    if shown.axis != "time":
        return f"line {at:.0f}" if shown.axis == "line" else f"{at:.0f} %"
    second = at % _DAY_S
    clock = f"{int(second // 3600):02d}:{int(second // 60 % 60):02d}:{int(second % 60):02d}"
    if at >= _DAY_S and shown.end - shown.start > _DAY_S:
        return f"{datetime.date.fromordinal(int(at // _DAY_S)):%m-%d} {clock}"
    return f"{clock}.{int(second * 10 % 10)}" if shown.end - shown.start < 20 else clock
