"""The arithmetic of out-of-memory messages: who holds the memory, and was the request sane."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line

_UNIT = {
    "b": 1.0,
    "bytes": 1.0,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
    "tib": 2.0**40,
    "pib": 2.0**50,
    "kb": 1e3,
    "mb": 2.0**20,
    "gb": 2.0**30,
    "tb": 2.0**40,
    "eb": 2.0**60,
    "eib": 2.0**60,
}
_SIZE = r"(-?[\d.]+(?:e[+-]?\d+)?) ?(bytes|[KMGTPE]?i?B)\b"
_FIELDS = {
    "request": re.compile(r"[Tt]ried to allocate (?:more than )?" + _SIZE),
    "total": re.compile(_SIZE + r" total capacity"),
    "total_new": re.compile(r"total capac(?:ity|ty) of " + _SIZE),
    "allocated": re.compile(_SIZE + r" already allocated"),
    "allocated_new": re.compile(r"allocated memory " + _SIZE + r" is allocated by PyTorch"),
    "free": re.compile(_SIZE + r" free"),
    "free_new": re.compile(r"of which " + _SIZE + r" is free"),
    "reserved": re.compile(_SIZE + r" (?:reserved in total|cached)"),
    "unallocated": re.compile(_SIZE + r" is reserved by PyTorch but unallocated"),
    "this": re.compile(r"this process has " + _SIZE + r" memory in use"),
}
_OTHER = re.compile(r"Process (\d+) has " + _SIZE + r" memory in use")
_WRAPPED = 76
"""Columns from which on a line is taken for one that a terminal broke."""
_MARK = re.compile(r"[Tt]ried to allocate (?:more than )?-?\d|total capac(?:ity|ty) of .{0,40} of which")


@dataclass(frozen=True)
class Oom:
    """The numbers of one message, in bytes; `None` where it does not say."""

    line: Line
    request: float | None
    total: float | None
    allocated: float | None
    free: float | None
    reserved: float | None
    others: tuple[float, ...]
    device: str


def _bytes(found: re.Match[str] | None, group: int = 1) -> float | None:
    if not found:
        return None
    try:
        return float(found[group]) * _UNIT[found[group + 1].lower()]
    except (ValueError, KeyError):
        return None


def read_oom(line: Line, text: str) -> Oom:
    """Read the numbers of a message of any era."""
    value = {name: _bytes(pattern.search(text)) for name, pattern in _FIELDS.items()}
    allocated = value["allocated"] if value["allocated"] is not None else value["allocated_new"]
    reserved = value["reserved"]
    if reserved is None and allocated is not None and value["unallocated"] is not None:
        reserved = allocated + value["unallocated"]
    others = tuple(size for found in _OTHER.finditer(text) if (size := _bytes(found, 2)) is not None)
    device = re.search(r"\bGPU (\d+)", text)
    return Oom(
        line,
        value["request"],
        value["total"] if value["total"] is not None else value["total_new"],
        allocated,
        value["free"] if value["free"] is not None else value["free_new"],
        reserved,
        others,
        device[1] if device else "",
    )


_GIB = 2.0**30


def _request_facts(oom: Oom) -> list[Fact]:
    """Whether the request was sane."""
    total, request, free = oom.total, oom.request, oom.free
    if not request:
        return []
    facts = []
    gib = request / _GIB
    if gib > 900 or (total and request > 4 * total and gib > 8):
        facts.append(Fact("oom.request-absurd", oom.line, note=f"it asked for {gib:.0f} GiB"))
    elif total and request > 1.05 * total and gib > 8:
        note = f"it asked for {gib:.0f} GiB on a card of {total / _GIB:.0f} GiB"
        facts.append(Fact("oom.request-large", oom.line, note=note))
    if free is not None and free > 1.5 * request and free > 0.5 * _GIB:
        note = f"{free / _GIB:.1f} GiB were free for a request of {gib:.2f} GiB"
        facts.append(Fact("oom.free-plenty", oom.line, note=note))
    if request <= 32 * 2.0**20:
        note = f"the request that failed was only {request / 2.0**20:.0f} MiB"
        facts.append(Fact("oom.request-tiny", oom.line, note=note))
    return facts


def _holder_facts(oom: Oom, total: float) -> list[Fact]:
    """Who holds the memory of a card of `total` bytes."""
    facts = []
    mine = max(oom.reserved or 0.0, oom.allocated or 0.0)
    if oom.reserved is not None and oom.allocated is not None and oom.reserved < oom.allocated:
        mine = oom.reserved + oom.allocated  # up to torch 1.3 "cached" counted only what was idle
    elsewhere = total - (oom.free or 0.0) - mine
    of = f"of {total / _GIB:.1f} GiB"
    if oom.free is not None and mine and elsewhere > max(0.3 * total, 1.5 * _GIB):
        note = f"{elsewhere / _GIB:.1f} {of} are held by something else than this process"
        facts.append(Fact("oom.held-elsewhere", oom.line, note=note))
    elif oom.free is not None and mine > 0.8 * total:
        facts.append(Fact("oom.held-here", oom.line, note=f"this process itself holds {mine / _GIB:.1f} {of}"))
    idle = (oom.reserved or 0.0) - (oom.allocated or 0.0) if oom.allocated is not None else 0.0
    if oom.request and idle > max(1.1 * oom.request, 0.1 * total):
        note = f"{idle / _GIB:.1f} GiB are reserved but idle, and the request was {oom.request / _GIB:.2f} GiB"
        facts.append(Fact("oom.fragmented", oom.line, note=note))
    if total < 6.5 * _GIB:
        facts.append(Fact("oom.small-card", oom.line, note=f"the card has {total / _GIB:.1f} GiB"))
    if len(oom.others) >= 2 and max(oom.others) > 0.2 * total:
        note = f"{len(oom.others)} processes hold memory on this GPU"
        facts.append(Fact("oom.several-processes", oom.line, note=note))
    return facts


def _judge(oom: Oom) -> list[Fact]:
    return _request_facts(oom) + (_holder_facts(oom, oom.total) if oom.total else [])


def memory_facts(lines: Sequence[Line]) -> list[Fact]:
    """What the out-of-memory messages among `lines` say by their numbers."""
    facts: list[Fact] = []
    devices: dict[int, str] = {}
    for i, line in enumerate(lines):
        if not _MARK.search(line.text[:4000]):
            continue
        text = line.text
        for above, follower in zip(lines[i : i + 3], lines[i + 1 : i + 4], strict=False):
            text += ("" if len(above.raw) >= _WRAPPED else " ") + follower.text
        oom = read_oom(line, text[:6000])
        if len(facts) < 40:
            facts += _judge(oom)
        if line.rank is not None and oom.device and len(devices) < 4096:
            devices.setdefault(line.rank, oom.device)
    if len(devices) >= 2 and set(devices.values()) == {"0"}:
        facts.append(Fact("oom.all-on-gpu0", None, note=f"{len(devices)} ranks ran out of memory on the same GPU 0"))
    return facts
