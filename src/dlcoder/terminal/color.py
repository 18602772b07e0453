"""Color on a terminal, and none anywhere else."""

import os
from typing import TextIO

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "alarm": "1;31",
    "good": "1;32",
    "caution": "1;33",
}


def wanted(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose owner wants color (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str) -> str:
    """The text in a style; the empty style and the empty text stay as they are."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style and text else text
