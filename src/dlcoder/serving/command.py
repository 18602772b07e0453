"""`dlcoder serve`: the server's own command line."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dlcoder.errors import UserError
from dlcoder.tools import Listed, available


def serve(argv: Sequence[str], tools: Sequence[Listed] | None = None) -> int:
    """Start the server; returns only if it cannot start.

    Args:
        argv: The arguments after `serve`.
        tools: What to serve; all tools of this build by default.
    """
    options = _parser().parse_args(argv)
    try:
        return _serve(options, available() if tools is None else tools)
    except UserError as error:
        print(f"dlcoder serve: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlcoder serve", description="Serve MCP over standard input and output, or over HTTP with --http."
    )
    add = parser.add_argument
    add("--root", action="append", default=[], metavar="DIR", help="a directory that clients may name; repeatable")
    add("--read-only", action="store_true", help="leave out the tools that write to your disk")
    add("--exclude-tools", default="", metavar="A,B", help="leave out these tools")
    add("--http", action="store_true", help="serve streamable HTTP")
    add("--host", default="127.0.0.1", help="address to bind (%(default)s)")
    add("--port", type=int, default=8000, help="port to bind, 0 for any (%(default)s)")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name that callers may use; repeatable")
    add("--token-file", type=Path, metavar="FILE", help="file with the bearer token (default: $DLCODER_TOKEN)")
    add("--conformance-fixtures", action="store_true", help="also serve what the official conformance suite calls")
    return parser


def _serve(options: argparse.Namespace, tools: Sequence[Listed]) -> int:
    # Importing makes a great many objects that live as long as the process: nothing to collect, nothing to scan.
    gc.disable()
    from dlcoder.server import DlcoderServer, Options
    from dlcoder.serving.lifecycle import run_until_told
    from dlcoder.serving.roots import RootsPolicy

    excluded = frozenset(name.strip() for name in options.exclude_tools.split(",") if name.strip())
    policy = RootsPolicy(tuple(_directory(root) for root in options.root))
    server = DlcoderServer(Options(policy, options.read_only, excluded, tools))
    if options.conformance_fixtures:
        from dlcoder.conformance import register

        register(server)
    gc.freeze()
    gc.enable()
    if not options.http:
        from dlcoder.serving.stdio import serve_stdio

        if sys.stdin.isatty():
            print("dlcoder serves MCP here, to a client that starts it; for a person: dlcoder --help.", file=sys.stderr)
        run_until_told(lambda stop: serve_stdio(server, stop), with_client=True)
    from dlcoder.serving.http import TOKEN_VARIABLE, HttpSettings, listen, read_token, serve_http

    token = read_token(options.token_file)
    os.environ.pop(TOKEN_VARIABLE, None)  # what tools start has no use for it
    settings = HttpSettings(options.host, options.port, token, frozenset(options.allow_host))
    listener = listen(settings)
    run_until_told(lambda stop: serve_http(server, settings, listener), with_client=False)


def _directory(root: str) -> Path:
    path = Path(root).expanduser().resolve()
    if not path.is_dir():
        raise UserError(f"--root {root!r} is no directory.", "Give a directory that exists.")
    return path
