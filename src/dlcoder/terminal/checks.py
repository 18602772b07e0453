"""`dlcoder validate` and `dlcoder smoke`: a table that grows as checks run and ends with what each measured."""

import shutil
import sys
import threading
import time
from typing import TextIO

from dlcoder.sandbox.report import Check, Report
from dlcoder.terminal.color import paint, wanted
from dlcoder.terminal.face import Face, Live
from dlcoder.terminal.live import LiveLine
from dlcoder.text import clean
from dlcoder.tools.base import ToolOutput

_STYLES = {"pass": "good", "fail": "alarm", "error": "caution", "skip": "dim"}
_ORDER = {"fail": 0, "error": 1, "pass": 2, "skip": 3}
_SPACING_S = 0.1
_RUNNING = "running "


class ChecksFace(Face):
    """Shows a report as a table where somebody watches, and as the tool's own text elsewhere."""

    def live(self) -> Live:
        """A table that names each check as it starts."""
        return LiveTable(sys.stderr) if wanted(sys.stderr) else LiveLine()

    def show(self, answer: ToolOutput) -> str:
        """The verdict, a row for each check with its measured value and its bound, and how it was run."""
        if not isinstance(answer, Report) or not wanted(sys.stdout):
            return answer.text()
        return table(answer, answer.text(), shutil.get_terminal_size().columns)


class LiveTable:
    """A `Progress` of one row a check: those that ended, the one that runs, and how far the whole is.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._rows: list[tuple[str, float]] = []
        self._height = 0
        self._last = 0.0

    def __call__(self, message: str, fraction: float) -> None:
        """Begin a row where the message names another check, and draw."""
        name = " ".join(clean(message, 60).removeprefix(_RUNNING).split())
        now = time.monotonic()
        with self._lock:
            new = not self._rows or self._rows[-1][0] != name
            if new:
                self._rows.append((name, now))
            if new or now - self._last >= _SPACING_S:
                self._last = now
                self._draw(now, fraction)

    def _draw(self, now: float, fraction: float) -> None:
        size = shutil.get_terminal_size()
        rows = self._rows[-max(size.lines - 3, 1) :]
        ends = [started for _, started in rows[1:]] + [now]
        lines = []
        for (name, started), end in zip(rows, ends, strict=True):
            running = name == self._rows[-1][0] and started == self._rows[-1][1]
            mark, style = (">", "cyan") if running else ("·", "dim")
            lines.append(paint(f"{mark} {name:<28} {end - started:5.1f} s"[: size.columns - 1], style))
        share = min(max(fraction, 0.0), 1.0) if fraction == fraction else 0.0
        lines.append(f"{share:4.0%} of the checks"[: size.columns - 1])
        self._stream.write(self._wiped() + "\n".join(lines) + "\n")
        self._stream.flush()
        self._height = len(lines)

    def _wiped(self) -> str:
        return f"\x1b[{self._height}A\r\x1b[J" if self._height else ""

    def clear(self) -> None:
        """Wipe the table."""
        with self._lock:
            if self._height:
                self._stream.write(self._wiped())
                self._stream.flush()
                self._height = 0


def table(report: Report, text: str, width: int) -> str:
    """A report as a table with color.

    Args:
        report: What was run.
        text: The tool's own text, whose first line is the verdict and whose last says how it was run.
        width: Columns of the terminal.
    """
    verdict, *rest = text.split("\n")
    lines = [paint(verdict, "good" if report.passed else "alarm"), ""]
    name_width = min(max((len(check.name) for check in report.checks), default=5), 30)
    room = max(width - name_width - 9, 20)
    bound_width = room * 2 // 5
    head = f"{'':5} {'check':<{name_width}}  {'measured':<{room - bound_width}} bound"
    lines.append(paint(head.rstrip(), "dim"))
    for check in sorted(report.checks, key=lambda check: _ORDER[check.status]):
        lines += _rows(check, name_width, room - bound_width, bound_width, width)
    if report.log_tail and not report.passed:
        lines += ["", paint("The end of its output:", "dim"), *report.log_tail.splitlines()[-12:]]
    return "\n".join([*lines, "", paint(rest[-1], "dim")] if rest else lines)


def _rows(check: Check, name_width: int, measured_width: int, bound_width: int, width: int) -> list[str]:
    measured = check.detail if check.status == "skip" else check.measured or check.detail
    bound = "" if check.status == "skip" else check.expected
    if not bound:
        measured_width += bound_width
    cells = f"{clean(check.name, name_width):<{name_width}}  {_cell(measured, measured_width):<{measured_width}}"
    row = f"{cells} {_cell(bound, bound_width)}".rstrip()
    status = paint(f"{check.status.upper():<5}", _STYLES[check.status])
    rows = [f"{status} {paint(row, 'dim') if check.status == 'skip' else row}"]
    if check.status in ("fail", "error"):
        notes = [check.detail if check.measured else "", f"-> {check.fix}" if check.fix else ""]
        rows += [paint(line, "yellow") for note in notes if note for line in _wrapped(note, width)]
    return rows


def _wrapped(note: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(clean(note, 600), max(width - 1, 30), initial_indent=" " * 6, subsequent_indent=" " * 6)


def _cell(text: str, width: int) -> str:
    return clean(" ".join(text.split()), max(width - 1, 8))
