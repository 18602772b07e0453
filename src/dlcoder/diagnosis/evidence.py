"""Collect the facts of a run from its lines: patterns, exceptions, memory arithmetic, series, hardware."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dlcoder.diagnosis.collectives import collective_facts
from dlcoder.diagnosis.cut import cut_facts
from dlcoder.diagnosis.echoes import without_echoes
from dlcoder.diagnosis.exceptions import exception_facts
from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.hardware import hardware_facts
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.matcher import scope_scanner
from dlcoder.diagnosis.memory import memory_facts
from dlcoder.diagnosis.noise import without_noise
from dlcoder.diagnosis.tables import table_facts
from dlcoder.diagnosis.tracebacks import Raised, find_exceptions
from dlcoder.diagnosis.trends import trend_facts
from dlcoder.knowledge.signatures import Scope

_NATIVE_FRAME = re.compile(r"\s*frame #\d+: ")
"""Lines of a C++ backtrace: their symbols would read as messages."""
_LIBRARY_SAYS = re.compile(
    r"(?:User|Future|Deprecat\w*|Runtime|FP16Deprecat\w*)Warning: "
    r"|^\W*(?:[A-Za-z_]\w*\.){0,6}[A-Z]\w{0,60}(?:Error|Exception): "
)
"""What libraries warn of or raise in general terms; a person who writes the same words means this run."""


_RAISING = re.compile(r"[\s│|]*(?:-{2,}>|❱)\s{0,4}(\d{1,6})\b")
"""The line that raised, as notebooks and rich tracebacks mark it among its neighbors."""
_NEIGHBOR = re.compile(r"[\s│|]*(\d{1,6})(?=[\s│|]|$)")


def _neighbors(lines: Sequence[Line]) -> set[int]:
    """Indices of lines of source code that stand around the line that raised and did not raise themselves."""
    found: set[int] = set()
    for i, line in enumerate(lines):
        arrow = _RAISING.match(line.text[:60]) if ">" in line.text[:40] or "❱" in line.text[:40] else None
        if not arrow:
            continue
        for way in (-1, 1):
            at, number = i + way, int(arrow[1]) + way
            while 0 <= at < len(lines) and (code := _NEIGHBOR.match(lines[at].text[:60])) and int(code[1]) == number:
                found.add(at)
                at, number = at + way, number + way
    return found


def pattern_facts(lines: Sequence[Line], scope: Scope) -> list[Fact]:
    """The patterns of `scope` that match among `lines`."""
    if not lines:
        return []
    scanner = scope_scanner(scope)
    facts = []
    around = _neighbors(lines) if scope == "log" else set()
    texts = ["" if i in around or _NATIVE_FRAME.match(line.text) else line.text for i, line in enumerate(lines)]
    for index, number in scanner.match(texts):
        pattern = scanner.patterns[index]
        prose = pattern.ignore_case and pattern.id.endswith("words")
        if prose and _LIBRARY_SAYS.search(lines[number].text[:400]):
            continue
        facts.append(Fact(pattern.id, lines[number], dict(pattern.weights), pattern.role, pattern.note))
    return facts


_TERMINALS = {64, 72, 79, 80, 90, 96, 100, 110, 119, 120, 128, 132, 140, 150, 160, 180, 200}
"""Widths at which a terminal or a mail program breaks lines: there even a single line that is full looks broken."""


def _unwrapped(lines: Sequence[Line]) -> list[Line]:
    """Lines that a terminal broke at its width, put together again; empty where nothing looks broken."""
    widths = Counter(len(line.raw) for line in lines if len(line.raw) >= 60)
    if not widths:
        return []
    width, count = widths.most_common(1)[0]
    longest = max(widths)
    few = count < 3 or count < 0.1 * len(lines)
    if width < longest - 1 or (few and longest not in _TERMINALS):
        return []
    joined: list[Line] = []
    pending: Line | None = None
    for line in lines:
        if pending is not None:
            pending = Line(
                pending.source,
                pending.number,
                pending.raw + line.raw,
                pending.text + line.raw,
                pending.rank,
                pending.time,
            )
        else:
            pending = line
        if len(line.raw) < longest - 1 or len(pending.text) > 8000:
            joined.append(pending)
            pending = None
    return joined + ([pending] if pending else [])


_TRANSFERRED = re.compile(r"Transferred (\d+)/(\d+) items")
_BAR = re.compile(
    r"^\W*([^|%\[\]]{0,60}?)\W*\d{1,3}%\|[^|]{0,200}\| *\d+/\d+ \[(?:(\d+):)?(\d+):(\d\d)<[^,\]]*, *[\d.?]+ ?(\S+)"
)
_OF_TRAINING = re.compile(r"train|epoch|step|iter|loss", re.IGNORECASE)
_LONG_WORK = 300
"""Seconds after which a bar of other work than training may keep the other ranks waiting."""


def _is_long_work(line: Line) -> bool:
    """Whether a progress bar of something else than training has been running for minutes."""
    found = "%|" in line.text and _BAR.match(line.text[:600])
    if not found or _OF_TRAINING.search(line.text[:600]):
        return False
    elapsed = int(found[2] or 0) * 3600 + int(found[3]) * 60 + int(found[4])
    named = bool(found[1]) or not found[5].startswith(("it/", "s/it"))
    return named and elapsed >= _LONG_WORK


def _number_facts(lines: Sequence[Line]) -> list[Fact]:
    facts = []
    for line in lines:
        found = _TRANSFERRED.search(line.text[:500])
        if found and int(found[1]) < 0.5 * int(found[2]):
            facts.append(Fact("ckpt.transferred-few", line, note=f"{found[1]} of {found[2]}"))
        if _is_long_work(line):
            facts.append(Fact("slow.bar", line, note="this work kept one rank busy for minutes"))
    return facts


# a few steps at the beginning of a long log look flat in every run
_NEEDS_ALL = {"loss.flat", "loss.flat-early", "loss.at-log-k"}


def log_facts(lines: Sequence[Line], whole: bool = True) -> tuple[list[Fact], list[Raised]]:
    """All facts of one document (a pasted log or one file), and its exceptions.

    Args:
        lines: Its lines.
        whole: Whether they are all of its lines; else neighbours need not be neighbours in the file.
    """
    facts = pattern_facts(lines, "log")
    joined = _unwrapped(lines) if whole else []
    if joined:
        facts += pattern_facts(joined, "log")
    exceptions = find_exceptions(lines)
    facts += exception_facts(exceptions)
    facts += cut_facts(lines, exceptions)
    facts += memory_facts(joined or lines)
    facts += collective_facts(lines)
    facts += table_facts(lines)
    facts += [fact for fact in trend_facts(lines)[0] if whole or fact.id not in _NEEDS_ALL]
    facts += _number_facts(lines)
    return without_noise(without_echoes(facts, exceptions, lines)), exceptions


_SCRIPTS_MEET = re.compile("(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])")
"""Chinese is written without spaces: there, words of another script have no boundary of their own."""


def prose_facts(lines: Sequence[Line], scope: Scope) -> list[Fact]:
    """The facts of what the user says, of code, or of a description of the environment."""
    facts = pattern_facts(lines, scope)
    spaced = [replace(line, text=_SCRIPTS_MEET.sub(" ", line.text)) for line in lines]
    facts += pattern_facts([new for new, old in zip(spaced, lines, strict=True) if new.text != old.text], scope)
    return [Fact(f.id, f.line, f.weights, "clue" if scope != "environment" else f.role, f.note) for f in facts]


def shared_facts(lines: Sequence[Line]) -> list[Fact]:
    """Facts that need all scopes together: the GPU in one, the CUDA version in another."""
    return hardware_facts(lines)
