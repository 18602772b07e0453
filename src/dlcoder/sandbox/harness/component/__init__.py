"""The checks of components: a loss, a model, a dataset, a metric or an optimizer, given as any code.

Nothing here imports torch until `main` runs: the names of the checks (`catalogue`) are read outside the sandbox, too.
"""

from __future__ import annotations

from typing import Any, Callable


def main(request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Run the checks of a component; every check ends as one frame, `{"done": true}` ends all.

    Args:
        request: `component` (the kind), `code` or `filename` with `module` and `sys_path`, `contract`, `checks`
            (names; empty for all), `budget_s`.
        emit: Takes the frames.
    """
    from .battery import main as run

    run(request, emit)
