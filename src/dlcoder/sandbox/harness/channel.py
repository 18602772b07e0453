"""How the harness's messages leave the sandbox.

The request comes in a file that is closed before anything of the user's is loaded. Each message carries a mark made
with the run's key and its number, and the stream counts only with its last word: printing, writing to descriptors found
in /proc, and ending the process are no result.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import sys
import traceback
from typing import Any, Callable

from .guard import Guard, counted, import_all

__all__ = ["import_all", "main", "serve"]

Emit = Callable[[dict[str, Any]], None]


def main() -> None:
    """Read the request from standard input, run it, and leave the process."""
    with open(0, "rb", closefd=False) as stream:
        header = json.loads(stream.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os._exit(serve(header))


def serve(header: dict[str, Any]) -> int:
    """Run the request in `header`; return the exit status of the process."""
    from . import main as run

    request = header.pop("request")
    emit, finish = _open(header["frames"], bytes.fromhex(header.pop("key")), header["rank"])
    if request.get("kind") == "component":
        # Only here the code that is judged runs in this process.
        emit = _guarded(emit, finish)
    status = 0
    try:
        run(request, emit)
        finish()
    except SystemExit as error:
        traceback.print_exc()
        status = error.code if isinstance(error.code, int) and error.code else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status


def _guarded(emit: Emit, finish: Callable[[], None]) -> Emit:
    leave = os._exit

    def stop() -> None:
        finish()
        leave(1)

    guard = Guard()
    guard.arm("component")
    return counted(guard, emit, stop)


def _open(descriptor: int, key: bytes, rank: int) -> tuple[Emit, Callable[[], None]]:
    """Return the function that sends a message, and the one that says the last word."""
    # Held here, as user code may replace what modules hold.
    dumps, write, mac, digest = json.dumps, os.write, hmac.new, hashlib.sha256
    number = 0

    def send(frame: dict[str, Any]) -> None:
        nonlocal number
        body = dumps(frame, default=str).encode()
        data = mac(key, b"%d:%d:" % (rank, number) + body, digest).hexdigest().encode() + b" " + body + b"\n"
        number += 1
        while data:
            data = data[write(descriptor, data) :]

    def finish() -> None:
        send({"end": number})

    return send, finish
