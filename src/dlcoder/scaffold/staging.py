"""A directory tree that appears at its place all at once, or not at all.

The tree is written into a stage beside its final place, on the same file system, and moved by one rename. A kill at any
moment leaves nothing at the final place, or everything; what it leaves of the stage is removed by the next run.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from dlcoder.errors import UserError

_PREFIX = ".dlcoder-stage-"


class Stage:
    """A place to build a tree in, for one target.

    Attributes:
        root: Where to put the tree's files.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        self._target = target
        # Parents that do not exist yet are built in the stage as well, and appear with the tree.
        self._top = _topmost_missing(target)
        self._moved = folder / "new" / self._top.name
        self.root = self._moved / target.relative_to(self._top)

    def write(self, files: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> None:
        """Write files, by their path relative to the tree."""
        for path, content in files.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            if path in executable:
                file.chmod(0o755)

    def publish(self) -> None:
        """Move the tree to its place.

        Raises:
            UserError: Something has appeared there in the meantime; it is left as it is.
        """
        refuse_occupied(self._target)
        try:
            # rename() replaces an empty directory, and fails on anything else that exists.
            self._moved.rename(self._top)
        except OSError as error:
            if not self._top.exists():
                raise
            raise UserError(
                f"{self._top} appeared while the project was being made ({error.strerror}).",
                "Choose a path that does not exist.",
            ) from error


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Stage]:
    """Make a stage for `target`, and remove it in the end, along with those that killed processes left.

    Raises:
        UserError: `target` is occupied, or its directory cannot be written to.
    """
    refuse_occupied(target)
    parent = _topmost_missing(target).parent
    with contextlib.ExitStack() as held:
        try:
            # While it is held nobody looks for abandoned stages, so none is seen before it is locked itself.
            with locked(parent):
                _remove_abandoned(parent)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                held.enter_context(locked(folder))
        except OSError as error:
            raise UserError(
                f"{parent} cannot be written to ({error.strerror}).", "Choose a path in a directory that can."
            ) from error
        try:
            stage = Stage(folder, target)
            stage.root.mkdir(parents=True)
            yield stage
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a directory's lock until the block ends, or this process, however it ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A file system without locks has no abandoned stages removed either.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def refuse_occupied(target: Path) -> None:
    """Raise `UserError` unless `target` does not exist or is an empty directory below directories."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} exists and is no directory.", "Choose a path that does not exist.")
    if target.is_dir() and any(target.iterdir()):
        raise UserError(
            f"{target} exists and is not empty; nothing in it was touched.",
            "Choose a path that does not exist, or an empty directory.",
        )
    for parent in target.parents:
        if parent.exists() and not parent.is_dir():
            raise UserError(f"{parent} is no directory.", "Choose a path below directories.")


def _topmost_missing(target: Path) -> Path:
    """The target itself, or the first of its parents that would have to be made."""
    top = target
    while not top.parent.exists():
        top = top.parent
    return top


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether no process holds the stage's lock."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
