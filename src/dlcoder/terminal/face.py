"""How a command looks at a terminal beyond what its tool says: options of its own, progress, color."""

import argparse
from importlib import import_module
from typing import Protocol

from dlcoder.progress import Progress
from dlcoder.terminal.live import LiveLine
from dlcoder.tools.base import AnyTool, ToolInput, ToolOutput


class Live(Protocol):
    """Progress that can be wiped off the screen."""

    def __call__(self, message: str, fraction: float) -> None:
        """Show where the work is."""

    def clear(self) -> None:
        """Wipe what was drawn."""


class Face:
    """The plain one, for every command that has none of its own."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add what only makes sense at a terminal."""

    def instead(self, tool: AnyTool, options: argparse.Namespace, parsed: ToolInput) -> int | None:
        """Do something else than one run of the tool, and return the exit status; `None` for the ordinary run."""
        return None

    def live(self) -> Live:
        """What shows the progress of a run."""
        return LiveLine()

    def show(self, answer: ToolOutput) -> str:
        """The answer as it is printed."""
        return answer.text()

    def after(self, options: argparse.Namespace, parsed: ToolInput, progress: Progress) -> str:
        """Do what remains once the answer stands, and return a note about it."""
        return ""


_FACES = {
    "diagnose_log": ("dlcoder.terminal.diagnose", "DiagnoseFace"),
    "summarize_runs": ("dlcoder.terminal.results", "ResultsFace"),
    "validate_code": ("dlcoder.terminal.checks", "ChecksFace"),
    "smoke_test": ("dlcoder.terminal.checks", "ChecksFace"),
}


def face_of(name: str) -> Face:
    """The face of a tool, imported when its command is called."""
    if name not in _FACES:
        return Face()
    module, member = _FACES[name]
    face: Face = getattr(import_module(module), member)()
    return face
