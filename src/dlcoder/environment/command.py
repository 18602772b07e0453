"""Ask a system utility something, for a limited time."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

_CORPSE_S = 0.3


@dataclass(frozen=True)
class Reply:
    """What the utility said.

    Attributes:
        code: Its exit status; 127 where it is not installed, 124 where it did not answer in time.
        text: Its standard output and standard error, in the order written.
    """

    code: int
    text: str


async def ask(*command: str, timeout_s: float, env: Mapping[str, str] | None = None) -> Reply:
    """Run `command` and return its reply; it dies with its children when the time is up or the task is cancelled."""
    environment = {**os.environ, "LC_ALL": "C", **(env or {})}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return Reply(127, str(error))
    try:
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate()
    except TimeoutError:
        return Reply(124, f"{command[0]} did not answer within {timeout_s:g} s.")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            # A hung driver keeps its caller in the kernel, unkillable: do not wait long for the corpse.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _CORPSE_S)
    return Reply(process.returncode or 0, out.decode("utf-8", "replace"))
