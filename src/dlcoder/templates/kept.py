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
from itertools import accumulate, pairwise
from pathlib import Path

_LIMIT = 16_000_000
"""Bytes of texts on disk, above which the file is started anew."""


class Kept:
    """Texts by what they were made of, in memory and in a file of the user's cache folder.

    The file is a convenience: where it cannot be read or written, or another dlcoder wrote it, all is made anew. Its
    first line says how long each text is, and the texts follow: what nobody asks for is read, but not decoded.
    """

    def __init__(self) -> None:
        self._texts: dict[str, bytes | memoryview] | None = None
        self._is_saved = True

    def get(self, *key: str) -> str | None:
        """What was made of this before, or None."""
        text = self._loaded().get(_digest(*key))
        return None if text is None else bytes(text).decode()

    def put(self, text: str, *key: str) -> None:
        """Keep what was made: for this process, and from its end on for others too."""
        if self._is_saved:
            atexit.register(self.save)
        self._loaded()[_digest(*key)] = text.encode()
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
        head = {"made_by": _maker(), "lengths": {key: len(text) for key, text in texts.items()}}
        with contextlib.suppress(OSError):
            file = self._file()
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
                new.write(b"\n".join([json.dumps(head).encode(), b"".join(texts.values())]))
            Path(new.name).replace(file)

    def _loaded(self) -> dict[str, bytes | memoryview]:
        if self._texts is None:
            self._texts = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = self._file().read_bytes()
                head = content.index(b"\n") + 1
                found = json.loads(content[:head])
                cuts = list(accumulate(found["lengths"].values(), initial=head))
                if found["made_by"] == _maker() and cuts[-1] == len(content):
                    parts = (memoryview(content)[begin:end] for begin, end in pairwise(cuts))
                    self._texts = dict(zip(found["lengths"], parts, strict=True))
        return self._texts

    def _file(self) -> Path:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(root, "dlcoder", "rendered")


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
