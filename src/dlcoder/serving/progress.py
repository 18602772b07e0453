"""Progress as the protocol wants it: strictly rising, seldom enough, and never silent for long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from dlcoder.progress import Progress
from dlcoder.text import clean

TOTAL = 100.0
_ALMOST = 99.0
SPACING_S = 0.34
"""At most three in any second, which leaves room for the one that is sent just before the result."""
HEARTBEAT_S = 4.0
"""Clients give up on silence; the longest that work is left without a sign of life."""

Send = Callable[[float, float, str], Awaitable[None]]


class Reporter:
    """Takes progress from any thread at any rate and sends it on at a bearable one.

    Args:
        send: Sends `(progress, total, message)` to the client.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._latest: tuple[str, float] | None = None
        self._message = "Working"
        self._sent = -1.0
        self._complete = False
        self._started = time.monotonic()

    def __call__(self, message: str, fraction: float) -> None:
        """Note how far the work is; what came before and was not sent yet is forgotten."""
        self._latest = (message, fraction)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._news.set)

    async def pump(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._news.wait()
            except TimeoutError:
                await self._beat()
            else:
                await self.flush()
            await asyncio.sleep(SPACING_S)

    async def flush(self) -> None:
        """Send the latest news, if there are any."""
        fraction = self._take()
        if fraction is not None:
            # All done is said when all is done: until then the work may yet be silent and needs room to rise.
            await self._emit(min(fraction * TOTAL, _ALMOST), self._message)

    async def finish(self) -> None:
        """Send what is left to be said before the result, in one piece."""
        fraction = self._take()
        if self._complete:
            await self._emit(TOTAL, self._message)
        elif fraction is not None:
            await self._emit(fraction * TOTAL, self._message)

    def _take(self) -> float | None:
        """The latest news, noted as told."""
        self._news.clear()
        latest, self._latest = self._latest, None
        if latest is None:
            return None
        self._message = clean(latest[0], 200)
        self._complete = latest[1] >= 1
        return latest[1] if latest[1] >= 0 else 0.0

    async def _beat(self) -> None:
        await self._emit(self._sent, f"{self._message} ({time.monotonic() - self._started:.0f} s)")

    async def _emit(self, percent: float, message: str) -> None:
        # Work that stands still or goes back still has to rise on the wire: by a hair, never reaching the end.
        self._sent = percent if percent > self._sent else max(self._sent, 0.0) + (TOTAL - self._sent) * 0.001
        await self._send(self._sent, TOTAL, message)


@asynccontextmanager
async def reporting(send: Send) -> AsyncIterator[Progress]:
    """Lend a `Progress` to a piece of work; when the block ends, all progress has been sent.

    A client that is gone is no reason for the work to fail: what cannot be sent is dropped.
    """

    async def careful(progress: float, total: float, message: str) -> None:
        with contextlib.suppress(Exception):
            await send(progress, total, message)

    reporter = Reporter(careful)
    pump = asyncio.create_task(reporter.pump())
    try:
        yield reporter
        await asyncio.sleep(0)  # news that the tools' thread has handed over are noted before the last flush
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
    await reporter.finish()
