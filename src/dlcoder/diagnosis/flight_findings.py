"""What Flight Recorder dumps say: the types of the answer, and its sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlcoder.diagnosis.flight_dumps import Dump, Entry, Group

Role = Literal["absent", "behind", "stalled", "diverging"]


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
            return f"Ranks called different operations: {mismatch_text(self.mismatches[0])}"
        if self.waiting:
            first = self.waiting[0]
            what = f"{first.op} #{first.sequence} of {group_text(first.group)}"
            return f"All {len(first.joined)} members joined {what} and none finished: the transport or a device."
        return "No operation was pending in any dump: these ranks did not hang in a collective."

    def evidence(self, limit: int = 8) -> list[str]:
        """The lines behind the verdict, the most telling first."""
        lines = [culprit.reason for culprit in self.culprits]
        lines += [mismatch_text(mismatch) for mismatch in self.mismatches]
        lines += [waiting_text(waiting) for waiting in self.waiting if waiting.absent]
        if self.missing_dumps:
            lines.append(f"No dump from rank{ranks_text(self.missing_dumps)}.")
        return list(dict.fromkeys(lines))[:limit]


def user_line(entry: Entry) -> str:
    """The innermost frame outside torch."""
    return next((frame for frame in entry.frames if "/torch/" not in frame), "")


def call_text(entry: Entry) -> str:
    """The operation with the shape and type of its first input."""
    sizes = "x".join(map(str, entry.inputs[0])) if entry.inputs else "?"
    return f"{entry.op}[{sizes} {entry.dtypes[0] if entry.dtypes else '?'}]"


def last_text(dump: Dump) -> str:
    """The last operation that a rank recorded, with the line of its code where known."""
    if not dump.entries:
        return "not recorded"
    entry = dump.entries[-1]
    where = user_line(entry)
    return f"{entry.op} #{entry.sequence} of {group_text(entry.group)}{f' at {where}' if where else ''}"


def group_text(group: Group) -> str:
    """A process group as people name it."""
    name, description = group
    return f"group {name}" if description in ("", "undefined") else f"{description} ({name})"


def ranks_text(ranks: Sequence[int], limit: int = 8) -> str:
    """Ranks to follow the word "rank", with its plural."""
    shown = ", ".join(map(str, ranks[:limit])) + (f" and {len(ranks) - limit} more" if len(ranks) > limit else "")
    return f"s {shown}" if len(ranks) > 1 else f" {shown}"


def mismatch_text(mismatch: Mismatch) -> str:
    """A mismatch in one sentence."""
    parties = "; ".join(f"rank{ranks_text(ranks)}: {call}" for call, ranks in mismatch.calls)
    return f"{mismatch.kind} differs at #{mismatch.sequence} of {group_text(mismatch.group)}: {parties}."


def waiting_text(waiting: Waiting) -> str:
    """A wait in one sentence."""
    where = f" at {waiting.where}" if waiting.where else ""
    return (
        f"rank{ranks_text(waiting.joined)} wait in {waiting.op} #{waiting.sequence} of {group_text(waiting.group)}"
        f"{where} for rank{ranks_text(waiting.absent)}."
    )
