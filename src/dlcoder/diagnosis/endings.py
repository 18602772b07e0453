"""How the logs of the ranks end: one that ended in order or went on while the others still waited for it."""

import re
from collections import defaultdict
from collections.abc import Sequence

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
_NUMBER = re.compile(r"[\d.]+")
_MOST_RANKS = 4096


def ending_facts(readings: Sequence[Reading]) -> list[Fact]:
    """`rank.ended` or `rank.went-on` where one rank shows no failure and others show that they waited in vain."""
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    for reading in readings:
        for line in reading.document.lines:
            if line.rank is not None:
                lines[line.rank].append(line)
    if not 2 <= len(lines) <= _MOST_RANKS:
        return []
    facts = [fact for reading in readings for fact in reading.facts if fact.line and fact.line.rank is not None]
    waiting = {fact.line.rank for fact in facts if fact.line and fact.id in _WAITS}
    failed = {fact.line.rank for fact in facts if fact.line and fact.id.startswith(_FAILS)}
    slow = {(fact.line.source, fact.line.number) for fact in facts if fact.line and fact.id == "slow.work"}
    clean = sorted(set(lines) - waiting - failed)
    if not waiting or not clean:
        return []
    seen = {_NUMBER.sub("#", line.text) for rank in waiting if rank is not None for line in lines[rank]}
    return [fact for rank in clean for fact in _ending(rank, lines[rank][-1], seen, slow)]


def _ending(rank: int, last: Line, seen: set[str], slow: set[tuple[str, int]]) -> list[Fact]:
    if _ENDED.search(last.text):
        return [Fact("rank.ended", last, note=f"rank {rank} ended in order")]
    if _NUMBER.sub("#", last.text) not in seen and (last.source, last.number) not in slow:
        return [Fact("rank.went-on", last, note=f"rank {rank} went on past the point where the others wait")]
    return []
