"""Checks of a whole training project: its entry point runs as it is, watched from inside, and the traces are judged.

`catalogue` names the checks, and imports nothing. `observe` and its `watch_*` files are installed before the user's
code and write what happens (every backward pass, optimizer step, collective, file) into a trace; `runs` forks the runs;
the `judge_*` files read the traces and know no project. Nothing here computes with tensors in the process that forks:
its children could not use OpenMP afterwards.
"""

from __future__ import annotations

from typing import Any, Callable


def main(request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Run the checks that a request names: see `coordinator`."""
    from .coordinator import main as run

    run(request, emit)
