"""Which part of the disk a caller may name, and which files of a project are its own."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlcoder.errors import UserError


@dataclass(frozen=True)
class Roots:
    """The directories that a caller's paths must lie in, symbolic links resolved.

    Attributes:
        allowed: Resolved directories; `None` allows every path (a person at a terminal).
    """

    allowed: tuple[Path, ...] | None = None

    def resolve(self, path: str | Path) -> Path:
        """Return `path` absolute, with symbolic links resolved.

        A relative path is taken from the first root, or from the current directory where every path is allowed.

        Raises:
            UserError: The path is malformed, or leads out of every root.
        """
        if "\0" in str(path):
            raise UserError("The path contains a NUL byte.", "Give a plain path.")
        base = self.allowed[0] if self.allowed else Path.cwd()
        resolved = (base / Path(path).expanduser()).resolve()
        if self.allowed is None or any(resolved.is_relative_to(root) for root in self.allowed):
            return resolved
        raise UserError(
            f"{str(path)!r} lies outside the allowed directories ({', '.join(map(str, self.allowed))}).",
            "Choose a path inside one of them, or restart the server with --root DIR.",
        )


_OF_OTHERS = {"site-packages", "node_modules", "venv", "__pycache__"}


def own_files(root: Path, suffixes: Collection[str], but: Collection[str] = ()) -> Iterator[Path]:
    """The files of a project that its people wrote, folder by folder in the order of their names.

    What others wrote is not even looked into: environments, installed packages, caches, hidden folders.

    Args:
        root: The project.
        suffixes: What the files' names end in, such as `.py`.
        but: Folders right below `root` that are left out, too.
    """
    for here, folders, files in os.walk(root):
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        left_out = _OF_OTHERS | set(but if Path(here) == root else ())
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in left_out)
        yield from (Path(here, name) for name in sorted(files) if Path(name).suffix in suffixes)
