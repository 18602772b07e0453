"""The answer: hypotheses with their evidence, the first failure, what is missing, what to do next."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["failed", "degraded", "healthy", "unknown"]


@dataclass
class Evidence:
    """A quoted line, or what follows from several.

    Attributes:
        source: File name, or `log`, `context`, `code`, `environment`.
        line: Line number in the original input, from 1; 0 for what no single line says.
        text: The line, cleaned and cut to a readable length.
        note: What it means, where it does not say so itself.
        supports: Whether it speaks for the hypothesis (`True`) or against it.
    """

    source: str
    line: int
    text: str
    note: str = ""
    supports: bool = True


@dataclass
class Step:
    """A check or a fix in words, with its command or patch."""

    action: str
    command: str = ""
    expect: str = ""
    cost: float = 0.0


@dataclass
class Hypothesis:
    """One cause and why it is believed."""

    cause: str
    title: str
    probability: float
    evidence: list[Evidence]
    explanation: str = ""
    verify: list[Step] = field(default_factory=list)
    fix: list[Step] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


@dataclass
class FirstFailure:
    """Which rank failed first."""

    rank: int | None
    time: str
    line: str
    source: str
    number: int


@dataclass
class Diagnosis:
    """Everything that is known about the run."""

    status: Status
    summary: str
    hypotheses: list[Hypothesis]
    first_failure: FirstFailure | None
    progress: str
    missing: list[str]
    next_step: str
    benign: list[str] = field(default_factory=list)
    ranks: str = ""
