"""What a tree of processes uses, read from /proc: for the limits that no controller enforces, and for the report."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Reading:
    """One look at the tree.

    Attributes:
        pids: Its processes.
        tasks: Their threads.
        resident: Their resident bytes, with shared pages counted as often as they are seen.
        largest: The resident bytes of the largest of them.
    """

    def __init__(self, pids: list[int], tasks: int, resident: int, largest: int) -> None:
        self.pids = pids
        self.tasks = tasks
        self.resident = resident
        self.largest = largest


def descendants(root: int) -> list[int]:
    """The process `root` and all below it that can be seen; stable enough to count, not to prove absence."""
    found, queue, seen = [], [root], {root}
    while queue:
        pid = queue.pop()
        found.append(pid)
        for child in _children(pid):
            if child not in seen:
                seen.add(child)
                queue.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                children.extend(map(int, file.read().split()))
    return children


def read(root: int, without: set[int]) -> Reading:
    """Look at the tree below `root`, but for the processes `without`."""
    pids = [pid for pid in descendants(root) if pid not in without]
    tasks = resident = largest = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
            tasks += int(fields[17])
            own = int(fields[21]) * _PAGE
            resident += own
            largest = max(largest, own)
    return Reading(pids, tasks, resident, largest)


def own_resident() -> int:
    """Resident bytes of the calling process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE


def proportional(pids: list[int]) -> int:
    """Resident bytes of `pids` with each shared page counted once."""
    total = 0
    for pid in pids:
        total += _proportional(pid)
    return total


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    # A process that forbids the look is charged in full.
    with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def mapped_from(pids: list[int], devices: set[int]) -> int:
    """Resident bytes of `pids` that are mapped files of these devices, each shared page counted once."""
    wanted = {f"{os.major(device):02x}:{os.minor(device):02x}" for device in devices}
    total = 0
    for pid in pids:
        inside = False
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps") as file:
            for line in file:
                words = line.split(None, 5)
                if "-" in words[0] and len(words) >= 5:
                    inside = words[3] in wanted
                elif inside and line.startswith("Pss:"):
                    total += int(words[1]) * 1024
    return total


class Space:
    """How full a private file system is, in bytes and files."""

    def __init__(self, size: int, used: int, files: int) -> None:
        self.size = size
        self.used = used
        self.files = files

    @property
    def full(self) -> bool:
        """Whether nothing more than a page or two fits in."""
        return self.size > 0 and self.size - self.used < 4 * _PAGE


def space(descriptor: int) -> Space:
    """Look at the file system that an open directory lies in."""
    status = os.fstatvfs(descriptor)
    used = (status.f_blocks - status.f_bfree) * status.f_frsize
    return Space(status.f_blocks * status.f_frsize, used, status.f_files - status.f_ffree)


def folder_bytes(path: Path, ceiling: int) -> int:
    """Bytes allocated below `path`, counted until they pass `ceiling`."""
    total, queue = 0, [str(path)]
    while queue and total <= ceiling:
        with contextlib.suppress(OSError), os.scandir(queue.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                total += status.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)
    return total
