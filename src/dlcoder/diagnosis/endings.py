"""How the logs of the ranks end: one that raised, ended in order or went on while the others waited for it."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dlcoder.diagnosis.collectives import reporting_ranks
from dlcoder.diagnosis.exceptions import WRAPPERS
from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.ranks import Reading

_WAITS = {"gloo.echo", "peer.connection", "watch.timeout", "ddp.join"}
_FAILS = ("exc.", "native.segv", "host.", "oom.", "nan.")
_ENDED = re.compile(
    r"\b(?:done|finish(?:ed|es)?|completed?|all (?:batches|steps|samples)|end of (?:epoch|training|data))\b"
    r"|(?<![\d/])(\d{1,9})/\1(?![\d/])",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:train\w*|run|job|script|process|everything)\b.{0,24}\b(?:done|finish|complete)", re.IGNORECASE
)
_COUNT = re.compile(r"(?<![\d/])(\d{1,9})/(\d{1,9})(?![\d/])")
_LONGEST_COUNT = 400
_NUMBER = re.compile(r"[\d.]+")
_TIMEOUTS = {"watch.timeout", "ddp.join"}
_Place = tuple[str, int] | None
_MOST_RANKS = 4096
_FOREIGN = {f"exc.{name}" for name in (*WRAPPERS, "KeyboardInterrupt", "DistBackendError")}
_COLLECTIVE = {"ddp-collective-mismatch", "ddp-divergent-branch", "ddp-peer-crash", "nccl-network", "nccl-system"}


def ending_facts(readings: Sequence[Reading]) -> list[Fact]:
    """`rank.raised`, `rank.ended` or `rank.went-on`, where the other ranks show only that they waited in vain.

    Of ranks that ended, `rank.shorter` says that they counted to a smaller total than those that waited.
    """
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    for reading in readings:
        for line in reading.document.lines:
            if line.rank is not None:
                lines[line.rank].append(line)
    if not 2 <= len(lines) <= _MOST_RANKS:
        return []
    facts = [fact for reading in readings for fact in reading.facts if fact.line and fact.line.rank is not None]
    waiting = {fact.line.rank for fact in facts if fact.line and fact.id in _WAITS}
    waiting |= {rank for rank, own in lines.items() if reporting_ranks(own)}
    failed = {fact.line.rank for fact in facts if fact.line and fact.id.startswith(_FAILS)}
    own = own_failures(facts) if waiting else []
    if own and not {fact.line.rank for fact in own if fact.line} & waiting:
        return [_raised(own)]
    clean = sorted(set(lines) - waiting - failed)
    if not waiting or not clean:
        return []
    slow = {_place(fact) for fact in facts if fact.id == "slow.work"}
    timeouts = any(fact.id in _TIMEOUTS for fact in facts)
    seen = {_shape(line) for rank in waiting if rank is not None for line in lines[rank]}
    told = [_ending(rank, lines[rank], seen, slow, timeouts) for rank in clean]
    told.append(_shorter({r: lines[r] for r in clean}, {r: lines[r] for r in lines if r in waiting}))
    return [fact for fact in told if fact]


def _shorter(clean: Mapping[int, list[Line]], waiting: Mapping[int, list[Line]]) -> Fact | None:
    """A rank that came to the end of a count whose total is larger on a rank that waits."""
    totals = {name: (rank, total) for rank, own in waiting.items() for name, (_, total, _) in _counts(own).items()}
    for rank, own in clean.items():
        for name, (done, total, line) in _counts(own).items():
            other, more = totals.get(name, (rank, total))
            if done == total < more:
                return Fact("rank.shorter", line, note=f"rank {rank} counts to {total}, rank {other} to {more}")
    return None


def _counts(lines: Sequence[Line]) -> dict[tuple[str, int], tuple[int, int, Line]]:
    """Of each count such as `step 3/8`, by kind of line and place in it: how far it came, of how many, and where."""
    return {
        (_shape(line), place): (int(count[1]), int(count[2]), line)
        for line in lines
        if "/" in line.text
        for place, count in enumerate(_COUNT.finditer(line.text[:_LONGEST_COUNT]))
    }


def own_failures(facts: Sequence[Fact]) -> list[Fact]:
    """The exceptions that are no effect of another process: nothing else is read out of their lines either."""
    effects = {_place(fact) for fact in facts if fact.role == "effect" or _COLLECTIVE & set(fact.weights)}
    raised = [fact for fact in facts if fact.id.startswith("exc.") and fact.id not in _FOREIGN and fact.line]
    return [fact for fact in raised if _place(fact) not in effects]


def _place(fact: Fact) -> _Place:
    return (fact.line.source, fact.line.number) if fact.line else None


def _raised(own: Sequence[Fact]) -> Fact:
    """The last exception of the rank that raised first: those above it in a chain led to it."""
    first = own[0].line
    line = next(fact.line for fact in reversed(own) if fact.line and first and fact.line.rank == first.rank)
    return Fact("rank.raised", line, note=f"rank {line.rank} raised an exception of its own; the others waited for it")


def _shape(line: Line) -> str:
    return _NUMBER.sub("#", line.text)


def _ending(rank: int, lines: Sequence[Line], seen: set[str], slow: set[_Place], timeouts: bool) -> Fact | None:
    """What the last line of a rank without a failure says.

    Often rank 0 alone prints progress. So while the others merely time out, its last line tells how far it came only
    where they print the same lines as it does, or where it speaks of the whole run.
    """
    last = lines[-1]
    shapes = [_shape(line) for line in lines]
    alike = any(shape in seen for shape in shapes)
    if _ENDED.search(last.text) and (alike or not timeouts or _WHOLE.search(last.text)):
        return Fact("rank.ended", last, note=f"rank {rank} ended in order")
    new = alike and shapes[-1] not in seen and shapes.count(shapes[-1]) == 1
    if new and _place(Fact("", last)) not in slow:
        return Fact("rank.went-on", last, note=f"rank {rank} went on past the point where the others wait")
    return None
