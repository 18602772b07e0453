"""Untrusted text (logs, code, program output) made safe to quote."""

import re

# CSI, OSC (ended by BEL or ST) and two-byte escape sequences.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]")
# Controls but tab and newline; zero-width, bidi and tag characters; variation selectors' invisible supplement.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def clean(text: str, limit: int | None = None) -> str:
    """Strip what a reader cannot see and cap the length.

    Args:
        text: Anything a program wrote.
        limit: The most characters to keep; the cut is marked with an ellipsis.

    Returns:
        The text without ANSI sequences, control, bidirectional and invisible characters.
    """
    text = _INVISIBLE.sub("", _ANSI.sub("", text))
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"
