"""Which part of the disk a client may name: what the command line says, else the client, else where we stand."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp.server.mcpserver import Context
from mcp.shared.message import ServerMessageMetadata
from mcp.types import InputRequiredResult, ListRootsRequest, ListRootsResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from dlcoder.errors import UserError
from dlcoder.paths import Roots

_ANSWER_WITHIN_S = 3.0
_KEY = "roots"
_NAMES_A_PATH = frozenset({"path", "paths"})


@dataclass(frozen=True)
class RootsPolicy:
    """Where the allowed directories come from.

    Attributes:
        given: Directories of `--root`; empty to ask the client.
    """

    given: tuple[Path, ...] = ()

    async def roots(self, ctx: Context[Any, Any], arguments: Mapping[str, Any]) -> Roots | InputRequiredResult:
        """The roots for one call; a client of the modern era may first have to be asked for them.

        Over HTTP the client may sit on another machine or be another user, so that its word only narrows what the
        server would allow anyway.

        Raises:
            UserError: The call names a path, and nobody has said which directories are meant.
        """
        own = self.given or default_roots()
        if self.given or not _NAMES_A_PATH & arguments.keys():
            return Roots(own)
        asked = await _ask(ctx)
        if isinstance(asked, InputRequiredResult):
            return asked
        theirs = _directories(asked)
        if _is_http(ctx):
            theirs = tuple(root for root in theirs if any(root.is_relative_to(place) for place in own))
        if not (allowed := theirs or own):
            raise UserError(
                "The server was started in / and the client names no project directory, so no path is allowed.",
                "Restart the server with --root DIR.",
            )
        return Roots(allowed)


def default_roots() -> tuple[Path, ...]:
    """The project that the client was started in, else the current directory; nothing where that is the whole disk."""
    place = Path(os.environ.get("CLAUDE_PROJECT_DIR") or Path.cwd()).resolve()
    return () if place == Path(place.anchor) else (place,)


def _is_http(ctx: Context[Any, Any]) -> bool:
    return ctx.request_context.request is not None


async def _ask(ctx: Context[Any, Any]) -> Sequence[str] | InputRequiredResult:
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return ()
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return await _ask_now(ctx) if ctx.session.can_send_request else ()
    answer = (ctx.input_responses or {}).get(_KEY)
    if isinstance(answer, ListRootsResult):
        return [str(root.uri) for root in answer.roots]
    if answer is None and ctx.input_responses is None:
        return InputRequiredResult(input_requests={_KEY: ListRootsRequest()})
    return ()


async def _ask_now(ctx: Context[Any, Any]) -> Sequence[str]:
    """Ask over the open connection; a client that declares roots but does not tell them has none."""
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            result = await ctx.session.send_request(ListRootsRequest(), ListRootsResult, metadata=related)
    except Exception:
        return ()
    return [str(root.uri) for root in result.roots]


def _directories(uris: Iterable[str]) -> tuple[Path, ...]:
    paths = []
    for uri in uris:
        parts = urlsplit(uri)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and "\0" not in (path := unquote(parts.path)):
            paths.append(Path(path).resolve())
    return tuple(paths)
