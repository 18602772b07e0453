"""The event loop on which tools run, apart from the one that speaks the protocol.

A tool that computes for seconds without a pause then delays neither a ping, a cancellation, a heartbeat nor the end of
the server, and a `SystemExit` in it ends nothing but the call.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from dlcoder.serving import children

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CANCEL_WAIT_S = 1.0


class HandlerCancelledError(Exception):
    """A handler ended as cancelled although nobody had cancelled it."""


class ToolLoop:
    """One daemon thread with one event loop, started by the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await `work()` on the tools' loop.

        Cancelling the caller cancels the work, and waits up to a second for its end.

        Raises:
            BaseException: Whatever the work raised, `SystemExit` and `KeyboardInterrupt` included.
        """
        here, there = asyncio.get_running_loop(), self._started()
        done = asyncio.Event()
        cancelled = threading.Event()
        outcome: list[T | BaseException] = []

        async def guarded() -> None:
            try:
                outcome.append(await work())
            except asyncio.CancelledError:
                outcome.append(HandlerCancelledError("the handler was cancelled from within"))
            except BaseException as error:  # SystemExit would otherwise end the loop of all tools
                outcome.append(error)
            finally:
                here.call_soon_threadsafe(done.set)

        task: list[asyncio.Task[None]] = []

        def launch() -> None:
            if not cancelled.is_set():
                task.append(there.create_task(guarded()))
                self._tasks.add(task[0])
                task[0].add_done_callback(self._tasks.discard)

        there.call_soon_threadsafe(launch)
        try:
            await done.wait()
        except asyncio.CancelledError:
            cancelled.set()
            there.call_soon_threadsafe(lambda: task[0].cancel() if task else here.call_soon_threadsafe(done.set))
            with anyio.move_on_after(_CANCEL_WAIT_S, shield=True):
                await done.wait()
            raise
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def cancel_all(self) -> None:
        """Cancel every running handler, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])

    @property
    def busy(self) -> bool:
        """Whether a handler is running."""
        return bool(self._tasks)

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
