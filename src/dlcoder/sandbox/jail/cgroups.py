"""Memory and process limits that the kernel itself enforces over a whole tree, where a controller can be had."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_MARK = "dlcoder-"
_ROOT = Path("/sys/fs/cgroup")


class Cgroup:
    """One directory per hierarchy (version 1) or a single one (version 2) that a run's processes are put into.

    Attributes:
        folders: The directories by controller ("memory", "pids"); empty where nothing can be had.
    """

    def __init__(self, folders: dict[str, Path], unified: bool) -> None:
        self.folders = folders
        self._unified = unified

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel counts the run's memory."""
        return "memory" in self.folders

    def set_limits(self, memory_bytes: int, processes: int) -> None:
        """Set both limits, as far as there are controllers for them; swap is not extra memory."""
        memory, pids = self.folders.get("memory"), self.folders.get("pids")
        if pids:
            _write(pids / "pids.max", str(processes))
        if memory and self._unified:
            _write(memory / "memory.max", str(memory_bytes))
            for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):
                    _write(memory / name, value)
        elif memory:
            _write(memory / "memory.limit_in_bytes", str(memory_bytes))
            with contextlib.suppress(OSError):
                _write(memory / "memory.memsw.limit_in_bytes", str(memory_bytes))

    def join(self) -> None:
        """Put the calling process in; what it starts from now on is in as well."""
        for folder in set(self.folders.values()):
            _write(folder / "cgroup.procs", "0")

    def memory_struck(self) -> bool:
        """Whether the kernel killed a process for memory."""
        folder = self.folders.get("memory")
        if folder is None:
            return False
        return _field(folder / ("memory.events" if self._unified else "memory.oom_control"), "oom_kill") > 0

    def processes_struck(self) -> bool:
        """Whether a fork was refused."""
        folder = self.folders.get("pids")
        return folder is not None and _field(folder / "pids.events", "max") > 0

    def peak_memory(self) -> int:
        """The most bytes that were in use, file caches included; 0 where that is not counted."""
        folder = self.folders.get("memory")
        if folder is not None:
            with contextlib.suppress(OSError, ValueError):
                return int((folder / ("memory.peak" if self._unified else "memory.max_usage_in_bytes")).read_text())
        return 0

    def members(self) -> set[int]:
        """The processes in it."""
        found: set[int] = set()
        for folder in set(self.folders.values()):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        return found

    def remove(self, patience_s: float = 1.0) -> None:
        """Remove the directories; the kernel may need a moment after the last process has gone."""
        deadline = time.monotonic() + patience_s
        for folder in set(self.folders.values()):
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.002)


def create(name: str) -> Cgroup:
    """Make a group for a run called `name`, as strong as this machine allows; it may hold no controller at all."""
    parent = _delegated_parent()
    if parent is not None:
        folder = parent / (_MARK + name)
        with contextlib.suppress(OSError):
            folder.mkdir()
            return Cgroup({"memory": folder, "pids": folder}, unified=True)
    folders = {}
    for controller, home in _version_1_homes().items():
        folder = home / (_MARK + name)
        with contextlib.suppress(OSError):
            folder.mkdir()
            folders[controller] = folder
    return Cgroup(folders, unified=False)


def sweep() -> None:
    """Remove the empty directories of supervisors that were killed."""
    parents = [*_version_1_homes().values()]
    if (delegated := _delegated_parent()) is not None:
        parents.append(delegated)
    for parent in parents:
        for folder in parent.glob(_MARK + "*"):
            pid = folder.name[len(_MARK) :].partition("-")[0]
            if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _own_groups() -> dict[str, str]:
    """Our group by controller; "" stands for the version 2 hierarchy."""
    groups = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts() -> list[tuple[str, str, str, str]]:
    """(file system type, mount point, root within the hierarchy, super options) of every cgroup mount."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split(" ", 2)
            if kind in ("cgroup", "cgroup2"):
                words = fields.split(" ")
                found.append((kind, words[4], words[3], options))
    return found


def _place(mount_point: str, root: str, group: str) -> Path:
    relative = group[len(root) :] if root != "/" and group.startswith(root) else group
    return Path(mount_point) / relative.lstrip("/")


def _version_1_homes() -> dict[str, Path]:
    """Where a directory of ours may be made, by controller."""
    groups, homes = _own_groups(), {}
    for kind, point, root, options in _mounts():
        names = options.split(",")
        for controller in ("memory", "pids"):
            if kind == "cgroup" and controller in names and controller in groups:
                homes[controller] = _place(point, root, groups[controller])
    return {controller: home for controller, home in homes.items() if os.access(home, os.W_OK)}


def _delegated_parent() -> Path | None:
    """The nearest of our ancestors that hands memory and pids on, and lets us make a group and move into it."""
    group = _own_groups().get("")
    for kind, point, root, _ in _mounts():
        if kind != "cgroup2" or group is None:
            continue
        top, folder = Path(point), _place(point, root, group)
        for ancestor in (folder, *folder.parents):
            handed_on = _words(ancestor / "cgroup.subtree_control")
            writable = os.access(ancestor, os.W_OK) and os.access(ancestor / "cgroup.procs", os.W_OK)
            if {"memory", "pids"} <= handed_on and writable:
                return ancestor
            if ancestor == top:
                break
    return None


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _field(path: Path, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
