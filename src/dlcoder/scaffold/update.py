"""Bring a scaffolded project up to date: with a changed request, or with the files of a newer dlcoder.

What the owner changed stays. Each file is merged with what the record says it was made as; what both changed is marked
in the file and listed. All files change together: they are prepared beside the project, then put in place by a process
of its own that a kill of this one does not reach, from a list that the next call finishes should even that one die.
"""

import asyncio
import contextlib
import difflib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dlcoder.errors import UserError
from dlcoder.paths import own_files
from dlcoder.scaffold import apply
from dlcoder.scaffold.merge import Merged, merge
from dlcoder.scaffold.record import FOLDER
from dlcoder.scaffold.staging import locked

Kind = Literal["added", "updated", "merged", "removed", "kept", "conflict"]


@dataclass(frozen=True)
class Change:
    """What becomes of one file.

    Attributes:
        path: The file, relative to the project.
        kind: added, updated and removed are changes of files that the owner left as they were; merged: both changed it;
            kept: the new version would change or remove it, and the owner's decision stands; conflict: some of it must
            be decided by hand.
        content: What it will hold; None where it is removed or left alone.
        details: For kept and conflict: what to look at, a line each.
    """

    path: str
    kind: Kind
    content: bytes | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What a project remembers of how it was made.

    Attributes:
        spec: The request.
        package: The name of its package.
        version: The dlcoder that made it.
        files: Its files as they were made.
    """

    spec: dict[str, Any]
    package: str
    version: str
    files: dict[str, bytes]


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other updates of the project waiting until the block ends."""
    try:
        with locked(path / FOLDER):
            yield
    except PermissionError as error:
        raise UserError(f"{path} cannot be written to ({error.strerror}).", "Make it writable.") from error


def is_record(path: str) -> bool:
    """Whether a file belongs to the record."""
    return path.startswith(f"{FOLDER}/")


def read_record(path: Path) -> Record:
    """Read the record of a project.

    Raises:
        UserError: It is damaged.
    """
    try:
        project = json.loads((path / FOLDER / "project.json").read_text(encoding="utf-8"))
        with zipfile.ZipFile(path / FOLDER / "pristine.zip") as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        return Record(dict(project["spec"]), str(project["decided"]["package"]), str(project["dlcoder"]), files)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"The record {path / FOLDER} is damaged ({type(error).__name__}), so nothing was changed.",
            "Restore it from version control, or scaffold into another directory.",
        ) from None


def merged_spec(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The request of an update: what is given now, on top of what was given before."""
    result = dict(recorded)
    for name, value in given.items():
        below = result.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merged_spec(below, value)
        result[name] = value
    return result


def compare(root: Path, made: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[Change]:
    """What an update does to a project, file by file.

    Args:
        root: The project as it is now.
        made: Its files as they were made.
        new: The files that would be made today.
    """
    changes = [
        _change(path, made.get(path), _read(root, path), new.get(path))
        for path in sorted({*made, *new})
        if not is_record(path)
    ]
    return [change for change in changes if change is not None]


def _read(root: Path, path: str) -> bytes | None:
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{path} leads out of the project through a link.", "Replace the link, then update again.")
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).", "Make it a readable file.") from None


def _change(path: str, made: bytes | None, now: bytes | None, new: bytes | None) -> Change | None:
    if now == new or made == new:
        return None
    if new is None:
        if now is None:
            return None
        kept = Change(path, "kept", None, ("you changed it, and the project no longer needs it",))
        return Change(path, "removed") if now == made else kept
    if now is None:
        if made is None:
            return Change(path, "added", new)
        return Change(path, "kept", None, ("you removed it, and its new version is left out",))
    if now == made:
        return Change(path, "updated", new)
    if made is None:
        aside = f"{path}.new"
        return Change(aside, "conflict", new, (f"{path} is yours already: the new file was put beside it",))
    return _merged(path, merge(path, made, now, new))


def _merged(path: str, result: Merged) -> Change:
    return Change(path, "conflict" if result.conflicts else "merged", result.content, tuple(result.conflicts))


def preview(root: Path, changes: list[Change]) -> str:
    """The changes as a patch of the project."""
    parts: list[str] = []
    for change in changes:
        if change.kind == "kept":
            continue
        old = _text(_read(root, change.path))
        new = _text(change.content)
        names = (f"a/{change.path}" if old else "/dev/null", f"b/{change.path}" if new else "/dev/null")
        parts += difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), *names)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)


def _text(content: bytes | None) -> str:
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError:
        return "(binary)\n"


def copy_with(root: Path, changes: list[Change], target: Path, paths: set[str]) -> None:
    """Write the project as it will be into an empty directory, to be proved there.

    Args:
        root: The project.
        changes: What becomes of it.
        target: The directory.
        paths: The files that dlcoder made; the owner's other Python and settings files are copied too, data is not.
    """
    gone = {change.path for change in changes if change.kind == "removed"}
    code = {".py", ".toml", ".yaml", ".yml", ".json", ".txt"}
    own = {str(file.relative_to(root)) for file in own_files(root, code, but=("runs", "data"))}
    for path in sorted((own | paths) - gone):
        source = root / path
        if source.is_file():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / path)
    for change in changes:
        if change.content is not None:
            (target / change.path).parent.mkdir(parents=True, exist_ok=True)
            (target / change.path).write_bytes(change.content)


async def put_in_place(root: Path, changes: list[Change], record: Mapping[str, bytes]) -> None:
    """Make the changes, all of them, and renew the record.

    Args:
        root: The project.
        changes: What becomes of its files.
        record: The files of the new record.

    Raises:
        UserError: The project cannot be written to. Nothing was changed then.
    """
    contents = {change.path: change.content for change in changes if change.content is not None}
    removed = [change.path for change in changes if change.kind == "removed"]
    work = asyncio.ensure_future(_commit(root, {**contents, **record}, removed))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work  # milliseconds, after which the project is whole
        raise


async def _commit(root: Path, contents: Mapping[str, bytes], removed: list[str]) -> None:
    """Let a process of its own make the changes, so that a kill of ours falls before or after all of them."""
    try:
        journal = await asyncio.to_thread(apply.prepare, root, contents, removed)
    except OSError as error:
        raise UserError(
            f"{root} cannot be written to ({error.strerror}), and nothing was changed.", "Make it writable."
        ) from error
    command = [sys.executable, "-I", "-S", str(Path(apply.__file__)), str(journal)]
    process = await asyncio.to_thread(
        subprocess.run, command, check=False, capture_output=True, text=True, start_new_session=True, cwd="/"
    )
    if process.returncode:
        raise UserError(
            f"The changes could not all be made: {process.stderr.strip().splitlines()[-1] if process.stderr else ''}.",
            f"Free disk space or mend permissions, then call again: what {journal} says is finished first.",
        )


def finish_interrupted(root: Path) -> None:
    """Finish an update that was killed in the middle, if there was one."""
    journal = apply.journal_of(root)
    if journal is not None:
        apply.finish(journal)
    for folder in (root / FOLDER).glob(f"{apply.PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
