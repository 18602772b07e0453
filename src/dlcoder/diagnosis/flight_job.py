"""The Flight Recorder dumps of one job side by side."""

from collections import defaultdict
from dataclasses import dataclass, field

from dlcoder.diagnosis.flight_dumps import Dump, Entry, Group


@dataclass
class Job:
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
        """Whether it is a send, which does not hold up what follows it."""
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
