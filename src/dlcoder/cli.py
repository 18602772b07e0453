"""The terminal face of dlcoder: every tool as a subcommand, and the server."""

import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from dlcoder.tools import available

_OTHERS = {
    "serve": ("dlcoder.serving.command", "serve", "serve MCP to a coding agent, over stdio or HTTP"),
    "demo": ("dlcoder.demo", "main", "scaffold, prove, break and diagnose a project through a real MCP client"),
    "sandbox": ("dlcoder.sandbox.cli", "main", "what isolation works on this machine, and running a command in it"),
}
"""What is no tool: the module, its function (arguments to exit status), and what it does."""
_WITHIN = {
    ("plan", "run"): ("dlcoder.experiments.execute", "main"),
    ("plan", "search"): ("dlcoder.experiments.execute", "search"),
}
"""Commands within the command of a tool."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; the process's own by default.

    Returns:
        The exit status: 0 for success, 1 where something examined is found wrong, 2 where the request could not be
        carried out.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read our output has enough; nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    command, *rest = arguments
    if command in ("-V", "--version"):
        from dlcoder import __version__

        print(f"dlcoder {__version__}")
        return 0
    if tuple(arguments[:2]) in _WITHIN:
        module, function = _WITHIN[command, rest[0]]
        within: Callable[[list[str]], int] = getattr(import_module(module), function)
        return within(rest[1:])
    # We want no plugins of pydantic's, and to look for some is to read the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for listed in available():
        if command in (listed.command, listed.name):
            _spare_collections()
            from dlcoder.terminal.command import run_command

            return run_command(listed, rest)
    if command in _others():
        module, function, _ = _OTHERS[command]
        run: Callable[[list[str]], int] = getattr(import_module(module), function)
        return run(rest)
    return _unknown(command)


def _spare_collections() -> None:
    """Most of what a command makes lives until its end: to look for garbage there would be a seventh of its time."""
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)


def _others() -> list[str]:
    return [name for name, (module, _, _) in _OTHERS.items() if find_spec(module) is not None]


def _help() -> str:
    from textwrap import fill

    rows = [(listed.command, f"when {listed.when}") for listed in available()]
    rows += [(name, _OTHERS[name][2]) for name in _others()]
    lines = "\n".join(
        fill(text, 110, initial_indent=f"  {name:<11}", subsequent_indent=" " * 13) for name, text in rows
    )
    return f"usage: dlcoder COMMAND [ARGUMENTS]\n\n{lines}\n\nEach command explains itself: dlcoder COMMAND --help"


def _unknown(command: str) -> int:
    from dlcoder.serving.nearest import nearest

    known = [*(listed.command for listed in available()), *_others()]
    meant = nearest(command, known)
    hint = f"Did you mean {meant}?" if meant else f"The commands are {', '.join(known)}."
    print(f"dlcoder: there is no command {command[:40]!r}. {hint}", file=sys.stderr)
    return 2
