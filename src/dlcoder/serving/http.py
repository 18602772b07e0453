"""The protocol over streamable HTTP, for the callers that are meant and no others.

A page in a browser can reach any address that the browser's machine can. So `Host` and `Origin` are checked wherever
the server is bound, and beyond the loopback interface nobody is served without a token.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import INVALID_REQUEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dlcoder.errors import UserError
from dlcoder.serving.frames import Refusal, read_frame
from dlcoder.serving.stdio import MAX_LINE

PATH = "/mcp"
TOKEN_VARIABLE = "DLCODER_TOKEN"
_TOKEN_LENGTH = 16
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class HttpSettings:
    """Where the server listens and whom it answers.

    Attributes:
        host: The address to bind.
        port: The port; 0 for any free one.
        token: What callers must present; `None` to ask for nothing, which only the loopback interface may.
        names: Further names under which callers may address the server, such as that of a proxy.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise UserError(
                f"{self.host!r} can be reached from other machines, and no token is set.",
                f"Put a token of at least {_TOKEN_LENGTH} characters into {TOKEN_VARIABLE} or a file given with "
                "--token-file, or bind 127.0.0.1.",
            )

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a `Host` or `Origin` header may carry, beside the address that was connected to."""
        own = {self.host, socket.gethostname(), socket.getfqdn()} if not is_loopback(self.host) else {self.host}
        return frozenset(name.lower() for name in _LOOPBACK_NAMES | own | self.names)


def is_loopback(host: str) -> bool:
    """Whether everything that `host` stands for is the loopback interface."""
    try:
        found = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_loopback for item in found)


def read_token(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of the server, which never stands on a command line that others can list.

    Raises:
        UserError: The file cannot be read, or the token is too short to resist guessing.
    """
    if file is None:
        token = environment.get(TOKEN_VARIABLE)
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise UserError(
                f"The token file {str(file)!r} cannot be read: {reason}.", "Give a readable file."
            ) from None
    if token is not None and len(token) < _TOKEN_LENGTH:
        raise UserError(
            f"The token has {len(token)} characters, fewer than {_TOKEN_LENGTH}.",
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


async def serve_http(server: MCPServer[Any], settings: HttpSettings, listener: socket.socket) -> None:
    """Serve on a bound socket until cancelled."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"dlcoder serves MCP at http://{shown}:{port}{PATH}", file=sys.stderr, flush=True)
    config = uvicorn.Config(guarded_app(server, settings), log_level="warning", access_log=False, ws="none")
    await _Uvicorn(config).serve(sockets=[listener])


def guarded_app(server: MCPServer[Any], settings: HttpSettings) -> ASGIApp:
    """The server as an ASGI application behind its guard."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_LINE,
        # The guard checks more, and for every address.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Guard(app, settings.hosts, settings.token)


class Guard:
    """Lets through requests that name this server, come from no foreign page, carry the token, and hold a message.

    Args:
        app: What is guarded.
        hosts: Lower-case names that the server goes by, beside the address that was connected to.
        token: What callers must present, if anything.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], token: str | None) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._token = None if token is None else _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, ASGI's way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope)
        if refused:
            await _respond(send, *refused)
            return
        if scope["method"] == "POST":
            body, receive = await _read_body(receive)
            if body is None:
                await _respond(send, 413, Refusal(None, INVALID_REQUEST, f"The body exceeds {MAX_LINE >> 20} MiB."))
                return
            found = read_frame(body)
            if isinstance(found, list):
                await _respond(
                    send, 400, found[0] if len(found) == 1 else Refusal(None, found[0].code, found[0].message)
                )
                return
        await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> tuple[int, Refusal] | None:
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        here = (scope.get("server") or ("", 0))[0]
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not self._is_ours(f"//{hosts[0]}", here):
            return 421, Refusal(None, INVALID_REQUEST, "The Host header does not name this server; see --allow-host.")
        if not all(self._is_ours(origin, here) for origin in headers.get(b"origin", [])):
            return 403, Refusal(None, INVALID_REQUEST, "The Origin header names a foreign page.")
        if self._token is not None and not any(map(self._is_token, headers.get(b"authorization", []))):
            return 401, Refusal(None, INVALID_REQUEST, "A bearer token is required: Authorization: Bearer TOKEN.")
        return None

    def _is_ours(self, url: str, here: str) -> bool:
        try:
            name = urlsplit(url).hostname
        except ValueError:
            return False
        return name is not None and (name in self._hosts or name == here)

    def _is_token(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        matches = hmac.compare_digest(_digest(token.strip()), self._token or b"")
        return scheme.lower() == "bearer" and matches


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, which wait for open streams to end: the server's own do not."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def listen(settings: HttpSettings) -> socket.socket:
    """Bind the address.

    Raises:
        UserError: It cannot be bound.
    """
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"Cannot listen on {settings.host}:{settings.port}: {reason}."
        raise UserError(problem, "Choose another --host or --port.") from None


async def _read_body(receive: Receive) -> tuple[bytes | None, Receive]:
    """The body, and a `receive` that plays it again; no body if it is too long."""
    parts: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        more = message.get("more_body", False)
        if length > MAX_LINE:
            return None, receive
    body = b"".join(parts)
    played = False

    async def replay() -> Message:
        nonlocal played
        if played:
            return await receive()
        played = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, replay


async def _respond(send: Send, status: int, refusal: Refusal) -> None:
    error = {"code": refusal.code, "message": refusal.message}
    body = json.dumps({"jsonrpc": "2.0", "id": refusal.id, "error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
