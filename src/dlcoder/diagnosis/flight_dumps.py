"""PyTorch Flight Recorder dumps, read as data and never executed.

A dump is a pickle (or JSON) that one rank wrote when a collective hung. A pickle from a stranger can run code, and even
without that can ask for unbounded memory, so this is a reader of its own: it knows the opcodes that build dicts, lists,
tuples, strings and numbers, refuses every other, and holds no more than the file's own bytes justify. The records are
then copied into typed values field by field, so that shared or cyclic references inside cannot blow up.
"""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.text import clean

MAX_BYTES = 256 << 20
MAX_ENTRIES = 200_000
MAX_FRAMES = 64
_MAX_NAME = 200

Group = tuple[str, str]
"""A process group as all its ranks call it: (name, description)."""


@dataclass(slots=True)
class Entry:
    """One operation that a rank handed to a process group.

    Attributes:
        record: Position in the rank's own order of operations.
        group: The process group.
        op: The operation without its backend: `all_reduce`, `send`, ...
        sequence: Its number within the group; for point-to-point operations within the rank's own sends and receives.
        source: For point-to-point operations the sender, numbered within the group; else -1.
        target: For point-to-point operations the receiver, numbered within the group; else -1.
        inputs: Shapes of the inputs.
        outputs: Shapes of the outputs.
        dtypes: Element types of inputs and outputs.
        pending: Whether it had not completed.
        frames: The Python stack, innermost first, as `function file:line`.
    """

    record: int
    group: Group
    op: str
    sequence: int
    source: int = -1
    target: int = -1
    inputs: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[str, ...] = ()
    pending: bool = True
    frames: tuple[str, ...] = ()

    @property
    def point_to_point(self) -> bool:
        """Whether it is a send or a receive."""
        return self.source >= 0


@dataclass(slots=True)
class Dump:
    """What one rank's recorder held.

    Attributes:
        rank: The global rank, from the file's name.
        path: The file.
        entries: The operations in the rank's order; possibly only the pending ones, and only the latest.
        members: The ranks of each group that the dump describes.
        enqueued: The last sequence number handed to each group, where known.
        completed: The last sequence number completed in each group, where known.
    """

    rank: int
    path: str
    entries: list[Entry] = field(default_factory=list)
    members: dict[Group, tuple[int, ...]] = field(default_factory=dict)
    enqueued: dict[Group, int] = field(default_factory=dict)
    completed: dict[Group, int] = field(default_factory=dict)


def looks_like_dump(path: Path) -> bool:
    """Whether the file begins as a Flight Recorder dump does. Reads at most 4 KB."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    if head[:1] == b"\x80":
        return any(key in head for key in (b"pg_config", b"collective_seq_id", b"pg_status", b"entries"))
    return head.lstrip()[:1] == b"{" and (b'"collective_seq_id"' in head or b'"pg_config"' in head)


def read_dump(path: Path, rank: int | None = None) -> Dump:
    """Read one rank's dump, pickle or JSON.

    Args:
        path: The file; its name ends in the rank, or holds `rank<number>`, unless `rank` is given.
        rank: The global rank.

    Raises:
        UserError: The file is too large, is no dump, holds something else than plain data, or names no rank.
    """
    number = rank_of(path) if rank is None else rank
    if number is None:
        raise UserError(
            f"The name of {path.name!r} does not say which rank wrote it.", "Name the dumps <prefix><rank>."
        )
    if path.stat().st_size > MAX_BYTES:
        raise UserError(
            f"{path.name!r} is larger than {MAX_BYTES >> 20} MB.",
            "Give a dump of fewer entries (TORCH_FR_BUFFER_SIZE).",
        )
    data = path.read_bytes()
    try:
        raw = json.loads(data) if data.lstrip()[:1] == b"{" else unpickle_plain(data)
        return _dump(raw, number, str(path))
    except (ValueError, TypeError, KeyError, IndexError, struct.error, RecursionError) as error:
        raise UserError(
            f"{path.name!r} is no Flight Recorder dump: {clean(str(error), 200)}.",
            "Give the files that TORCH_FR_DUMP_TEMP_FILE or TORCH_NCCL_DEBUG_INFO_TEMP_FILE names, one for each rank.",
        ) from error


def rank_of(path: Path) -> int | None:
    """The rank that a dump's file name carries: `rank<number>`, else the digits at its end."""
    stem = path.name.removesuffix(".json").removesuffix(".pkl").removesuffix(".pickle")
    found = re.search(r"rank[_-]?(\d{1,9})(?!\d)", stem, re.IGNORECASE) or re.search(r"(\d{1,9})$", stem)
    return int(found.group(1)) if found else None


def unpickle_plain(data: bytes) -> Any:
    """Unpickle dicts, lists, tuples, strings and numbers, and nothing else.

    Raises:
        ValueError: An opcode that could run code, reach an object or outgrow the file; or a malformed stream.
    """
    return _Machine(data).run()


class _Machine:
    """The opcodes of a pickle that only build plain data, on a stack that the file's length bounds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, steps = self._data, _OPCODES
        while True:
            if self._at >= len(data):
                raise ValueError("the pickle ends in the middle")
            code = data[self._at]
            self._at += 1
            if code == 0x2E:  # STOP
                return self.pop()
            step = steps.get(code)
            if step is None:
                raise ValueError(f"opcode 0x{code:02x} at byte {self._at - 1} is not plain data")
            step(self)

    def take(self, size: int) -> bytes:
        chunk = self._data[self._at : self._at + size]
        if size < 0 or len(chunk) < size:
            raise ValueError("the pickle promises more bytes than it has")
        self._at += size
        return chunk

    def number(self, layout: str) -> int:
        return int(struct.unpack("<" + layout, self.take(struct.calcsize(layout)))[0])

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("the pickle takes a value that is not there")
        return self._stack.pop()

    def top(self) -> Any:
        if not self._stack:
            raise ValueError("the pickle takes a value that is not there")
        return self._stack[-1]

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def since_mark(self) -> list[Any]:
        if not self._marks:
            raise ValueError("the pickle closes what it did not open")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def text(self, size: int) -> None:
        self.push(self.take(size).decode("utf-8", "replace"))

    def line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0 or end - self._at > 4096:
            raise ValueError("the pickle has an unbounded line")
        chunk = self._data[self._at : end]
        self._at = end + 1
        return chunk

    def long(self, size: int) -> None:
        if size > 64:
            raise ValueError("the pickle has an absurd number")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def fetch(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError("the pickle refers to what it did not store")
        self.push(self._memo[index])

    def store(self, index: int) -> None:
        self._memo[index] = self.top()

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self.top()

    def tuple_of(self, size: int) -> None:
        values = [self.pop() for _ in range(size)]
        self.push(tuple(reversed(values)))

    def append_to(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise ValueError("the pickle appends to what is no list")
        target.extend(values)

    def set_in(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("the pickle sets items of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | bool | None):
                raise ValueError("the pickle has a key that is no plain value")
            target[key] = value

    def append_one(self) -> None:
        value = self.pop()
        self.append_to([value])

    def set_one(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_in([key, value])


_OPCODES: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m.take(1)[0]),
    ord("M"): lambda m: m.push(m.number("H")),
    ord("J"): lambda m: m.push(m.number("i")),
    ord("I"): lambda m: m.push(int(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    0x8A: lambda m: m.long(m.take(1)[0]),
    0x8B: lambda m: m.long(m.number("I")),
    ord("X"): lambda m: m.text(m.number("I")),
    0x8C: lambda m: m.text(m.take(1)[0]),
    0x8D: lambda m: m.text(m.number("Q")),
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord(")"): lambda m: m.push(()),
    ord("("): lambda m: m.mark(),
    ord("t"): lambda m: m.push(tuple(m.since_mark())),
    ord("l"): lambda m: m.push(m.since_mark()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("a"): lambda m: m.append_one(),
    ord("e"): lambda m: m.append_to(m.since_mark()),
    ord("s"): lambda m: m.set_one(),
    ord("u"): lambda m: m.set_in(m.since_mark()),
    ord("q"): lambda m: m.store(m.take(1)[0]),
    ord("r"): lambda m: m.store(m.number("I")),
    0x94: lambda m: m.memoize(),
    ord("h"): lambda m: m.fetch(m.take(1)[0]),
    ord("j"): lambda m: m.fetch(m.number("I")),
    ord("0"): lambda m: m.pop(),
}


def _dump(raw: Any, rank: int, path: str) -> Dump:
    if not isinstance(raw, dict) or not isinstance(raw.get("entries", []), list):
        raise ValueError("it holds no list of entries")
    if "entries" not in raw and "pg_status" not in raw:
        raise ValueError("it has neither entries nor the state of its groups")
    dump = Dump(rank=rank, path=path)
    numbers: dict[str, Group] = {}
    for each in raw.get("entries", [])[-MAX_ENTRIES:]:
        entry = _entry(each)
        dump.entries.append(entry)
        numbers[str(each.get("pg_id"))] = entry.group
    dump.entries.sort(key=lambda entry: entry.record)
    _read_groups(dump, raw.get("pg_config") or {})
    _read_status(dump, raw.get("pg_status") or {}, numbers)
    return dump


def _entry(raw: Any) -> Entry:
    name, description = _pair(raw["process_group"])
    backend_op, _, peers = _name(raw.get("profiling_name", "")).partition(" ")
    op = backend_op.rpartition(":")[2]
    arrow = re.fullmatch(r"(\d{1,9})(->|<-)(\d{1,9})", peers)
    source, target = -1, -1
    if arrow:
        left, right = int(arrow.group(1)), int(arrow.group(3))
        source, target = (left, right) if arrow.group(2) == "->" else (right, left)
    key = "p2p_seq_id" if arrow else "collective_seq_id"
    done = bool(raw.get("retired")) or raw.get("state") == "completed"
    return Entry(
        record=int(raw.get("record_id", 0)),
        group=(name, description),
        op=op,
        sequence=int(raw.get(key, raw.get("seq_id", 0))),
        source=source,
        target=target,
        inputs=_shapes(raw.get("input_sizes")),
        outputs=_shapes(raw.get("output_sizes")),
        dtypes=tuple(
            _name(each) for key in ("input_dtypes", "output_dtypes") for each in (raw.get(key) or ())[:MAX_FRAMES]
        ),
        pending=not done,
        frames=tuple(_frame(each) for each in (raw.get("frames") or ())[:MAX_FRAMES]),
    )


def _pair(raw: Any) -> Group:
    if not isinstance(raw, list | tuple) or not raw:
        raise ValueError("an entry names no process group")
    return _name(raw[0]), _name(raw[1]) if len(raw) > 1 else ""


def _name(raw: Any) -> str:
    return clean(str(raw) if isinstance(raw, str | int) else "", _MAX_NAME)


def _shapes(raw: Any) -> tuple[tuple[int, ...], ...]:
    shapes = raw if isinstance(raw, list | tuple) else ()
    return tuple(
        tuple(int(size) for size in shape[:16]) for shape in shapes[:MAX_FRAMES] if isinstance(shape, list | tuple)
    )


def _frame(raw: Any) -> str:
    if not isinstance(raw, dict):
        return ""
    return f"{_name(raw.get('name'))} {_name(raw.get('filename'))}:{_name(raw.get('line'))}"


def _read_groups(dump: Dump, config: Any) -> None:
    for name, fields in config.items() if isinstance(config, dict) else ():
        ranks = fields.get("ranks") if isinstance(fields, dict) else None
        if isinstance(ranks, str):
            ranks = [int(each) for each in re.findall(r"\d{1,9}", ranks[: 16 * MAX_ENTRIES])]
        if isinstance(ranks, list | tuple) and ranks:
            group = (_name(name), _name(fields.get("desc", "")))
            dump.members[group] = tuple(sorted({int(each) for each in ranks}))


def _read_status(dump: Dump, status: Any, numbers: dict[str, Group]) -> None:
    """Take over the counters of each group.

    They are kept by a number of the rank's own, which entries translate; for groups without entries the order of
    creation does, where it contradicts none of the entries.
    """
    if not isinstance(status, dict):
        return
    names = sorted((group for group in dump.members if group[0].isdigit()), key=lambda group: int(group[0]))
    keys = sorted((str(key) for key in status if str(key).isdigit()), key=int)
    if len(names) == len(keys) == len(dump.members) == len(status):
        guess = dict(zip(keys, names, strict=True))
        if all(guess.get(key) == group for key, group in numbers.items()):
            numbers = guess
    for key, counters in status.items():
        group = numbers.get(str(key))
        if group and isinstance(counters, dict):
            dump.enqueued[group] = int(counters.get("last_enqueued_collective", -1))
            dump.completed[group] = int(counters.get("last_completed_collective", -1))
