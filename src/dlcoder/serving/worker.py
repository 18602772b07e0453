"""The event loop on which tools run, apart from the one that speaks the protocol.

A tool that computes for seconds without a pause then delays neither a ping, a cancellation, a heartbeat nor the end of
the server, and a `SystemExit` in it ends nothing but the call.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio

from dlcoder.serving import children

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CANCEL_WAIT_S = 1.0


class HandlerCancelledError(Exception):
    """A handler ended as cancelled although nobody had cancelled it."""


class _Job(Generic[T]):
    """One piece of work on its way from the loop that waits for it to the loop that does it, and back."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._home = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._unwanted = False
        self.done = asyncio.Event()
        self.outcome: T | BaseException

    def start(self) -> None:
        """Begin, on the running loop."""
        if self._unwanted:
            self._home.call_soon_threadsafe(self.done.set)
        else:
            self._task = asyncio.get_running_loop().create_task(self._guarded())

    def cancel(self) -> None:
        """Cancel, on the loop of `start`, whether that has come or not."""
        self._unwanted = True
        if self._task is not None:
            self._task.cancel()

    async def _guarded(self) -> None:
        try:
            self.outcome = await self._work()
        except asyncio.CancelledError:
            self.outcome = HandlerCancelledError("the handler was cancelled from within")
        except BaseException as error:  # SystemExit would otherwise end the loop of all tools
            self.outcome = error
        finally:
            self._home.call_soon_threadsafe(self.done.set)


class ToolLoop:
    """One daemon thread with one event loop, started by the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._jobs: set[_Job[Any]] = set()

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work()` on the tools' loop.

        Cancelling the caller cancels the work, and waits up to a second for its end.

        Raises:
            BaseException: Whatever the work raised, `SystemExit` and `KeyboardInterrupt` included.
        """
        there = self._started()
        job = _Job(work)
        self._jobs.add(job)
        there.call_soon_threadsafe(job.start)
        try:
            await job.done.wait()
        except asyncio.CancelledError:
            there.call_soon_threadsafe(job.cancel)
            with anyio.move_on_after(_CANCEL_WAIT_S, shield=True):
                await job.done.wait()
            raise
        finally:
            self._jobs.discard(job)
        if isinstance(job.outcome, BaseException):
            raise job.outcome
        return job.outcome

    def cancel_all(self) -> None:
        """Cancel every running handler; to be called on the loop that waits for them."""
        if self._loop is not None:
            for job in list(self._jobs):
                self._loop.call_soon_threadsafe(job.cancel)

    @property
    def busy(self) -> bool:
        """Whether a handler is running."""
        return bool(self._jobs)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, args=(self._loop,), name="dlcoder-tools", daemon=True).start()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.call_later(children.REAP_EVERY_S, self._reap, loop)
        while True:
            try:
                loop.run_forever()
                return
            except (SystemExit, KeyboardInterrupt):
                # Raised by a task that a handler had started; the loop goes on for the others.
                _log.exception("a task of a tool tried to end the server")

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        children.reap_adopted()
        loop.call_later(children.REAP_EVERY_S, self._reap, loop)


TOOLS = ToolLoop()
"""The one loop of this process, so that what tools keep between calls always belongs to the same loop."""
