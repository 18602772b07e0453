"""What is to be read: pasted text, files, directories, patterns, compressed files."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dlcoder.diagnosis.lines import rank_of_file
from dlcoder.errors import UserError

MOST_FILES = 20_000
_SKIPPED = {
    ".pt",
    ".pth",
    ".ckpt",
    ".safetensors",
    ".bin",
    ".npz",
    ".npy",
    ".png",
    ".jpg",
    ".jpeg",
    ".zip",
    ".tar",
    ".whl",
    ".so",
    ".pyc",
    ".onnx",
    ".parquet",
    ".arrow",
    ".h5",
    ".mp4",
    ".wav",
}
_CODE = {".py", ".ipynb", ".sh", ".md", ".toml", ".lock"}


@dataclass(frozen=True)
class Source:
    """One stream of log text.

    Attributes:
        name: How it is called in the answer: the path relative to what was asked for, or `log`.
        path: Where it lies; `None` for pasted text.
        text: The pasted text.
        size: Bytes on disk or in `text`.
        rank: The rank that its name says.
    """

    name: str
    path: Path | None
    text: str
    size: int
    rank: int | None = None

    def open(self) -> IO[bytes]:
        """Open for reading bytes; compressed files are read through.

        Raises:
            UserError: The file cannot be read.
        """
        assert self.path is not None
        try:
            raw = self.path.open("rb")
            if raw.read(2) == b"\x1f\x8b":
                raw.close()
                return gzip.open(self.path, "rb")  # type: ignore[return-value]
            raw.seek(0)
            return raw
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be read: {error.strerror}.", "Check the path and its permissions."
            ) from error


def _walk(path: Path) -> list[Path]:
    found: list[Path] = []
    for entry in sorted(path.rglob("*")):
        if len(found) >= MOST_FILES:
            break
        hidden = any(part.startswith(".") for part in entry.relative_to(path).parts)
        if not hidden and entry.suffix.lower() not in _SKIPPED | _CODE and entry.is_file():
            found.append(entry)
    return found


def _expand(path: Path) -> tuple[Path, list[Path]]:
    """The base for names, and the files that `path` stands for."""
    if path.is_dir():
        return path, _walk(path)
    if path.is_file():
        return path.parent, [path]
    if any(ch in path.name + str(path.parent) for ch in "*?["):
        parts = path.parts
        fixed = next(i for i, part in enumerate(parts) if any(ch in part for ch in "*?["))
        base = Path(*parts[:fixed])
        return base, [p for p in sorted(base.glob(str(Path(*parts[fixed:])))) if p.is_file()][:MOST_FILES]
    raise UserError(
        f"There is no file, directory or match for {str(path)!r}.",
        "Give an existing log file, a directory of logs, or a pattern such as 'logs/rank_*.log'.",
    )


def collect(log: str | None, paths: Iterable[Path]) -> list[Source]:
    """Return the sources in a stable order.

    Raises:
        UserError: A path does not exist or nothing readable was found.
    """
    sources = []
    if log is not None:
        sources.append(Source("log", None, log, len(log)))
    seen: set[Path] = set()
    for path in paths:
        base, files = _expand(path)
        for file in files:
            if file in seen:
                continue
            seen.add(file)
            name = str(file.relative_to(base)) if file.is_relative_to(base) else file.name
            sources.append(Source(name, file, "", file.stat().st_size, rank_of_file(name)))
    if not sources:
        raise UserError(
            "No log was found in the given paths.", "Paste the text as `log`, or name the files that hold it."
        )
    return sources
