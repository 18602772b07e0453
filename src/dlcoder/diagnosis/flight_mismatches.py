"""Operations that differ between ranks at one sequence number of a group."""

from collections import defaultdict
from math import prod
from typing import Literal

from dlcoder.diagnosis.flight_dumps import Entry, Group
from dlcoder.diagnosis.flight_findings import Mismatch, call_text
from dlcoder.diagnosis.flight_job import Job

# Those whose members must all bring the same number of elements.
_SAME_SIZE = ("all_reduce", "allreduce", "broadcast", "reduce", "_all_gather_base", "_reduce_scatter_base")


def find_mismatches(job: Job) -> list[Mismatch]:
    """The first difference in each group; what follows it in the same group is only its echo."""
    found = []
    for group, ranks in sorted(job.members.items()):
        present = [rank for rank in ranks if rank in job.dumps]
        numbers = sorted({number for rank in present for (g, number) in job.at[rank] if g == group})
        for number in numbers:
            calls = {rank: job.at[rank][group, number] for rank in present if (group, number) in job.at[rank]}
            mismatch = _compare(job, group, number, calls) if len(calls) > 1 else None
            if mismatch:
                found.append(mismatch)
                break
    return found


def _compare(job: Job, group: Group, number: int, calls: dict[int, Entry]) -> Mismatch | None:
    kind: Literal["operation", "size", "dtype"]
    for kind in ("operation", "size", "dtype"):
        parties: defaultdict[str, list[int]] = defaultdict(list)
        for rank, entry in sorted(calls.items()):
            parties[_signature(entry, kind)].append(rank)
        if len(parties) > 1 and "" not in parties:
            return _mismatch(job, group, number, kind, parties, calls)
    return None


def _signature(entry: Entry, kind: str) -> str:
    """What must agree; empty where an operation leaves it open."""
    if kind == "operation":
        return "" if entry.op == "coalesced" else entry.op
    if not any(entry.op == name for name in _SAME_SIZE):
        return ""
    if kind == "size":
        return str(sum(prod(shape) for shape in entry.inputs))
    return ",".join(entry.dtypes[:1])


def _mismatch(
    job: Job,
    group: Group,
    number: int,
    kind: Literal["operation", "size", "dtype"],
    parties: dict[str, list[int]],
    calls: dict[int, Entry],
) -> Mismatch:
    votes = {signature: len(ranks) for signature, ranks in parties.items()}
    # Groups of the same purpose run the same program: their ranks vote where the group itself is split evenly.
    for other, ranks in job.members.items():
        if other[1] == group[1] and other != group and sorted(votes.values())[-1] * 2 == sum(votes.values()):
            for rank in ranks:
                entry = job.at[rank].get((other, number)) if rank in job.dumps else None
                if entry and _signature(entry, kind) in votes:
                    votes[_signature(entry, kind)] += 1
    order = sorted(parties, key=lambda signature: (-votes[signature], parties[signature]))
    clear = votes[order[0]] > votes[order[1]]
    minority = sorted(rank for signature in order[1:] for rank in parties[signature]) if clear else []
    return Mismatch(
        group=group,
        sequence=number,
        kind=kind,
        calls=tuple((call_text(calls[parties[each][0]]), tuple(parties[each])) for each in order),
        minority=tuple(minority),
    )
