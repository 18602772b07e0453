"""Many logs of one run: which holds the first failure, and which show only its effects."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlcoder.diagnosis.collectives import missing_ranks, read_work
from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.reading import Document

_EFFECT_CAUSES = {"ddp-peer-crash"}
_WEAK = 2.0


@dataclass
class Reading:
    """A document with its facts.

    Attributes:
        document: The lines.
        facts: What they say.
        strength: How much they say about a failure of their own, effects left out.
    """

    document: Document
    facts: list[Fact]
    strength: float = 0.0


def is_effect(fact: Fact) -> bool:
    """Whether the line is what the failure of another process causes."""
    return fact.role == "effect"


def own_strength(facts: Sequence[Fact]) -> float:
    """The strongest sign of a failure that started here, and the number of others."""
    best: dict[str, float] = {}
    effects = {(fact.line.source, fact.line.number, fact.line.raw) for fact in facts if fact.line and is_effect(fact)}
    for fact in facts:
        if is_effect(fact) or fact.role == "benign" or fact.id == "loss.falls":
            continue
        if fact.line and (fact.line.source, fact.line.number, fact.line.raw) in effects:
            continue
        weight = max((w for cause, w in fact.weights.items() if cause not in _EFFECT_CAUSES), default=0.0)
        if fact.id.split(".")[0] in _TELLING and not fact.weights:
            weight = max(weight, 1.0)
        best[fact.id] = max(best.get(fact.id, 0.0), weight)
    ordered = sorted((w for w in best.values() if w > 0), reverse=True)
    return sum(w * 0.6**i for i, w in enumerate(ordered))


_TELLING = {
    "exc",
    "nan",
    "norm",
    "scale",
    "loss",
    "gap",
    "time",
    "memory",
    "oom",
    "summary",
    "smi",
    "throughput",
    "runs",
    "accuracy",
    "collective",
    "finger",
    "slow",
}


def without_passing(reading: Reading) -> list[Fact]:
    """The facts less those of single odd lines that the run went past unmoved, such as warnings."""
    passing = reading.document.passing
    if not passing:
        return reading.facts
    return [
        f for f in reading.facts if f.line is None or (f.line.number, f.line.raw) not in passing or _stands_alone(f)
    ]


def _stands_alone(fact: Fact) -> bool:
    return is_effect(fact) or (fact.role == "root" and max(fact.weights.values(), default=0.0) >= 4.5)


def primary(readings: Sequence[Reading]) -> list[Reading]:
    """The readings whose failures are causes; the others show effects.

    Where no reading shows anything of its own, all are returned.
    """
    for reading in readings:
        reading.strength = own_strength(reading.facts)
    strongest = max((reading.strength for reading in readings), default=0.0)
    if strongest < _WEAK:
        telling = [r for r in readings if r.strength > 0.5 * strongest > 0 or any(map(is_effect, r.facts))]
        return telling or list(readings)
    return [reading for reading in readings if reading.strength >= 0.6 * strongest]


def absent_ranks(readings: Sequence[Reading], lines: Sequence[Line]) -> list[int]:
    """Ranks that do not report the timeout that the others report."""
    known = {r.document.rank for r in readings if r.document.rank is not None}
    known |= {line.rank for line in lines if line.rank is not None}
    return missing_ranks(read_work(lines), known)
