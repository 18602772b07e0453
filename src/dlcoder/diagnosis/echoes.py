"""Lost connections: what the end of one process makes the others print, and nothing that they did themselves."""

import re
from collections.abc import Iterable, Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.tracebacks import Raised

_LOST = re.compile(
    r"typically caused by a remote worker|Application timeout caused pair closure"
    r"|(?:gloo|pair\.cc).{0,200}(?:Connection (?:closed|reset) by (?:remote )?peer|caused pair closure|Broken pipe)",
    re.DOTALL,
)
_OWN = re.compile(r"\[?[^\s\]]{0,200}(?:gloo|pair\.cc|Application timeout)")
_JOINED = "monitoredBarrier"
_LONGEST = 700


def is_echo(message: str) -> bool:
    """Whether a message says only that another process is gone; a barrier that names the absent rank says more."""
    # A terminal may have broken the message in the middle of a word.
    text = message[:_LONGEST].replace("\n", "")
    return bool(_LOST.search(text)) and _JOINED not in text


def raises_echo(raised: Raised) -> bool:
    """Whether an exception is an echo itself; the echoes of other ranks may follow it in a file that all share."""
    return bool(_OWN.match(raised.message.replace("\n", ""))) and is_echo(raised.message)


def without_echoes(facts: Iterable[Fact], exceptions: Sequence[Raised], lines: Sequence[Line]) -> list[Fact]:
    """Leave out what the tracebacks of echoes seem to say by their code and words, other than that they are echoes."""
    spans = [_span(raised) for raised in exceptions if raises_echo(raised)]
    loose = {(line.source, line.number) for line in lines if "eer" in line.text and is_echo(line.text)}
    if not spans and not loose:
        return list(facts)
    return [fact for fact in facts if not _drops(fact, spans, loose)]


def _span(raised: Raised) -> tuple[str, int | None, int, int]:
    """The lines of a traceback with the message below it: source, rank, first, last."""
    first = raised.frames[0].line.number if raised.frames else raised.line.number
    return raised.line.source, raised.line.rank, first, raised.line.number + raised.message.count("\n")


def _drops(fact: Fact, spans: Sequence[tuple[str, int | None, int, int]], loose: set[tuple[str, int]]) -> bool:
    line = fact.line
    if line is None or fact.role == "effect" or fact.id.startswith("exc."):
        return False
    if (line.source, line.number) in loose:
        return True
    return any(s == line.source and r == line.rank and first <= line.number <= last for s, r, first, last in spans)
