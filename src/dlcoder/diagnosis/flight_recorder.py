"""Which rank made the others wait: an analysis of PyTorch Flight Recorder dumps.

    findings = read_dumps([Path("/tmp/fr_0"), Path("/tmp/fr_1"), ...])      # one file a rank, pickle or JSON
    findings.culprits       # the ranks to look at, each with its role, the operation and the reason
    findings.mismatches     # operations of one sequence number that differ between ranks
    findings.waiting        # per group the first operation that did not complete, who joined and who did not
    findings.missing_dumps  # members that wrote no dump
    findings.cause          # a cause id where the dumps alone suggest one, else None
    findings.summary()      # the verdict in one sentence; findings.evidence() the lines behind it

How it reasons. A rank waits at a pending operation for every member of its group that has not handed that operation to
the group. All ranks of one program run through one order of operations, so "has not yet handed in" leads strictly
backwards in that order and cannot go in a circle: whoever is waited for and waits for nobody is a culprit, and the rest
are victims, over any number of groups. Three things are read besides. A rank whose group finished an operation that it
did not finish is stalled on its device, however far its program ran ahead. A rank that is behind a neighbour in
lockstep (same operations at the same positions) although the neighbour is held up at least as early on its device is
stopped in its own program: so a second culprit is found behind the first. And operations that differ at one sequence
number are a mismatch, whose author is whoever differs from the majority of the group, or of its neighbours.

Groups that a dump does not describe (gloo) are made up of the ranks that used them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dlcoder.diagnosis.flight_dumps import Dump, Entry, Group, read_dump
from dlcoder.diagnosis.flight_findings import Culprit, FlightFindings, Mismatch, Waiting, user_line
from dlcoder.diagnosis.flight_job import Job
from dlcoder.diagnosis.flight_mismatches import find_mismatches
from dlcoder.diagnosis.flight_verdict import Verdict
from dlcoder.errors import UserError

__all__ = ["Culprit", "FlightFindings", "Mismatch", "Waiting", "analyse", "read_dumps"]


def read_dumps(paths: Sequence[Path]) -> FlightFindings:
    """Read the dumps of one job and say which ranks made the others wait.

    Args:
        paths: One file for each rank; the file's name carries the rank.

    Raises:
        UserError: A file is no dump, or two files claim the same rank.
    """
    dumps: dict[int, Dump] = {}
    for path in paths:
        dump = read_dump(path)
        if dump.rank in dumps:
            raise UserError(
                f"{dumps[dump.rank].path!r} and {dump.path!r} both claim rank {dump.rank}.",
                "Give the dumps of one run, one for each rank.",
            )
        dumps[dump.rank] = dump
    return analyse(dumps.values())


def analyse(dumps: Iterable[Dump]) -> FlightFindings:
    """Find the culprits among dumps that were read before."""
    job = Job({dump.rank: dump for dump in dumps})
    mismatches = find_mismatches(job)
    culprits = Verdict(job, mismatches).culprits()
    present = set(job.dumps)
    members = {rank for ranks in job.members.values() for rank in ranks}
    return FlightFindings(
        ranks=tuple(sorted(present)),
        missing_dumps=tuple(sorted(members - present)),
        culprits=tuple(culprits),
        mismatches=tuple(mismatches),
        waiting=tuple(_waiting(job)),
    )


def _waiting(job: Job) -> list[Waiting]:
    first: dict[Group, Entry] = {}
    joined: defaultdict[tuple[Group, int], set[int]] = defaultdict(set)
    for rank, entries in job.pending.items():
        for entry in entries:
            if entry.point_to_point:
                continue
            joined[entry.group, entry.sequence].add(rank)
            if entry.group not in first or entry.sequence < first[entry.group].sequence:
                first[entry.group] = entry
    found = [
        Waiting(
            group=group,
            op=entry.op,
            sequence=entry.sequence,
            joined=tuple(sorted(joined[group, entry.sequence])),
            absent=tuple(job.absent(entry)),
            where=user_line(entry),
        )
        for group, entry in first.items()
    ]
    return sorted(found, key=lambda each: (not each.absent, -len(each.joined), each.group))
