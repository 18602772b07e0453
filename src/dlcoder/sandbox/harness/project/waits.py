"""Tells ranks that wait for each other for ever from ranks that are slow: by what each has begun, and by its stack."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from .trace import read_trace

STACK_S = 0.5
"""How long a rank may take to write down its stack."""
_MEETING = re.compile(r"/torch/(distributed|nn/parallel)/")
_HANDLE = re.compile(r"\.(wait|recv|send|synchronize|barrier)\(")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_BLOCKING = ("coll", "coll_end", "bwd", "bwd_end", "ddp", "step")


def where_ranks_wait(trace: str, root: Path, pids: list[int], gone: set[int]) -> list[str]:
    """Where each rank stands, if none of them can go on; nothing if one is merely slow.

    A rank that sleeps or reads between two collectives keeps the others waiting, and that is no hang.

    Args:
        trace: Name of the ranks' traces, without the rank.
        root: The run's copy of the project.
        pids: The process of every rank.
        gone: Those that have ended.
    """
    lines = []
    stacks = _stacks(trace, [-1 if pid in gone else pid for pid in pids])
    for rank, pid in enumerate(pids):
        events = read_trace(f"{trace}.{rank}")
        if pid not in gone and not (_has_begun_to_meet(events) or _meets(stacks[rank], root)):
            return []
        lines.append(f"rank {rank} {_position(events, pid in gone, _user_line(stacks[rank], root))}")
    return lines if len(gone) < len(pids) else []


def _stacks(trace: str, pids: list[int]) -> list[list[tuple[str, int]]]:
    """The frames of every living rank's main thread, innermost first; none of a program that took the signal."""
    files = [Path(f"{trace}.{rank}.stack") for rank in range(len(pids))]
    before = [f.stat().st_size if f.exists() else 0 for f in files]
    asked = [rank for rank, pid in enumerate(pids) if pid > 0 and files[rank].exists()]
    for rank in asked:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[rank], signal.SIGUSR1)
    deadline = time.monotonic() + STACK_S
    while asked and time.monotonic() < deadline:
        time.sleep(0.02)
        asked = [rank for rank in asked if files[rank].stat().st_size == before[rank]]
    frames = []
    for file, size in zip(files, before):
        text = file.read_bytes()[size:].decode("utf-8", "replace") if file.exists() else ""
        frames.append([(path, int(line)) for path, line in _FRAME.findall(text)])
    return frames


def _has_begun_to_meet(events: list[dict[str, Any]]) -> bool:
    """Whether the last thing a rank began, and did not end, needs the other ranks."""
    last = next((e for e in reversed(events) if e["e"] in _BLOCKING), None)
    if last is None:
        return False
    parallel = any(e["e"] == "ddp" for e in events)
    return bool(
        last["e"] == "coll"
        or (last["e"] == "bwd" and parallel)
        or (last["e"] == "ddp" and last.get("stage") == "begin")
    )


def _meets(stack: list[tuple[str, int]], root: Path) -> bool:
    """Whether a rank is inside torch.distributed, or waits for what that has under way."""
    if not stack:
        return False
    path, line = stack[0]
    if not path.startswith(str(root)):
        return bool(_MEETING.search(path))
    with contextlib.suppress(OSError, IndexError):
        return bool(_HANDLE.search(Path(path).read_text("utf-8", "replace").splitlines()[line - 1]))
    return False


def _user_line(stack: list[tuple[str, int]], root: Path) -> str:
    own = next(((p, n) for p, n in stack if p.startswith(f"{root}/")), None)
    return f"{own[0][len(str(root)) + 1 :]}:{own[1]}" if own else ""


def _position(events: list[dict[str, Any]], gone: bool, line: str) -> str:
    """Where a rank stands, in words."""
    last = next((e for e in reversed(events) if e["e"] in _BLOCKING), None)
    steps = sum(e["e"] == "step" for e in events)
    if gone or any(e["e"] == "end" for e in events):
        return f"has ended after {steps} steps"
    if last is not None and last["e"] == "coll":
        return f"waits in {last['name']} at {last['site']} (after {steps} steps)"
    if last is not None and last["e"] == "bwd":
        return f"waits in backward() at {last['site']}, where DDP averages gradients (after {steps} steps)"
    if last is not None and last["e"] == "ddp" and last["stage"] == "begin":
        return "waits in the construction of DistributedDataParallel at {}".format(last["site"])
    place = f" at {line}" if line else ""
    return f"waits{place} before it has begun to train" if not steps else f"waits{place} after step {steps}"
