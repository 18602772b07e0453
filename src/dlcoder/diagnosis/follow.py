"""Growing logs: when to look at them again, and which files hold the run by then."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlcoder.diagnosis.sources import collect
from dlcoder.errors import UserError

POLL_S = 0.4
"""How often the files are looked at for growth."""
EVERY_S = 5.0
"""How often grown logs are read again although nothing in the new lines looks like a message of a failure."""
_SHARE = 8.0
"""Reading may take one part in this many of the time: a log of gigabytes is read again less often."""
_MOST_SCANNED = 32 << 20
_MOST_EARLIER = 8


@dataclass
class _Seen:
    """A file as it was: which one it was, and how far it had come."""

    inode: int
    size: int


class Watcher:
    """Follows files, directories and patterns, which may appear, grow, and be rotated away.

    Args:
        paths: What to follow; nothing of it need exist yet.
        clock: Seconds that only rise.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._paths = list(paths)
        self._clock = clock
        self._sleep = sleep
        self._seen: dict[Path, _Seen] = {}
        self._earlier: list[Path] = []

    def changes(self) -> Iterator[list[Path]]:
        """Yield the paths to read, each time that it is worth it; never ends by itself.

        It is worth it as soon as a new line looks like a message of a failure, and every few seconds if lines came.
        What the caller does before it asks for the next change is taken for the time that reading costs.
        """
        urgent = grown = False
        last = -EVERY_S
        cost = 0.0
        while True:
            telling, more = self._look()
            urgent, grown = urgent or telling, grown or more
            now = self._clock()
            pause = cost * _SHARE if urgent else max(EVERY_S, cost * _SHARE)
            if grown and now >= last + pause:
                yield [*self._earlier, *(path for path in self._paths if _files(path))]
                last = self._clock()
                cost = last - now
                urgent = grown = False
            self._sleep(POLL_S)

    def _look(self) -> tuple[bool, bool]:
        """Whether new lines look like a failure, and whether there are any."""
        telling = grown = False
        for file in dict.fromkeys(file for path in self._paths for file in _files(path)):
            try:
                status = file.stat()
            except OSError:
                continue
            before = self._seen.get(file)
            start = before.size if before else 0
            if before and (before.inode != status.st_ino or status.st_size < before.size):
                self._remember_earlier(file, before)
                start = 0
            self._seen[file] = _Seen(status.st_ino, status.st_size)
            if status.st_size > start:
                grown = True
                telling = telling or before is None or _tells(file, start, status.st_size)
        return telling, grown

    def _remember_earlier(self, file: Path, before: _Seen) -> None:
        """Find where a rotated log went: it keeps its inode when renamed, and gets the suffix .1 when copied."""
        moved = [other for other in _siblings(file) if other != file and other.stat().st_ino == before.inode]
        copied = [file.with_name(f"{file.name}.1")]
        found = next((other for other in (*moved, *copied) if other.is_file()), None)
        watched = {one for path in self._paths for one in _files(path)}
        if found is not None and found not in self._earlier and found not in watched:
            self._earlier = [*self._earlier, found][-_MOST_EARLIER:]


def _files(path: Path) -> list[Path]:
    """The files that a path stands for now; none where it does not exist yet."""
    try:
        return [source.path for source in collect(None, [path]) if source.path is not None]
    except (UserError, OSError):
        return []


def _siblings(file: Path) -> list[Path]:
    try:
        with os.scandir(file.parent) as entries:
            return [Path(entry.path) for entry in entries if entry.name.startswith(file.stem) and entry.is_file()]
    except OSError:
        return []


def _tells(file: Path, start: int, end: int) -> bool:
    """Whether the new part of a file holds a text that speaks of a failure; a very large part is taken to."""
    from dlcoder.diagnosis.matcher import locator

    if end - start > _MOST_SCANNED:
        return True
    try:
        with file.open("rb") as stream:
            stream.seek(max(start - 256, 0))  # a message may have been cut by the last look
            data = stream.read(end - max(start - 256, 0))
    except OSError:
        return False
    return next(iter(locator().find(data)), None) is not None
