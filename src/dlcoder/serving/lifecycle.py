"""How the server ends: soon, whole, and with everything that it started.

End of input, SIGTERM, SIGINT and the death of the client all lead to the same few steps: the running handlers are
cancelled and given a moment to kill their own process trees, what is left below this process is killed, and the
process ends without waiting for threads that sit in a read.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from dlcoder.serving import children
from dlcoder.serving.worker import TOOLS

_log = logging.getLogger(__name__)
_HANDLERS_S = 0.35
_HARD_STOP_S = 0.9
_POLL_S = 0.25

Main = Callable[[Callable[[], None]], Awaitable[None]]


def run_until_told(main: Main, *, with_client: bool) -> NoReturn:
    """Run `main` until it returns, a signal comes, or the client dies; then end the process.

    Args:
        main: Serves; cancelled when the end has come. It is given a function to call when there is nothing more to do.
        with_client: Whether the process that started this one is its client, without whom there is nothing to do.
    """
    parent = os.getppid()
    children.adopt_orphans()
    try:
        asyncio.run(_race(main, parent if with_client else None))
    except BaseException:
        _log.exception("the server stopped")
    _end(1)


async def _race(main: Main, parent: int | None) -> NoReturn:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not told.done():
            told.set_result(code)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup asks for hang-ups to be ignored.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, tell, 128 + number)
    serving = asyncio.ensure_future(main(lambda: tell(0)))
    serving.add_done_callback(lambda _: tell(_verdict(serving)))
    if parent is not None:
        _watch(parent, lambda: loop.call_soon_threadsafe(tell, 0))
    code = await told
    _start_hard_stop(code)
    TOOLS.cancel_all()
    serving.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HANDLERS_S):
            await asyncio.wait({serving})
            while TOOLS.busy:
                await asyncio.sleep(0.01)
    _end(code)


def _verdict(serving: "asyncio.Future[None]") -> int:
    """The exit status for a server that has ended by itself."""
    error = None if serving.cancelled() else serving.exception()
    if error is not None:
        _log.error("the server stopped", exc_info=error)
    return 1 if error is not None else 0


def _watch(parent: int, dead: Callable[[], object]) -> None:
    """Call `dead` when the parent has ended.

    A client that is killed closes our input, but only if no other process holds the other end of the pipe.
    """

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        dead()

    threading.Thread(target=wait, name="dlcoder-parent", daemon=True).start()


def _start_hard_stop(code: int) -> None:
    """End the process even if the loop, a handler or a write does not let go."""

    def stop() -> None:
        children.kill_descendants(0.05)
        os._exit(code)

    timer = threading.Timer(_HARD_STOP_S, stop)
    timer.daemon = True
    timer.start()


def _end(code: int) -> NoReturn:
    children.kill_descendants()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
