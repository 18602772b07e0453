"""All patterns over a text: one pass finds their literals, then each alternative is tried where one of its own stands.

The pass is Hyperscan's where its wheel is installed, else RE2's set, else the standard library's substring search;
all three
find the same. Since an alternative only ever sees single lines of bounded length, no input can make matching slow.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, Protocol

from dlcoder.knowledge.literals import Alternative
from dlcoder.knowledge.signatures import Pattern, Scope, load_signatures

LONGEST_LINE = 4096
"""Characters of a line that patterns see; of a longer one, the first three quarters of that and the end."""
_REPEATS = 6
_TRIES = 4000
_SHORT = 1200
_ALIKE = 4
_NUMERALS = b"0123456789."
Spot = tuple[int, int]
"""(index of the literal, offset just behind it)."""


class Finder(Protocol):
    """Finds literals, in either case."""

    def find(self, block: bytes, every: bool) -> Iterator[Spot]:
        """Yield where literals end; with `every` false, at least one spot of each that is present."""


class _Hyperscan:
    """Two databases over the same literals, each compiled when it is first needed."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        import hyperscan

        self._hyperscan = hyperscan
        self._literals = literals
        self._databases: dict[bool, Any] = {}

    def _database(self, every: bool) -> Any:
        if every not in self._databases:
            engine, count = self._hyperscan, len(self._literals)
            flag = engine.HS_FLAG_CASELESS | (0 if every else engine.HS_FLAG_SINGLEMATCH)
            database = engine.Database(mode=engine.HS_MODE_BLOCK)
            database.compile(
                expressions=list(self._literals),
                ids=list(range(count)),
                elements=count,
                flags=[flag] * count,
                literal=True,
            )
            self._databases[every] = database
        return self._databases[every]

    def find(self, block: bytes, every: bool) -> Iterator[Spot]:
        spots: list[Spot] = []

        def on_match(literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
            spots.append((literal, end))

        self._database(every).scan(block, match_event_handler=on_match)
        yield from spots


class _Re2:
    """RE2's set says which literals a line holds."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        import re2  # type: ignore[import-untyped]

        self._set = re2.Set.SearchSet()
        for literal in literals:
            self._set.Add("(?i)" + re2.escape(literal.decode()))
        self._set.Compile()

    def find(self, block: bytes, every: bool) -> Iterator[Spot]:
        offset = 0
        for line in block.split(b"\n"):
            if line:
                for literal in self._set.Match(line) or ():
                    yield literal, offset + 1
            offset += len(line) + 1


class _Substring:
    """The standard library: each literal is searched for by itself."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        self._literals = literals

    def find(self, block: bytes, every: bool) -> Iterator[Spot]:
        lowered = block.lower()
        for index, literal in enumerate(self._literals):
            at = lowered.find(literal)
            while at >= 0:
                yield index, at + len(literal)
                at = lowered.find(literal, at + len(literal)) if every else -1


ENGINES: dict[str, Callable[[Sequence[bytes]], Finder]] = {"hyperscan": _Hyperscan, "re2": _Re2, "stdlib": _Substring}


def _finder(literals: Sequence[bytes], engine: str | None) -> Finder:
    if engine is not None:
        return ENGINES[engine](literals)
    for make in ENGINES.values():
        try:
            return make(literals)
        except ImportError:
            continue
    raise AssertionError("the standard library is always there")


def _visible(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return line[: LONGEST_LINE * 3 // 4] + " … " + line[-LONGEST_LINE // 4 :]


class Scanner:
    """The patterns of one scope, ready to be looked for.

    Attributes:
        patterns: The patterns; indices mean these.
        disabled: Alternatives to leave out, for judging how an answer depends on them.
        matched: The alternatives that the last call of `match` found.
    """

    def __init__(self, patterns: Sequence[Pattern], engine: str | None = None) -> None:
        self.patterns = tuple(patterns)
        self._alternatives = [(index, part) for index, p in enumerate(patterns) for part in p.alternatives]
        self._compiled: dict[int, re.Pattern[str]] = {}
        self._engine = engine
        self.disabled: frozenset[int] = frozenset()
        self.matched: set[int] = set()
        by_literal: defaultdict[str, list[int]] = defaultdict(list)
        for index, (_, part) in enumerate(self._alternatives):
            for literal in part.literals:
                by_literal[literal].append(index)
        self._literals = sorted(by_literal)
        self._owners = [by_literal[literal] for literal in self._literals]
        self._always = [i for i, (_, part) in enumerate(self._alternatives) if not part.literals]

    @cached_property
    def _fast(self) -> Finder:
        return _finder([literal.encode() for literal in self._literals], self._engine)

    @cached_property
    def _simple(self) -> Finder:
        return _Substring([literal.encode() for literal in self._literals])

    def _spots(self, block: bytes) -> Iterator[Spot]:
        """Where literals end; a sentence or two is not worth making an engine ready for."""
        short = len(block) < _SHORT and self._engine is None
        return (self._simple if short else self._fast).find(block, every=True)

    def _regex(self, index: int) -> re.Pattern[str]:
        compiled = self._compiled.get(index)
        if compiled is None:
            pattern, part = self._alternatives[index]
            compiled = re.compile(part.regex, re.IGNORECASE if self.patterns[pattern].ignore_case else 0)
            self._compiled[index] = compiled
        return compiled

    def _candidates(self, encoded: Sequence[bytes]) -> dict[int, list[int]]:
        """Alternative -> numbers of the lines that hold one of its literals, in order."""
        starts: list[int] = []
        offset = 0
        for data in encoded:
            starts.append(offset)
            offset += len(data) + 1
        wanted: defaultdict[int, set[int]] = defaultdict(set)
        for literal, end in self._spots(b"\n".join(encoded)):
            line = bisect_right(starts, end - 1) - 1
            for index in self._owners[literal]:
                if len(wanted[index]) < _TRIES:
                    wanted[index].add(line)
        everywhere = range(min(len(encoded), _TRIES))
        return {i: sorted(found) for i, found in wanted.items()} | {i: list(everywhere) for i in self._always}

    def match(self, lines: Sequence[str]) -> list[tuple[int, int]]:
        """Return (index of the pattern, index of the line) of the matches, at most six lines an alternative.

        Of lines that differ in their numbers alone, an alternative is tried on the first few only.
        """
        visible = [_visible(line) for line in lines]
        encoded = [line.encode("utf-8", "replace") for line in visible]
        shapes = [data[:300].translate(None, _NUMERALS) for data in encoded]
        hits: set[tuple[int, int]] = set()
        self.matched = set()
        for index, numbers in self._candidates(encoded).items():
            if index not in self.disabled:
                for number in self._found(index, numbers, visible, shapes):
                    hits.add((self._alternatives[index][0], number))
                    self.matched.add(index)
        return sorted(hits, key=lambda hit: (hit[1], hit[0]))

    def _found(
        self, index: int, numbers: Sequence[int], lines: Sequence[str], shapes: Sequence[bytes]
    ) -> Iterator[int]:
        regex = self._regex(index)
        failed: Counter[bytes] = Counter()
        found = 0
        for number in numbers:
            shape = shapes[number]
            if failed[shape] >= _ALIKE:
                continue
            if regex.search(lines[number]):
                yield number
                found += 1
                if found >= _REPEATS:
                    return
            else:
                failed[shape] += 1


@lru_cache(maxsize=16)
def scope_scanner(scope: Scope, engine: str | None = None) -> Scanner:
    """The patterns that are looked for in `scope`, made ready once a process.

    Args:
        scope: `log`, `context`, `code` or `environment`.
        engine: A name of `ENGINES`; the fastest that is installed where `None`.
    """
    return Scanner([p for p in load_signatures().patterns if scope in p.scopes], engine)


_ALWAYS_LOCATED = (
    "traceback (most",
    "error: ",
    "loss: nan",
    "loss=nan",
    "': nan",
    "nan (nan",
    "killed",
    "exitcode",
    "fatal error",
    "assertion",
)


def _is_message(pattern: Pattern) -> bool:
    """Whether the pattern is a message rather than prose, and tells something by itself."""
    prose = pattern.ignore_case and "context" in pattern.scopes
    return not prose and (pattern.role == "effect" or max(pattern.weights.values(), default=0.0) >= 2.5)


class Locator:
    """Finds where failures may lie in files too large to be read line by line."""

    _SHORTEST = 9

    def __init__(self, engine: str | None = None) -> None:
        strong = [p for p in load_signatures().patterns if "log" in p.scopes and _is_message(p)]
        literals = {
            literal for p in strong for part in p.alternatives if self._telling(part) for literal in part.literals
        }
        self.literals = sorted(literals | set(_ALWAYS_LOCATED))
        self._finder = _finder([literal.encode() for literal in self.literals], engine)

    def _telling(self, part: Alternative) -> bool:
        return 0 < len(part.literals) <= 8 and min(map(len, part.literals)) >= self._SHORTEST

    def find(self, block: bytes) -> list[Spot]:
        """At least the first spot of each literal in `block`, by offset."""
        return sorted(self._finder.find(block, every=False), key=lambda spot: spot[1])


@lru_cache(maxsize=2)
def locator(engine: str | None = None) -> Locator:
    """The locator, made ready once a process."""
    return Locator(engine)
