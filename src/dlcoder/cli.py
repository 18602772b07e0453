"""The terminal face of dlcoder: every tool as a subcommand, and the server."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; the process's own by default.

    Returns:
        The exit status: 0 for success, 1 where a check failed, 2 where the request could not be carried out.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["serve"]:
        from dlcoder.serving.command import serve

        return serve(arguments[1:])
    return 2
