"""Collectives by (sequence number, operation, size) over ranks: who is absent, behind, or runs something else."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line

_WORK = re.compile(
    r"WorkNCCL\((?:SeqNum=(\d{1,12}), )?OpType=(\w{1,40})(?:, NumelIn=(\d{1,15}))?(?:, NumelOut=(\d{1,15}))?(?:, "
    r"Timeout\(ms\)=(\d{1,12}))?"
)
_STATUS = re.compile(r"last enqueued(?: NCCL)? work: (-?\d{1,12}), last completed(?: NCCL)? work: (-?\d{1,12})")
_RANK = re.compile(r"\[(?:PG (?:ID )?(\S{1,40}) (?:PG GUID \S{1,40} )?)?Rank (\d{1,7})\]")
_CLOCK = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")
_FINGER = re.compile(
    r"Rank (\d{1,7}) is running collective: CollectiveFingerPrint\((?:SequenceNumber=(\d{1,12}),? "
    r"?)?OpType=(\w{1,40})(?:, TensorShape=\[([\d, ]*)\])?"
)


@dataclass(frozen=True)
class Work:
    """One record of one rank.

    Attributes:
        rank: The rank that reports it.
        group: Its process group, where the line names it: sequence numbers of different groups do not compare.
        sequence: The sequence number; -1 where the version of torch prints none.
        operation: The operation.
        size: The number of input elements, where it is printed.
        line: The line.
        timeout_ms: The timeout, or 0.
    """

    rank: int
    group: str
    sequence: int
    operation: str
    size: str
    line: Line
    timeout_ms: int


def _reporter(line: Line) -> tuple[int | None, str]:
    """The rank and the process group that a line speaks for."""
    found = _RANK.search(line.text[:2000])
    return (int(found[2]), found[1] or "") if found else (line.rank, "")


def read_work(lines: Sequence[Line], limit: int = 20_000) -> list[Work]:
    """The watchdog's records of the collective that timed out, one a line."""
    records: list[Work] = []
    groups: dict[int | None, set[str]] = defaultdict(set)
    for line in lines:
        if "WorkNCCL(" not in line.text and "[PG " not in line.text:
            continue
        rank, group = _reporter(line)
        groups[rank] |= {group} - {""}
        found = _WORK.search(line.text[:2000])
        if found and rank is not None and len(records) < limit:
            sequence = int(found[1]) if found[1] else -1
            records.append(Work(rank, group, sequence, found[2], found[3] or "", line, int(found[5] or 0)))
    names = set().union(*groups.values())
    known = {rank: next(iter(own)) for rank, own in groups.items() if len(own) == 1} if len(names) > 1 else {}
    return [replace(record, group=(record.group or known.get(record.rank, "")) if known else "") for record in records]


def _few(ranks: Sequence[int]) -> str:
    shown = ", ".join(map(str, ranks[:6])) + (", ..." if len(ranks) > 6 else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"


def _minority(values: Mapping[int, str]) -> tuple[list[int], list[int]] | None:
    """The ranks whose value is not the commonest, and the others; `None` where all agree."""
    counts = Counter(values.values())
    if len(counts) < 2:
        return None
    usual = counts.most_common(1)[0][0]
    return sorted(r for r, v in values.items() if v != usual), sorted(r for r, v in values.items() if v == usual)


def _differing(name: str, ranks: Mapping[int, Work], values: Mapping[int, str], note: str) -> list[Fact]:
    """A fact that names the ranks with the rarer value, and both values."""
    split = _minority(values)
    if not split:
        return []
    odd, usual = split
    told = note.format(odd=_few(odd), value=values[odd[0]], usual=_few(usual), other=values[usual[0]])
    return [Fact(name, ranks[odd[0]].line, note=told, values={"rank": str(odd[0])})]


def _tuple_facts(records: Sequence[Work]) -> list[Fact]:
    """Where ranks are at the same number of the same group and do not run the same."""
    by_number: dict[tuple[str, int], dict[int, Work]] = defaultdict(dict)
    for record in records:
        by_number[record.group, record.sequence].setdefault(record.rank, record)
    facts: list[Fact] = []
    for (_, number), ranks in sorted(by_number.items())[:2000]:
        operations = {rank: record.operation for rank, record in ranks.items()}
        sizes = {rank: record.size for rank, record in ranks.items() if record.size}
        at = (f"at sequence number {number} " if number >= 0 else "when the timeout ran out ") + "{odd} "
        facts += _differing("collective.op-differs", ranks, operations, at + "runs {value}, {usual} {other}") or (
            _differing("collective.size-differs", ranks, sizes, at + "has {value} elements, {usual} {other}")
        )
    return facts


def _status(lines: Sequence[Line]) -> dict[str, dict[int, tuple[int, Line]]]:
    """Group -> rank -> (how many collectives it has enqueued, line)."""
    status: dict[str, dict[int, tuple[int, Line]]] = defaultdict(dict)
    for line in lines:
        found = _STATUS.search(line.text[:2000]) if "last enqueued" in line.text else None
        rank, group = _reporter(line) if found else (None, "")
        if found and rank is not None and len(status[group]) <= 100_000:
            status[group][rank] = (int(found[1]), line)
    return status


def _behind(reached: Mapping[int, tuple[int, Line]], verb: str) -> list[Fact]:
    """The rank that is furthest behind where most are further."""
    if len({number for number, _ in reached.values()}) < 2 or len(reached) > 100_000:
        return []
    rank = min(reached, key=lambda one: (reached[one][0], one))
    number, line = reached[rank]
    most = max(other for other, _ in reached.values())
    if sum(other == number for other, _ in reached.values()) > len(reached) / 2:
        return []
    note = f"rank {rank} {verb} {number}, others {most}"
    return [Fact("collective.absent-rank", line, note=note, values={"rank": str(rank)})]


def _lag_facts(lines: Sequence[Line], records: Sequence[Work]) -> list[Fact]:
    """Which rank has come less far than the others."""
    for ranks in _status(lines).values():
        if facts := _behind(ranks, "has enqueued collective number"):
            return facts
    by_group: dict[str, dict[int, tuple[int, Line]]] = defaultdict(dict)
    for record in records:
        reached = by_group[record.group]
        if record.sequence > reached.get(record.rank, (-1, record.line))[0]:
            reached[record.rank] = (record.sequence, record.line)
    return [fact for ranks in by_group.values() for fact in _behind(ranks, "is at")][:1]


def work_facts(lines: Sequence[Line]) -> list[Fact]:
    """What the watchdogs' records of all ranks show together."""
    records = read_work(lines)
    return _tuple_facts(records) + _lag_facts(lines, records)


def reporting_ranks(lines: Sequence[Line]) -> set[int]:
    """The ranks whose watchdogs report a collective that timed out."""
    reports = (line for line in lines if "WorkNCCL(" in line.text or "last enqueued" in line.text)
    return {rank for rank, _ in map(_reporter, reports) if rank is not None}


def missing_ranks(records: Sequence[Work], known: set[int]) -> list[int]:
    """Ranks that are known to exist but report no timeout: the absent ones, to be looked at first."""
    reporting = {record.rank for record in records}
    world = known | reporting
    if not reporting:
        return []
    expected = set(range(max(world) + 1)) if max(world) < 100_000 else world
    absent = sorted(expected - reporting)
    return absent if len(absent) <= max(2, len(expected) // 2) else []


def _seconds(line: Line) -> float | None:
    found = _CLOCK.search(line.raw[:60])
    if not found:
        return None
    _, month, day, hour, minute, second = (int(group) for group in found.groups())
    return (((month * 31 + day) * 24 + hour) * 60 + minute) * 60.0 + second


def _gap_facts(lines: Sequence[Line], records: Sequence[Work]) -> list[Fact]:
    """Whether nothing was logged from some line until the timeout ran out."""
    if not records or not records[0].timeout_ms:
        return []
    end = _seconds(records[0].line)
    before = [line for line in lines if line.number < records[0].line.number and line.source == records[0].line.source]
    for line in reversed(before[-20:]):
        start = _seconds(line)
        if start is None or end is None:
            continue
        if abs((end - start) - records[0].timeout_ms / 1000) < 0.05 * records[0].timeout_ms / 1000 + 5:
            return [
                Fact("slow.gap", line, note="the timeout began right after this line, and nothing was logged since")
            ]
        return []
    return []


def _finger_facts(lines: Sequence[Line]) -> list[Fact]:
    for line in lines:
        prints = _FINGER.findall(line.text[:6000])
        if len(prints) >= 2:
            (rank_a, seq_a, op_a, shape_a), (rank_b, seq_b, op_b, shape_b) = prints[:2]
            if op_a != op_b:
                note = f"rank {rank_a} runs {op_a}, rank {rank_b} runs {op_b}"
                return [Fact("finger.op", line, {"ddp-collective-mismatch": 1.5}, note=note)]
            if shape_a != shape_b:
                where = f"both in {op_a} number {seq_a or seq_b}"
                note = f"rank {rank_a} has shape [{shape_a}], rank {rank_b} [{shape_b}], {where}"
                return [Fact("finger.shape", line, {"ddp-divergent-branch": 0.8}, note=note)]
    return []


def collective_facts(lines: Sequence[Line]) -> list[Fact]:
    """What the records of collectives among `lines` show."""
    return work_facts(lines) + _gap_facts(lines, read_work(lines)) + _finger_facts(lines)
