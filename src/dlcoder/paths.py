"""Which part of the disk a caller may name."""

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
