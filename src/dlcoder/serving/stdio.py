"""The protocol over standard input and output, with an answer to every message that waits for one.

Differs from the SDK's transport in what it does with damaged messages (see `frames`), in bounding their length, and in
answering what was asked just before the input ended.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.mcpserver import MCPServer
from mcp.shared.message import SessionMessage
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from dlcoder.serving.frames import HEAD, TAIL, Refusal, read_frame, recover_id

MAX_LINE = 64 << 20
"""Bytes; a log that is pasted whole is long, but a line must not fill the memory."""
_CHUNK = 1 << 16
_LAST_ANSWERS_S = 0.2


class LineSplitter:
    """Cuts a stream of bytes into lines; of a line beyond `limit` it keeps only the ends.

    Args:
        limit: The most bytes of a line that are kept.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield every line that `chunk` completes, and whether it is whole."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._add(end)
            yield self.finish()
        self._add(rest)

    def finish(self) -> tuple[bytes, bool]:
        """The line gathered so far, which the end of the input also completes."""
        line, whole = b"".join(self._parts), self._length <= self._limit
        self._parts, self._length = [], 0
        return line, whole

    def _add(self, part: bytes) -> None:
        self._length += len(part)
        self._parts.append(part)
        if self._length > self._limit:
            line = b"".join(self._parts)
            self._parts = [line[:HEAD], line[-max(TAIL, len(part)) :][-TAIL:]]


async def serve_stdio(server: MCPServer[Any], at_end: Callable[[], None]) -> None:
    """Serve the client at the other end of standard input and output.

    Args:
        server: What to serve.
        at_end: Called when the client has closed its end and all that could be answered was.
    """
    lowlevel = server._lowlevel_server
    connection = Connection(*claim_standard_streams())
    arriving, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(connection.receive, arriving, at_end)
            group.start_soon(connection.send, leaving)
            await lowlevel.run(read, write, lowlevel.create_initialization_options())
            group.cancel_scope.cancel()
    except* BrokenPipeError:
        pass  # the client has gone: the same end as that of the input


def claim_standard_streams() -> tuple[int, int]:
    """Move the wire to descriptors of its own, and return them: input, output.

    From then on descriptor 0 reads nothing and descriptor 1 is the error output, so that no `print` and no child
    process can damage the protocol.
    """
    import fcntl

    sys.stdout.flush()
    input, output = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (0, 1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return input, output


class Connection:
    """Pumps messages between a wire and the streams that the SDK serves."""

    def __init__(self, input: int, output: int) -> None:
        self._input, self._output = input, output
        self._waiting: set[RequestId] = set()
        self._writing = anyio.Lock()

    async def receive(
        self, messages: MemoryObjectSendStream[SessionMessage | Exception], at_end: Callable[[], None]
    ) -> None:
        """Hand over every message until the input ends, and refuse what is none."""
        splitter = LineSplitter()
        async with messages:
            while chunk := await anyio.to_thread.run_sync(os.read, self._input, _CHUNK, abandon_on_cancel=True):
                for line, whole in splitter.feed(chunk):
                    await self._take(line, whole, messages)
            await self._take(*splitter.finish(), messages)
            await self._answer_the_rest()
            at_end()

    async def send(self, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Write every message until there are no more."""
        async with messages:
            async for item in messages:
                message = item.message
                await self._write(_serialized(message))
                if isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None:
                    self._waiting.discard(message.id)

    async def _take(
        self, line: bytes, whole: bool, messages: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        if not whole:
            problem = f"The message is longer than {MAX_LINE >> 20} MiB."
            await self._refuse(Refusal(recover_id(line), INVALID_REQUEST, problem))
            return
        if not line.strip():
            return
        message = read_frame(line)
        if isinstance(message, list):
            for refusal in message:
                await self._refuse(refusal)
            return
        if isinstance(message, JSONRPCRequest):
            self._waiting.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._waiting -= {id for id in self._waiting if id == (message.params or {}).get("requestId")}
        await messages.send(SessionMessage(message))

    async def _answer_the_rest(self) -> None:
        """Give what is being answered a moment: someone may have piped in a few requests and closed."""
        with anyio.move_on_after(_LAST_ANSWERS_S):
            while self._waiting:
                await anyio.sleep(0.01)

    async def _refuse(self, refusal: Refusal) -> None:
        error = ErrorData(code=refusal.code, message=refusal.message)
        frame = JSONRPCError(jsonrpc="2.0", id=refusal.id, error=error)
        await self._write(frame.model_dump_json(by_alias=True, exclude_unset=True))

    async def _write(self, text: str) -> None:
        async with self._writing:
            await anyio.to_thread.run_sync(_write_all, self._output, text.encode() + b"\n", abandon_on_cancel=True)


def _serialized(message: JSONRPCMessage) -> str:
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True)
    except ValueError:
        # A text that no encoding can carry. The client must not wait for ever on its account, nor the server die.
        id = getattr(message, "id", None)
        error = ErrorData(code=INTERNAL_ERROR, message="The answer cannot be written as JSON: a bug of dlcoder.")
        return JSONRPCError(jsonrpc="2.0", id=id, error=error).model_dump_json(by_alias=True, exclude_unset=True)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
