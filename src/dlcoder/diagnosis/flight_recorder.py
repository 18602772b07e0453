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
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

from dlcoder.diagnosis.flight_dumps import Dump, Entry, Group, read_dump
from dlcoder.errors import UserError

Role = Literal["absent", "behind", "stalled", "diverging"]

# Operations in which no member can finish before all have joined; a broadcast's root, for one, can.
_ALL_JOIN = (
    "all_reduce",
    "allreduce",
    "all_gather",
    "allgather",
    "reduce_scatter",
    "all_to_all",
    "alltoall",
    "barrier",
)
# Those whose members must all bring the same number of elements.
_SAME_SIZE = ("all_reduce", "allreduce", "broadcast", "reduce", "_all_gather_base", "_reduce_scatter_base")
_ROLES: dict[Role, str] = {
    "absent": "never joined",
    "behind": "has not reached",
    "stalled": "did not finish",
    "diverging": "called something else at",
}


@dataclass(frozen=True, slots=True)
class Culprit:
    """A rank that made others wait.

    Attributes:
        rank: Its global rank.
        role: `absent`: it waits for nothing and did not join; `behind`: its program stopped earlier than its
            neighbours'; `stalled`: its device did not finish what the others finished; `diverging`: it called
            something else.
        group: The process group where it shows.
        op: The operation that it did not join, finish, or that it called instead.
        sequence: The number of that operation in the group.
        waiting: How many ranks wait for it, directly.
        last: The last operation that it recorded, with the line of the user's code where known.
        reason: All that in one sentence.
    """

    rank: int
    role: Role
    group: Group
    op: str
    sequence: int
    waiting: int
    last: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Operations that differ between ranks at one sequence number of a group.

    Attributes:
        group: The process group.
        sequence: The number within the group.
        kind: What differs.
        calls: What each party called, and its ranks, the majority first.
        minority: The ranks that differ from the majority; empty where neither party is one.
    """

    group: Group
    sequence: int
    kind: Literal["operation", "size", "dtype"]
    calls: tuple[tuple[str, tuple[int, ...]], ...]
    minority: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first operation of a group that did not complete.

    Attributes:
        group: The process group.
        op: The operation.
        sequence: Its number in the group.
        joined: Ranks that handed it in.
        absent: Members with a dump that did not.
        where: The line of the user's code of one that waits, where known.
    """

    group: Group
    op: str
    sequence: int
    joined: tuple[int, ...]
    absent: tuple[int, ...]
    where: str


@dataclass(frozen=True, slots=True)
class FlightFindings:
    """What the dumps of one job say together; see the module's documentation."""

    ranks: tuple[int, ...]
    missing_dumps: tuple[int, ...]
    culprits: tuple[Culprit, ...]
    mismatches: tuple[Mismatch, ...]
    waiting: tuple[Waiting, ...]

    @property
    def cause(self) -> str | None:
        """The cause that the dumps suggest, before any log is read."""
        if self.mismatches:
            return "ddp-collective-mismatch"
        roles = {culprit.role for culprit in self.culprits}
        if "stalled" in roles:
            return "cuda-hardware-fault"
        return "ddp-divergent-branch" if roles else None

    def summary(self) -> str:
        """The verdict in one sentence."""
        if self.culprits:
            ranks = ", ".join(str(culprit.rank) for culprit in self.culprits)
            plural = "s" if len(self.culprits) > 1 else ""
            return f"Look at rank{plural} {ranks}: {self.culprits[0].reason}"
        if self.mismatches:
            return f"Ranks called different operations: {_mismatch_text(self.mismatches[0])}"
        if self.waiting:
            first = self.waiting[0]
            what = f"{first.op} #{first.sequence} of {_group_text(first.group)}"
            return f"All {len(first.joined)} members joined {what} and none finished: the transport or a device."
        return "No operation was pending in any dump: these ranks did not hang in a collective."

    def evidence(self, limit: int = 8) -> list[str]:
        """The lines behind the verdict, the most telling first."""
        lines = [culprit.reason for culprit in self.culprits]
        lines += [_mismatch_text(mismatch) for mismatch in self.mismatches]
        lines += [_waiting_text(waiting) for waiting in self.waiting if waiting.absent]
        if self.missing_dumps:
            lines.append(f"No dump from rank{_ranks_text(self.missing_dumps)}.")
        return list(dict.fromkeys(lines))[:limit]


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
    job = _Job({dump.rank: dump for dump in dumps})
    mismatches = _mismatches(job)
    culprits = _Verdict(job, mismatches).culprits()
    present = set(job.dumps)
    members = {rank for ranks in job.members.values() for rank in ranks}
    return FlightFindings(
        ranks=tuple(sorted(present)),
        missing_dumps=tuple(sorted(members - present)),
        culprits=tuple(culprits),
        mismatches=tuple(mismatches),
        waiting=tuple(_waiting(job)),
    )


@dataclass
class _Job:
    """The dumps side by side, with what is asked of them again and again."""

    dumps: dict[int, Dump]
    members: dict[Group, tuple[int, ...]] = field(default_factory=dict)
    at: dict[int, dict[tuple[Group, int], Entry]] = field(default_factory=dict)
    pending: dict[int, list[Entry]] = field(default_factory=dict)
    mostly_dumped: bool = True

    def __post_init__(self) -> None:
        users: defaultdict[Group, set[int]] = defaultdict(set)
        for rank, dump in self.dumps.items():
            self._settle(dump)
            self.pending[rank] = [entry for entry in dump.entries if entry.pending]
            self.at[rank] = {(e.group, e.sequence): e for e in dump.entries if not e.point_to_point}
            for group in {entry.group for entry in dump.entries} | set(dump.enqueued):
                users[group].add(rank)
            for group, ranks in dump.members.items():
                self.members[group] = ranks
        for group in users:
            # The default group without a description spans every rank that wrote a dump.
            whole = set(self.dumps) if group[1] == "default_pg" else users[group]
            self.members.setdefault(group, tuple(sorted(whole)))
        everyone = {rank for ranks in self.members.values() for rank in ranks} | set(self.dumps)
        self.mostly_dumped = len(self.dumps) * 2 > len(everyone)

    @staticmethod
    def _settle(dump: Dump) -> None:
        """Bring entries and counters of a dump into agreement: each can be older than the other."""
        for entry in dump.entries:
            if entry.point_to_point:
                continue
            done = dump.completed.get(entry.group, -1)
            entry.pending = entry.pending and entry.sequence > done
            dump.enqueued[entry.group] = max(dump.enqueued.get(entry.group, -1), entry.sequence)
            if not entry.pending:
                dump.completed[entry.group] = max(done, entry.sequence)

    def joined(self, rank: int, group: Group, sequence: int) -> bool:
        """Whether a rank handed operation `sequence` to the group."""
        return self.dumps[rank].enqueued.get(group, -1) >= sequence

    def absent(self, entry: Entry) -> list[int]:
        """The members with a dump that have not handed in a pending collective."""
        return [
            rank
            for rank in self.members[entry.group]
            if rank in self.dumps and not self.joined(rank, entry.group, entry.sequence)
        ]

    def absent_peer(self, rank: int, entry: Entry) -> int | None:
        """The peer of a pending send or receive that has not handed in its side, if so."""
        ranks = self.members[entry.group]
        other = entry.target if self.is_send(entry) else entry.source
        peer = ranks[other] if other < len(ranks) else other
        if peer not in self.dumps or peer == rank:
            return None
        mine, all_of_mine = self._between(rank, entry)
        theirs, all_of_theirs = self._between(peer, entry, other_side=True)
        if self._complete(rank) and self._complete(peer):
            return peer if all_of_theirs < all_of_mine else None
        return peer if theirs < mine else None

    @staticmethod
    def is_send(entry: Entry) -> bool:
        return entry.op.startswith(("send", "isend"))

    def _complete(self, rank: int) -> bool:
        """Whether a dump still holds the rank's very first operation, so that counts are whole."""
        entries = self.dumps[rank].entries
        return bool(entries) and entries[0].record == 0

    def _between(self, rank: int, entry: Entry, other_side: bool = False) -> tuple[int, int]:
        """How many operations of a pair a rank has pending and has in all, on the entry's side or the other."""
        want_send = self.is_send(entry) != other_side
        same = [
            each.pending
            for each in self.dumps[rank].entries
            if each.group == entry.group
            and (each.source, each.target) == (entry.source, entry.target)
            and self.is_send(each) == want_send
        ]
        return sum(same), len(same)


def _mismatches(job: _Job) -> list[Mismatch]:
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


def _compare(job: _Job, group: Group, number: int, calls: dict[int, Entry]) -> Mismatch | None:
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
    job: _Job,
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
        calls=tuple((_call_text(calls[parties[each][0]]), tuple(parties[each])) for each in order),
        minority=tuple(minority),
    )


class _Verdict:
    """Who waits for whom, and who is left when every wait is followed to its end."""

    def __init__(self, job: _Job, mismatches: Sequence[Mismatch]) -> None:
        self._job = job
        self._mismatches = mismatches
        self._broken = {mismatch.group for mismatch in mismatches}
        self._found: dict[int, Culprit] = {}
        self._missed: dict[int, tuple[Entry, set[int]]] = {}
        self._edges: defaultdict[int, set[int]] = defaultdict(set)
        self._undumped: dict[int, tuple[Entry, set[int]]] = {}

    def culprits(self) -> list[Culprit]:
        self._name_diverging()
        self._name_stalled()
        self._name_stuck_together()
        self._draw_edges()
        self._name_out_of_order()
        self._name_absent()
        self._name_undumped()
        self._name_stopped()
        self._name_unexplained()
        return sorted(self._found.values(), key=lambda culprit: (-culprit.waiting, culprit.rank))

    def _name(self, rank: int, role: Role, entry: Entry, waiting: int) -> None:
        if rank in self._found:
            return
        last = _last_text(self._job.dumps[rank]) if rank in self._job.dumps else "never dumped"
        self._found[rank] = Culprit(
            rank=rank,
            role=role,
            group=entry.group,
            op=entry.op,
            sequence=entry.sequence,
            waiting=waiting,
            last=last,
            reason=(
                f"rank {rank} {_ROLES[role]} {entry.op} #{entry.sequence} of {_group_text(entry.group)}"
                f"{f', for which {waiting} ranks wait' if waiting > 1 else ''}; its last was {last}."
            ),
        )

    def _name_diverging(self) -> None:
        for mismatch in self._mismatches:
            ranks = mismatch.minority
            if not ranks and len(mismatch.calls) == 2:
                ranks = tuple(rank for _, party in mismatch.calls for rank in party)
            for rank in ranks:
                entry = self._job.at[rank][mismatch.group, mismatch.sequence]
                self._name(rank, "diverging", entry, len(self._job.members[mismatch.group]) - len(ranks))

    def _name_stalled(self) -> None:
        """Members whose group finished what they did not: all had to join, so the device is where it stopped."""
        for group, ranks in self._job.members.items():
            present = [rank for rank in ranks if rank in self._job.dumps]
            if not present or group in self._broken:
                continue
            done = {rank: self._job.dumps[rank].completed.get(group, -1) for rank in present}
            for rank in present:
                pending = (e for e in self._job.pending[rank] if e.group == group and not e.point_to_point)
                entry = min(pending, key=lambda each: each.sequence, default=None)
                if entry and entry.sequence <= max(done.values()) and entry.op.lstrip("_").startswith(_ALL_JOIN):
                    self._name(rank, "stalled", entry, sum(each >= entry.sequence for each in done.values()))

    def _name_stuck_together(self) -> None:
        """Small groups whose members all stand at one operation, held up by nothing before it."""
        heads = {rank: self._head(rank) for rank in self._job.dumps}
        for group, ranks in self._job.members.items():
            here = [heads.get(rank) for rank in ranks]
            small = 1 < len(ranks) <= len(self._job.dumps) // 2
            together = {(e.group, e.sequence) if e and not e.point_to_point else None for e in here}
            if not small or group in self._broken or len(together) != 1 or together.pop() is None:
                continue
            for rank, entry in zip(ranks, here, strict=True):
                if entry and entry.group == group and entry.op.lstrip("_").startswith(_ALL_JOIN):
                    self._name(rank, "stalled", entry, len(ranks) - 1)

    def _draw_edges(self) -> None:
        """From each rank to those it waits for: first those that did not hand in, then those held up earlier."""
        for rank, entries in self._job.pending.items():
            if rank in self._found:
                continue  # a stalled or diverging rank waits because of itself
            for entry in entries:
                if entry.group in self._broken:
                    self._edges[rank].update(self._minority(entry.group) - {rank})
                else:
                    self._draw(rank, entry)
        for rank in self._job.pending:
            held = [self._held_up_earlier(rank, entry) for entry in self._job.pending[rank]]
            self._edges[rank].update(self._busy_peers(rank).union(*held))

    def _draw(self, rank: int, entry: Entry) -> None:
        missing = self._missing(rank, entry)
        gone = [] if missing else self._gone(entry)
        for others, ledger in ((missing, self._missed), (gone, self._undumped)):
            for other in others:
                self._edges[rank].add(other)
                first, waiting = ledger.setdefault(other, (entry, set()))
                waiting.add(rank)
                if entry.group == first.group and entry.sequence < first.sequence:
                    ledger[other] = (entry, waiting)

    def _gone(self, entry: Entry) -> list[int]:
        """Members without a dump, where most of the job has one: those that can still be what an operation lacks."""
        ranks = self._job.members[entry.group]
        if entry.point_to_point:
            ranks = tuple(ranks[each] for each in (entry.source, entry.target) if each < len(ranks))
        return [rank for rank in ranks if rank not in self._job.dumps] if self._job.mostly_dumped else []

    def _minority(self, group: Group) -> set[int]:
        return {rank for each in self._mismatches if each.group == group for rank in each.minority}

    def _missing(self, rank: int, entry: Entry) -> list[int]:
        if entry.point_to_point:
            peer = self._job.absent_peer(rank, entry)
            return [] if peer is None else [peer]
        return [other for other in self._job.absent(entry) if other != rank]

    def _held_up_earlier(self, rank: int, entry: Entry) -> set[int]:
        """Members that handed in what this rank has pending, but are held up before it or are culprits."""
        others: set[int] = set()
        for other in self._job.members[entry.group] if not entry.point_to_point else ():
            theirs = self._job.at.get(other, {}).get((entry.group, entry.sequence))
            if other == rank or theirs is None or not theirs.pending:
                continue
            first = self._head(other) or theirs
            if other in self._found or first.record < theirs.record:
                others.add(other)
        return others

    def _head(self, rank: int) -> Entry | None:
        """The first pending operation that holds up what follows it: sends do not."""
        return next((entry for entry in self._job.pending[rank] if not self._job.is_send(entry)), None)

    def _holds(self, rank: int) -> set[int]:
        """For whom this rank waits right now."""
        head = self._head(rank)
        if head is None or head.point_to_point or head.group in self._broken:
            return set()
        return (set(self._missing(rank, head)) or self._held_up_earlier(rank, head)) - set(self._found)

    def _busy_peers(self, rank: int) -> set[int]:
        """Peers of this rank's pending sends and receives that have something pending themselves."""
        peers = {self._peer(entry, rank) for entry in self._job.pending[rank] if entry.point_to_point}
        return {peer for peer in peers if peer is not None and (self._job.pending[peer] or peer in self._found)}

    def _peer(self, entry: Entry, rank: int) -> int | None:
        ranks = self._job.members[entry.group]
        both = [ranks[each] if each < len(ranks) else each for each in (entry.source, entry.target)]
        other = both[0] if both[1] == rank else both[1]
        return other if other in self._job.dumps else None

    def _name_out_of_order(self) -> None:
        """Waits in a circle mean that orders differ: its author is the one for whom most of the circle waits."""

        def calls_of(rank: int) -> set[int]:
            return {other for other, (_, waiting) in self._missed.items() if rank in waiting}

        authors = self._authors({rank: calls_of(rank) for rank in self._missed})
        if not authors and self._missed:
            authors = self._authors({rank: self._holds(rank) for rank in self._job.pending if rank not in self._found})
        for rank, waiting in authors.items():
            entry = self._missed[rank][0] if rank in self._missed else self._job.pending[rank][0]
            self._name(rank, "diverging", entry, waiting)
        # What such a rank waits for, it waits for because of itself.
        for rank in list(self._missed):
            self._missed[rank][1].difference_update(authors)
            if not self._missed[rank][1]:
                del self._missed[rank]

    @staticmethod
    def _authors(calls: dict[int, set[int]]) -> dict[int, int]:
        """Of the ranks that wait in circles those with most of the circle behind them, and how many wait for each."""
        circle = set(calls)
        while True:
            waited_for = set().union(*(calls[rank] & circle for rank in circle)) if circle else set()
            inner = {rank for rank in circle if calls[rank] & circle and rank in waited_for}
            if inner == circle:
                break
            circle = inner
        behind = {
            rank: (sum(rank in calls[other] for other in circle), sum(rank in others for others in calls.values()))
            for rank in circle
        }
        heaviest = [rank for rank in circle if behind[rank] == max(behind.values())]
        return {rank: behind[rank][1] for rank in heaviest} if len(heaviest) * 2 <= len(circle) else {}

    def _name_undumped(self) -> None:
        if not self._found:
            for rank, (entry, waiting) in self._undumped.items():
                self._name(rank, "absent", entry, len(waiting))

    def _name_absent(self) -> None:
        for rank, (entry, waiting) in self._missed.items():
            if not self._job.pending[rank]:
                self._name(rank, "absent", entry, len(waiting))

    def _name_stopped(self) -> None:
        """Ranks behind a neighbour in lockstep that is held up on its device no later than they are."""
        for rank, (entry, waiting) in self._missed.items():
            if rank not in self._found and any(self._ran_ahead(other, rank) for other in sorted(waiting)):
                self._name(rank, "behind", entry, len(waiting))

    def _ran_ahead(self, other: int, rank: int) -> bool:
        shift = self._shift(other, rank)
        if shift is None:
            return False
        mine = [entry.record + shift for entry in self._job.pending[rank]]
        theirs = {entry.record for entry in self._job.pending[other]}
        # The neighbour handed in more while the last operation that both handed in was pending: nothing on its
        # device held `rank` there either.
        last = self._job.dumps[rank].entries[-1].record + shift
        return bool(mine) and len(mine) < len(theirs) and last in theirs and last < max(theirs)

    def _shift(self, other: int, rank: int) -> int | None:
        """What to add to the positions of `rank` to get those of `other`; None where they are not in lockstep."""
        mine, theirs = self._job.at[rank], self._job.at[other]
        shifts = {theirs[key].record - entry.record for key, entry in mine.items() if key in theirs}
        shift = shifts.pop() if len(shifts) == 1 else None
        if shift is None:
            return None
        there = {entry.record: entry for entry in self._job.dumps[other].entries}
        for entry in self._job.dumps[rank].entries[-4:]:
            match = there.get(entry.record + shift)
            if match and (match.op, match.group[1], match.inputs) != (entry.op, entry.group[1], entry.inputs):
                return None
        return shift

    def _name_unexplained(self) -> None:
        """Those waited for whose own waits lead to no culprit: the ends of the chains."""
        for rank, (entry, waiting) in sorted(self._missed.items()):
            if rank not in self._found and not self._explained(rank) and not self._waits_for_absent(rank):
                self._name(rank, "behind", entry, len(waiting))

    def _waits_for_absent(self, rank: int) -> bool:
        return any(rank in waiting for _, waiting in self._missed.values())

    def _explained(self, rank: int) -> bool:
        seen, stack = {rank}, [rank]
        while stack:
            for other in self._edges[stack.pop()] - seen:
                if other in self._found:
                    return True
                seen.add(other)
                stack.append(other)
        return False


def _waiting(job: _Job) -> list[Waiting]:
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
            where=_user_line(entry),
        )
        for group, entry in first.items()
    ]
    return sorted(found, key=lambda each: (not each.absent, -len(each.joined), each.group))


def _user_line(entry: Entry) -> str:
    """The innermost frame outside torch."""
    return next((frame for frame in entry.frames if "/torch/" not in frame), "")


def _call_text(entry: Entry) -> str:
    sizes = "x".join(map(str, entry.inputs[0])) if entry.inputs else "?"
    return f"{entry.op}[{sizes} {entry.dtypes[0] if entry.dtypes else '?'}]"


def _last_text(dump: Dump) -> str:
    if not dump.entries:
        return "not recorded"
    entry = dump.entries[-1]
    where = _user_line(entry)
    return f"{entry.op} #{entry.sequence} of {_group_text(entry.group)}{f' at {where}' if where else ''}"


def _group_text(group: Group) -> str:
    name, description = group
    return f"group {name}" if description in ("", "undefined") else f"{description} ({name})"


def _ranks_text(ranks: Sequence[int], limit: int = 8) -> str:
    shown = ", ".join(map(str, ranks[:limit])) + (f" and {len(ranks) - limit} more" if len(ranks) > limit else "")
    return f"s {shown}" if len(ranks) > 1 else f" {shown}"


def _mismatch_text(mismatch: Mismatch) -> str:
    parties = "; ".join(f"rank{_ranks_text(ranks)}: {call}" for call, ranks in mismatch.calls)
    return f"{mismatch.kind} differs at #{mismatch.sequence} of {_group_text(mismatch.group)}: {parties}."


def _waiting_text(waiting: Waiting) -> str:
    where = f" at {waiting.where}" if waiting.where else ""
    return (
        f"rank{_ranks_text(waiting.joined)} wait in {waiting.op} #{waiting.sequence} of {_group_text(waiting.group)}"
        f"{where} for rank{_ranks_text(waiting.absent)}."
    )
