"""Texts made before, kept from process to process.

Specializing and formatting a file, compiling a template, parsing a sidecar are pure functions of texts and of what is
asked for. Most of it is the same from project to project, and loading the libraries that do it takes longer than all
the rest of a rendering.
"""

import atexit
import contextlib
import hashlib
import json
import os
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LIMIT = 16_000_000
"""Bytes of texts on disk, above which the file is started anew."""


class Kept:
    """Texts by what they were made of, in memory and in a file of the user's cache folder.

    The file is a convenience: where it cannot be read or written, or another dlcoder wrote it, all is made anew.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] | None = None
        self._is_saved = True

    def get(self, *key: str) -> str | None:
        """What was made of this before, or None."""
        return self._loaded().get(_digest(*key))

    def put(self, text: str, *key: str) -> None:
        """Keep what was made: for this process, and from its end on for others too."""
        if self._is_saved:
            atexit.register(self.save)
        self._loaded()[_digest(*key)] = text
        self._is_saved = False

    def save(self) -> None:
        """Write what is new into the file, whole or not at all."""
        texts = self._loaded()
        if self._is_saved:
            return
        self._is_saved = True
        atexit.unregister(self.save)
        if sum(map(len, texts.values())) > _LIMIT:
            texts.clear()
        with contextlib.suppress(OSError):
            file = self._file()
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
                json.dump({"made_by": _maker(), "texts": texts}, new)
            Path(new.name).replace(file)

    def _loaded(self) -> dict[str, str]:
        if self._texts is None:
            self._texts = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads(self._file().read_text(encoding="utf-8"))
                if found["made_by"] == _maker():
                    self._texts = dict(found["texts"])
        return self._texts

    def _file(self) -> Path:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(root, "dlcoder", "rendered.json")


def _digest(*key: str) -> str:
    return hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest()


@cache
def _maker() -> str:
    """What the texts depend on beside their keys: the code that makes them, here and in the libraries."""
    package = Path(__file__).parents[1]
    own = [*package.glob("templates/*.py"), *package.glob("scaffold/*.py")]
    libraries = [spec.origin for spec in map(find_spec, ("jinja2", "libcst", "ruff", "yaml")) if spec and spec.origin]
    states = [(str(file), file.stat()) for file in sorted([*own, *map(Path, libraries)])]
    return _digest(*(f"{file} {state.st_mtime_ns} {state.st_size}" for file, state in states))


KEPT = Kept()
"""Of this process."""
