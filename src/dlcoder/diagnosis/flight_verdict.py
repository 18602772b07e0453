"""Who waits for whom in a job that hangs, and who is left when every wait is followed to its end."""

from collections import defaultdict
from collections.abc import Sequence

from dlcoder.diagnosis.flight_dumps import Entry, Group
from dlcoder.diagnosis.flight_findings import Culprit, Mismatch, Role, group_text, last_text
from dlcoder.diagnosis.flight_job import Job

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
_ROLES: dict[Role, str] = {
    "absent": "never joined",
    "behind": "has not reached",
    "stalled": "did not finish",
    "diverging": "called something else at",
}


class Verdict:
    """Who waits for whom, and who is left when every wait is followed to its end."""

    def __init__(self, job: Job, mismatches: Sequence[Mismatch]) -> None:
        self._job = job
        self._mismatches = mismatches
        self._broken = {mismatch.group for mismatch in mismatches}
        self._found: dict[int, Culprit] = {}
        self._missed: dict[int, tuple[Entry, set[int]]] = {}
        self._edges: defaultdict[int, set[int]] = defaultdict(set)
        self._undumped: dict[int, tuple[Entry, set[int]]] = {}

    def culprits(self) -> list[Culprit]:
        """The ranks that made others wait, those with most ranks behind them first."""
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
        last = last_text(self._job.dumps[rank]) if rank in self._job.dumps else "never dumped"
        self._found[rank] = Culprit(
            rank=rank,
            role=role,
            group=entry.group,
            op=entry.op,
            sequence=entry.sequence,
            waiting=waiting,
            last=last,
            reason=(
                f"rank {rank} {_ROLES[role]} {entry.op} #{entry.sequence} of {group_text(entry.group)}"
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
