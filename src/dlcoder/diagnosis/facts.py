"""What was established about a run, and the lines that establish it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dlcoder.diagnosis.lines import Line


@dataclass(frozen=True)
class Fact:
    """One thing that the input says.

    Attributes:
        id: Its name; rules refer to it.
        line: The line that says so; `None` for what follows from the whole.
        weights: Cause -> nats of log-odds that it adds by itself.
        role: `root`, `effect`, `clue` or `benign`, as for patterns.
        note: What it means, for a reader, where the line does not say it itself.
        values: Numbers and names that were read from the line.
    """

    id: str
    line: Line | None = None
    weights: dict[str, float] = field(default_factory=dict)
    role: str = "clue"
    note: str = ""
    values: dict[str, str] = field(default_factory=dict)


class Facts:
    """The facts of one run. The first line that establishes a fact is kept; repetition adds no weight."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_id: dict[str, Fact] = {}
        self._all: list[Fact] = []
        for fact in facts:
            self.add(fact)

    def add(self, fact: Fact) -> None:
        """Record `fact`; of two with the same name and weights the first stands."""
        self._all.append(fact)
        self._by_id.setdefault(fact.id, fact)

    def __contains__(self, name: object) -> bool:
        return name in self._by_id

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._all)

    def get(self, name: str) -> Fact | None:
        """The first fact of this name, or `None`."""
        return self._by_id.get(name)

    def ids(self) -> set[str]:
        """The names of all facts."""
        return set(self._by_id)
