"""Progress on a terminal: one line that changes, and nothing where nobody watches."""

import shutil
import sys
import threading
import time
from typing import TextIO

from dlcoder.text import clean

_SPACING_S = 0.1


class LiveLine:
    """A `Progress` that redraws one line of a terminal.

    Args:
        stream: Where to draw; silent if it is no terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self._last = 0.0
        self._lock = threading.Lock()

    def __call__(self, message: str, fraction: float) -> None:
        """Draw the state, unless the last one was drawn a moment ago."""
        now = time.monotonic()
        if not self._shown or (now - self._last < _SPACING_S and fraction < 1):
            return
        self._last = now
        percent = f"{min(max(fraction, 0.0), 1.0):4.0%}" if fraction == fraction else "   ?"
        width = shutil.get_terminal_size().columns - 1
        with self._lock:
            line = f"{percent} {clean(message).replace(chr(10), ' ')}"
            self._stream.write(f"\r\x1b[K{line[:width]}")
            self._stream.flush()

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown and self._last:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
