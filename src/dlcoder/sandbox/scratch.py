"""Directories on this machine for what runs leave behind, gone when the process that asked for them is."""

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path

_KEPT = 100
_base: Path | None = None
_numbers = itertools.count(1)
_recent: deque[Path] = deque()


def new_run() -> Path:
    """Make an empty directory for a run; the oldest of more than a hundred goes."""
    folder = _home() / f"run-{next(_numbers)}"
    folder.mkdir()
    _recent.append(folder)
    while len(_recent) > _KEPT:
        remove(_recent.popleft())
    return folder


def shared(name: str) -> Path:
    """A directory of this process that lasts as long as it does."""
    folder = _home() / name
    folder.mkdir(exist_ok=True)
    return folder


def remove(folder: Path) -> None:
    """Remove a directory, however deep it is; what cannot be removed stays."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL, check=False)


def _home() -> Path:
    global _base
    if _base is None or not _base.is_dir():
        _sweep()
        _base = Path(tempfile.mkdtemp(prefix=f"dlcoder-{os.getuid()}-{os.getpid()}-"))
        # Passed through, not listed, by the private user of a run without namespaces.
        _base.chmod(0o711)
        atexit.register(_clean_up, _base, os.getpid())
    return _base


def _clean_up(base: Path, owner: int) -> None:
    if os.getpid() == owner:
        remove(base)


def _sweep() -> None:
    """Remove what processes that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"dlcoder-{os.getuid()}-*-*"):
        pid = folder.name.split("-")[2]
        with contextlib.suppress(OSError):
            if pid.isdigit() and not Path(f"/proc/{pid}").exists() and folder.lstat().st_uid == os.getuid():
                remove(folder)
