"""Collectives by (sequence number, operation, size) over ranks: who is absent, behind, or runs something else."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line

_WORK = re.compile(
    r"SeqNum=(\d{1,12}), OpType=(\w{1,40})(?:, NumelIn=(\d{1,15}))?(?:, NumelOut=(\d{1,15}))?(?:, "
    r"Timeout\(ms\)=(\d{1,12}))?"
)
_STATUS = re.compile(r"last enqueued(?: NCCL)? work: (-?\d{1,12}), last completed(?: NCCL)? work: (-?\d{1,12})")
_RANK = re.compile(r"\[(?:PG \S{1,40} (?:PG GUID \S{1,40} )?)?Rank (\d{1,7})\]")
_CLOCK = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)")
_FINGER = re.compile(
    r"Rank (\d{1,7}) is running collective: CollectiveFingerPrint\((?:SequenceNumber=(\d{1,12}),? "
    r"?)?OpType=(\w{1,40})(?:, TensorShape=\[([\d, ]*)\])?"
)


@dataclass(frozen=True)
class Work:
    """One record of one rank."""

    rank: int
    sequence: int
    operation: str
    size: str
    line: Line
    timeout_ms: int


def read_work(lines: Sequence[Line], limit: int = 20_000) -> list[Work]:
    """The watchdog's records of the collective that timed out, one a line."""
    records: list[Work] = []
    for line in lines:
        found = _WORK.search(line.text[:2000])
        if not found or len(records) >= limit:
            continue
        own = _RANK.search(line.text[:2000])
        rank = int(own[1]) if own else line.rank
        if rank is not None:
            records.append(Work(rank, int(found[1]), found[2], found[3] or "", line, int(found[5] or 0)))
    return records


def _tuple_facts(records: Sequence[Work]) -> list[Fact]:
    by_sequence: dict[int, dict[int, Work]] = defaultdict(dict)
    for record in records:
        by_sequence[record.sequence].setdefault(record.rank, record)
    facts = []
    for sequence, ranks in sorted(by_sequence.items())[:2000]:
        operations = {record.operation for record in ranks.values()}
        sizes = {record.size for record in ranks.values() if record.size}
        some = next(iter(ranks.values()))
        if len(operations) > 1:
            note = f"at sequence number {sequence} the ranks run {', '.join(sorted(operations))}"
            facts.append(Fact("collective.op-differs", some.line, note=note))
        elif len(sizes) > 1:
            facts.append(
                Fact(
                    "collective.size-differs",
                    some.line,
                    note=f"at sequence number {sequence} the sizes differ: {', '.join(sorted(sizes))}",
                )
            )
    last: dict[int, int] = {}
    for record in records:
        last[record.rank] = max(record.sequence, last.get(record.rank, 0))
    if len(set(last.values())) > 1 and len(last) <= 100_000:
        behind = min(last, key=lambda rank: (last[rank], rank))
        line = next(record.line for record in records if record.rank == behind)
        facts.append(
            Fact(
                "collective.absent-rank",
                line,
                note=f"rank {behind} is at {last[behind]}, others at {max(last.values())}",
                values={"rank": str(behind)},
            )
        )
    return facts


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
    records = read_work(lines)
    return _tuple_facts(records) + _gap_facts(lines, records) + _finger_facts(lines)
