"""What runs inside the sandbox: standard library and torch only, Python 3.9 or newer, nothing of dlcoder.

The directory is a top-level package, `harness`, in the user's interpreter. `main` picks the checks by the kind of
request.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable

KINDS = ("component", "project")


def main(request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Run the checks of `request["kind"]`: each emits a `{"check": {...}}` frame, and at last `{"done": true}`."""
    kind = request["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown kind of request: {kind!r}")
    import_module("harness." + kind).main(request, emit)
