"""The processes that this one has started, directly or not, and their end.

Domain code kills its own process trees. This is the last line: whatever is left when the server ends is found through
the process table and killed, also what was orphaned on purpose, because the server adopts the orphans below it.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_ZOMBIE_AGE_S = 5.0
REAP_EVERY_S = 10.0
"""How often the tools' loop looks for dead orphans."""
_zombies: dict[int, float] = {}


def adopt_orphans() -> None:
    """Make every orphan below this process its child, so that none can slip away by outliving its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int | None = None, spare: Collection[int] = ()) -> list[int]:
    """The living processes below `pid` (default: this one), without zombies and without what is below `spare`."""
    if pid is None and sys.platform == "linux" and not _has_children():
        return []
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        state, parent = _state(entry)
        if state:
            children.setdefault(parent, []).append((int(entry.name), state))
    found: list[int] = []
    queue = [os.getpid() if pid is None else pid]
    while queue:
        for child, state in children.get(queue.pop(), ()):
            if child in spare:
                continue
            queue.append(child)
            if state != "Z":
                found.append(child)
    return found


def kill_descendants(within_s: float = 0.3, spare: Collection[int] = ()) -> bool:
    """Kill everything below this process, and what it forks meanwhile.

    Args:
        within_s: How long to try.
        spare: Children that are not ours to kill, with all below them.

    Returns:
        Whether nothing is left.
    """
    deadline = time.monotonic() + within_s
    while living := descendants(spare=spare):
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def reap_adopted() -> None:
    """Collect dead orphans. A dead child of our own is left to whoever started it, who collects it at once."""
    now = time.monotonic()
    dead = {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _state(entry) == ("Z", os.getpid())}
    for pid in _zombies.keys() - dead:
        del _zombies[pid]
    for pid in dead:
        if now - _zombies.setdefault(pid, now) > _ZOMBIE_AGE_S:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _has_children() -> bool:
    """Whether this process has any, living or dead: the table of all processes takes a while to read."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _state(entry: Path) -> tuple[str, int]:
    """The state letter and the parent of a process; ("", 0) if it is gone."""
    try:
        # The name stands in parentheses and may contain anything, parentheses included.
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[1])
    except (OSError, IndexError, ValueError):
        return "", 0
