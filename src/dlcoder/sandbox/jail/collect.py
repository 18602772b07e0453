"""Files into the sandbox and out of it: plain data only, and no name that the program chose is ever followed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

_CHUNK = 1 << 20
_MOST_FILES, _MOST_DEPTH = 5_000, 32

LEFT_OUT = frozenset(
    (
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
    )
)
"""Never copied in: history, environments and caches."""
SECRETS = frozenset((".env", ".netrc", ".ssh", ".aws", ".gnupg", ".pypirc", ".npmrc", ".git-credentials", ".kaggle"))
"""Never copied in: where people keep keys."""


class TooLargeError(Exception):
    """The directory holds more than the sandbox may."""


class Harvest:
    """What was brought back: counts, and why entries were left (reason: how many)."""

    def __init__(self) -> None:
        self.files = 0
        self.size = 0
        self.left: dict[str, int] = {}

    def leave(self, reason: str) -> None:
        """Count an entry that is not brought back."""
        self.left[reason] = self.left.get(reason, 0) + 1


def _wanted(name: str) -> bool:
    return name not in LEFT_OUT and name not in SECRETS and not name.startswith(".env.")


def copy_in(source: str, target: str, most_bytes: int, owner: tuple[int, int] | None, tick: Callable[[], None]) -> None:
    """Copy the directory `source` into the existing directory `target`.

    Symbolic links are copied as such; special files, environments, caches and keys are not copied.

    Args:
        source: A host directory.
        target: An empty directory in the sandbox, before anything hostile runs in it.
        most_bytes: The size that the sandbox may hold.
        owner: Who is to own the copies, for a supervisor that may give files away.
        tick: Called often; may raise to stop.

    Raises:
        TooLargeError: There is more than `most_bytes`.
    """
    total, queue = 0, [""]
    while queue:
        folder = queue.pop()
        with os.scandir(os.path.join(source, folder)) as entries:
            names = sorted(entry.name for entry in entries if _wanted(entry.name))
        for name in names:
            tick()
            relative = os.path.join(folder, name)
            origin, copy = os.path.join(source, relative), os.path.join(target, relative)
            status = os.lstat(origin)
            if stat.S_ISDIR(status.st_mode):
                if os.path.exists(os.path.join(origin, "pyvenv.cfg")):
                    continue
                os.mkdir(copy, 0o755)
                queue.append(relative)
            elif stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(origin), copy)
            elif stat.S_ISREG(status.st_mode):
                total += status.st_size
                if total > most_bytes:
                    raise TooLargeError
                _copy_file(origin, copy, tick)
                os.chmod(copy, 0o755 if status.st_mode & 0o100 else 0o644)
                os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
            else:
                continue
            if owner is not None:
                os.chown(copy, *owner, follow_symlinks=False)


def _copy_file(origin: str, copy: str, tick: Callable[[], None]) -> None:
    with open(origin, "rb") as reader, open(copy, "xb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
            tick()


def harvest(source: int, target: str, most_bytes: int, tick: Callable[[], None]) -> Harvest:
    """Bring back what a program left below the open directory `source`, when nothing of it runs any more.

    Regular files with one name only, none through a link, modes reset, everything else counted and left. Existing
    files of `target` are replaced, never written through.

    Args:
        source: A descriptor of the work directory, opened before the program started.
        target: An existing host directory.
        most_bytes: What is brought back at most; a sparse file counts at its full length.
        tick: Called often; may raise to stop.
    """
    result = Harvest()
    base = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # The program may have taken its own rights away.
    with contextlib.suppress(OSError):
        os.fchmod(source, 0o700)
    try:
        _harvest_folder(source, base, 0, result, most_bytes, tick)
    finally:
        os.close(base)
    return result


def _plain(name: str) -> bool:
    """Whether a name can do no harm in a listing, a shell or an archive."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return name.isprintable() and not name.startswith("-")


def _harvest_folder(
    source: int, target: int, depth: int, result: Harvest, most_bytes: int, tick: Callable[[], None]
) -> None:
    device = os.fstat(source).st_dev
    for name in sorted(os.listdir(source)):
        if name == "__pycache__":
            continue
        tick()
        try:
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
        except OSError:
            result.leave("unreadable entry")
            continue
        if not _plain(name):
            result.leave("name with control characters")
        elif stat.S_ISDIR(status.st_mode):
            if depth >= _MOST_DEPTH or status.st_dev != device:
                result.leave("folder too deep")
            else:
                _harvest_subfolder(source, target, name, depth, result, most_bytes, tick)
        elif reason := _reason_to_leave(status, result, most_bytes):
            result.leave(reason)
        else:
            _harvest_file(source, target, name, result, tick)


def _reason_to_leave(status: os.stat_result, result: Harvest, most_bytes: int) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "link" if stat.S_ISLNK(status.st_mode) else "special file"
    if status.st_nlink != 1:
        return "file with several names"
    if result.files >= _MOST_FILES:
        return "too many files"
    return "too large" if result.size + status.st_size > most_bytes else ""


def _harvest_subfolder(
    source: int, target: int, name: str, depth: int, result: Harvest, most_bytes: int, tick: Callable[[], None]
) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        os.chmod(name, 0o700, dir_fd=source)
    try:
        inner = os.open(name, flags, dir_fd=source)
    except OSError:
        result.leave("unreadable folder")
        return
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=target)
        outer = os.open(name, flags, dir_fd=target)
    except OSError:
        result.leave("folder in the way of a link or file")
        os.close(inner)
        return
    try:
        _harvest_folder(inner, outer, depth + 1, result, most_bytes, tick)
    finally:
        os.close(inner)
        os.close(outer)


def _harvest_file(source: int, target: int, name: str, result: Harvest, tick: Callable[[], None]) -> None:
    try:
        reader = _open_file(source, name)
    except OSError:
        result.leave("unreadable file")
        return
    with os.fdopen(reader, "rb") as data:
        status = os.fstat(reader)
        if _unchanged(target, name, status):
            return
        fresh = f".{os.getpid()}.dlcoder-part"
        writer = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=target
        )
        try:
            with os.fdopen(writer, "wb") as copy:
                os.fchmod(copy.fileno(), 0o644)
                while chunk := data.read(_CHUNK):
                    copy.write(chunk)
                    result.size += len(chunk)
                    tick()
                copy.flush()
                os.utime(copy.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))
            os.replace(fresh, name, src_dir_fd=target, dst_dir_fd=target)
            result.files += 1
        except OSError:
            result.leave("name taken by a folder")
        finally:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=target)


def _unchanged(folder: int, name: str, status: os.stat_result) -> bool:
    """Whether `folder` holds the file already, as it was copied in."""
    try:
        present = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    same = (present.st_size, present.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    return stat.S_ISREG(present.st_mode) and same


def _open_file(folder: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:
        os.chmod(name, 0o600, dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)
