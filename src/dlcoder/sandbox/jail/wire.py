"""Messages between the supervisor and process 1 of the sandbox: JSON with its length in front, and descriptors."""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")


def send(sock: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
    """Send `message`, with open descriptors if there are any."""
    body = json.dumps(message).encode()
    if descriptors:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sock.sendmsg([_LENGTH.pack(len(body))], rights)
    else:
        sock.sendall(_LENGTH.pack(len(body)))
    sock.sendall(body)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive the next message and its descriptors.

    Raises:
        EOFError: The other side is gone.
    """
    first, ancillary, _, _ = sock.recvmsg(_LENGTH.size, socket.CMSG_SPACE(8 * 4))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    head = first + _exactly(sock, _LENGTH.size - len(first))
    message = json.loads(_exactly(sock, _LENGTH.unpack(head)[0]))
    return message, list(descriptors)


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = sock.recv(min(count, 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
