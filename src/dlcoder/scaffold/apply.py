"""Changes many files of a project as one: python apply.py JOURNAL, standard library only.

The new files lie in a folder of the project's record, complete and on disk, before the journal appears by a rename.
From then on the changes count as made; each is a rename, or a removal, that can be done twice without harm. Whoever
finds a journal finishes it.
"""

import contextlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PREFIX = "update-"
_RECORD = ".dlcoder"
_JOURNAL = "journal.json"


def prepare(root: Path, contents: Mapping[str, bytes], removed: Sequence[str]) -> Path:
    """Lay the new files ready and write the journal.

    Args:
        root: The project.
        contents: The new content of files, by path.
        removed: Files to remove.

    Returns:
        The journal.

    Raises:
        OSError: Something cannot be written; the project is as it was.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root / _RECORD))
    try:
        for number, (path, content) in enumerate(contents.items()):
            _write(folder / str(number), content, _mode(root / path, path))
        plan = {"contents": list(contents), "removed": list(removed)}
        _write(folder / "plan.json", json.dumps(plan).encode(), 0o644)
        _sync(folder)
        (folder / "plan.json").rename(folder / _JOURNAL)
        _sync(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / _JOURNAL


def journal_of(root: Path) -> Path | None:
    """The journal of changes that are not finished, if there is one."""
    return next(iter(sorted((root / _RECORD).glob(f"{PREFIX}*/{_JOURNAL}"))), None)


def finish(journal: Path) -> None:
    """Make the changes of a journal that have not been made yet, and remove it."""
    folder = journal.parent
    root = folder.parent.parent
    plan = json.loads(journal.read_text(encoding="utf-8"))
    for number, path in enumerate(plan["contents"]):
        ready = folder / str(number)
        if ready.exists():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            ready.replace(root / path)
    for path in plan["removed"]:
        (root / path).unlink(missing_ok=True)
        # A package that has lost its last file goes too.
        with contextlib.suppress(OSError):
            (root / path).parent.rmdir()
    journal.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _write(file: Path, content: bytes, mode: int) -> None:
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    file.chmod(mode)


def _mode(existing: Path, path: str) -> int:
    """The permissions of the file that is replaced; scripts are executable."""
    try:
        return stat.S_IMODE(existing.stat().st_mode)
    except OSError:
        return 0o755 if path.startswith("scripts/") else 0o644


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    finish(Path(sys.argv[1]))
