"""The harness's messages as the supervisor reads them: nothing counts that does not carry the run's key."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 8 << 20
_MOST = 64 << 20


class FrameReader:
    """The messages of one rank: `<mac> <json>` lines, numbered, ended by the harness's own last word.

    Attributes:
        complete: Whether the harness has ended the stream.
        tampered: What does not fit, empty if all does; nothing after it counts.
    """

    def __init__(self, key: bytes, rank: int) -> None:
        self.complete = False
        self.tampered = ""
        self._key = key
        self._rank = rank
        self._number = 0
        self._read = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take what the pipe gave; return the messages that it completes."""
        found: list[dict[str, Any]] = []
        self._read += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LONGEST or self._read > _MOST:
            self.tampered = self.tampered or "too much was written to the result channel"
        for line in lines:
            if self.tampered:
                break
            frame = self._check(line)
            if frame is not None:
                found.append(frame)
        return found

    def close(self) -> None:
        """No more will come."""
        if self._rest and not self.tampered:
            self.tampered = "the result channel ends within a message"

    def _check(self, line: bytes) -> dict[str, Any] | None:
        mac, _, body = line.partition(b" ")
        expected = sign(self._key, self._rank, self._number, body)
        if mac != expected:
            self.tampered = "something other than the harness wrote to the result channel"
            return None
        if self.complete:
            self.tampered = "the result channel goes on after its end"
            return None
        self._number += 1
        frame = json.loads(body)
        if "end" in frame:
            self.complete = True
            return None
        return dict(frame)


def sign(key: bytes, rank: int, number: int, body: bytes) -> bytes:
    """The mark that message `number` of rank `rank` carries."""
    import hashlib  # neither is needed by a run that is no harness's, and both take time to import
    import hmac

    return hmac.new(key, b"%d:%d:" % (rank, number) + body, hashlib.sha256).hexdigest().encode()
