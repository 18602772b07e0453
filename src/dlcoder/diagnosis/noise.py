"""Boilerplate of libraries: lines that are printed in healthy runs too, and read like failures all the same."""

from collections.abc import Iterable

from dlcoder.diagnosis.facts import Fact
from dlcoder.knowledge.signatures import load_signatures

_ROOT = 3.0
_Place = tuple[str, int]


def _place(fact: Fact) -> _Place | None:
    return (fact.line.source, fact.line.number) if fact.line else None


def _muted(facts: Iterable[Fact], kind: str) -> tuple[set[str], set[_Place | None]]:
    """The patterns that mute lines in this way, and the lines on which they match."""
    names = {pattern.id for pattern in load_signatures().patterns if pattern.mutes == kind}
    return names, {_place(fact) for fact in facts if fact.id in names and fact.line}


def without_noise(facts: list[Fact]) -> list[Fact]:
    """Leave out what lines of boilerplate seem to say, other than what is known of them."""
    names, places = _muted(facts, "always")
    return [fact for fact in facts if fact.id in names or _place(fact) not in places]


def without_asides(facts: list[Fact]) -> list[Fact]:
    """Leave out warnings that can be a cause, where another line shows a failure: then they are not."""
    names, places = _muted(facts, "beside")
    others = (fact for fact in facts if places and fact.line and _place(fact) not in places)
    if not any(_is_failure(fact) for fact in others):
        return facts
    return [fact for fact in facts if fact.id in names or _place(fact) not in places]


def _is_failure(fact: Fact) -> bool:
    """Whether a line of the log, not the user's words, names a failure."""
    named = fact.line is not None and fact.line.source not in ("context", "code", "environment")
    return named and fact.role == "root" and max(fact.weights.values(), default=0.0) >= _ROOT
