"""A polite request to stop: SIGTERM, as schedulers send it before they kill."""

import signal
from types import FrameType


class StopSignal:
    """Remembers whether SIGTERM came, so that the loop can save and leave."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
