"""`dlcoder diagnose`: in color, as a page (`--html`), and following logs that grow (`--follow`)."""

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.progress import Progress, silent
from dlcoder.serving.schemas import compact
from dlcoder.terminal.color import paint, wanted
from dlcoder.terminal.face import Face
from dlcoder.tools.base import AnyTool, Call, ToolInput, ToolOutput

_STATUS = {"failed": "alarm", "degraded": "caution", "healthy": "good", "unknown": "bold"}
_CAUSE = re.compile(r"(\d+%) ([\w-]+)(:? ?.*)")
_QUOTE = re.compile(r"(  )(\S.*?(?::\d+)?:)( .*)")
_LABEL = re.compile(r"(Check|Fix|Next|First failure|To be surer, paste|Healthy|Progress|Harmless)(:)( .*)", re.DOTALL)


class DiagnoseFace(Face):
    """Shows a diagnosis."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add --html, --follow and --until-failure."""
        group = parser.add_argument_group("at a terminal")
        group.add_argument(
            "--html", metavar="FILE", help="write a page with timeline, curves and the evidence in its log"
        )
        follow = "look again as the logs grow, appear or are rotated; print whenever the verdict changes, until Ctrl-C"
        group.add_argument("--follow", "-f", action="store_true", help=follow)
        group.add_argument(
            "--until-failure",
            action="store_true",
            help="with --follow: end with status 1 as soon as the run has failed",
        )

    def instead(self, tool: AnyTool, options: argparse.Namespace, parsed: ToolInput) -> int | None:
        """Follow, if that was asked for."""
        if options.until_failure and not options.follow:
            raise UserError("--until-failure says when to stop following.", "Give --follow too.")
        if not options.follow:
            return None
        if parsed.model_dump().get("log") is not None or not parsed.model_dump().get("paths"):
            raise UserError("Only files can be followed.", "Name the logs, a directory or a pattern.")
        return _Follower(tool, options, parsed, self).run()

    def show(self, answer: ToolOutput) -> str:
        """The answer's own text, colored where color is wanted."""
        text = answer.text()
        return colored(text, str(answer.model_dump().get("status", ""))) if wanted(sys.stdout) else text

    def after(self, options: argparse.Namespace, parsed: ToolInput, progress: Progress) -> str:
        """Write the page, if that was asked for."""
        if not options.html:
            return ""
        from dlcoder.diagnosis.page import write_page

        given: dict[str, Any] = parsed.model_dump()
        given["paths"] = [Roots(None).resolve(path) for path in given.get("paths") or ()]
        file = Roots(None).resolve(options.html)
        write_page(file, progress=progress, **given)
        return f"The page is {file}"


def colored(text: str, status: str) -> str:
    """A diagnosis' text with color: the verdict, causes, places in logs, labels and the lines of patches."""
    first, *rest = text.split("\n")
    return "\n".join([paint(first, _STATUS.get(status, "bold")), *(_line(line) for line in rest)])


def _line(line: str) -> str:
    if cause := _CAUSE.fullmatch(line):
        return f"{paint(cause[1], 'bold')} {paint(cause[2], 'yellow')}{cause[3]}"
    if label := _LABEL.fullmatch(line):
        return f"{paint(label[1] + label[2], 'cyan')}{paint(label[3], 'bold') if label[1] == 'Next' else label[3]}"
    if quote := _QUOTE.fullmatch(line):
        return f"{quote[1]}{paint(quote[2], 'dim')}{quote[3]}"
    if line.startswith(("+", "-")):
        return paint(line, "green" if line[0] == "+" else "red")
    return line


class _Follower:
    """Asks again and again, and tells what changed."""

    def __init__(self, tool: AnyTool, options: argparse.Namespace, parsed: ToolInput, face: DiagnoseFace) -> None:
        self.tool = tool
        self.options = options
        self.parsed = parsed
        self.face = face
        self.told: tuple[Any, ...] | None = None

    def run(self) -> int:
        from dlcoder.diagnosis.follow import Watcher

        paths = [Roots(None).resolve(path) for path in self.parsed.model_dump()["paths"]]
        print(
            f"Following {', '.join(map(str, paths[:3]))}{' …' if len(paths) > 3 else ''} (Ctrl-C ends)", file=sys.stderr
        )
        for existing in Watcher(paths).changes():
            status = self._ask(existing)
            if self.options.until_failure and status == "failed":
                return 1
        return 128 + signal.SIGINT

    def _ask(self, paths: list[Path]) -> str:
        """Diagnose, tell it if the verdict is another one than before, and return the status."""
        parsed = self.parsed.model_copy(update={"paths": [str(path) for path in paths]})
        try:
            answer = asyncio.run(_run(self.tool, parsed))
        except UserError:
            return ""  # a log went away between two looks
        data = answer.model_dump()
        verdict = verdict_of(data)
        if verdict != self.told:
            self.told = verdict
            self._tell(answer, parsed)
        return str(data["status"])

    def _tell(self, answer: ToolOutput, parsed: ToolInput) -> None:
        if self.options.as_json:
            print(json.dumps(compact(answer), ensure_ascii=False), flush=True)
        else:
            head = f"[{time.strftime('%H:%M:%S')}]"
            print(f"{paint(head, 'dim') if wanted(sys.stdout) else head} {self.face.show(answer)}\n", flush=True)
        self.face.after(self.options, parsed, silent)


async def _run(tool: AnyTool, parsed: ToolInput) -> ToolOutput:
    answer: ToolOutput = await tool.run(parsed, Call(Roots(None)))
    return answer


def verdict_of(data: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a verdict another one: the status, the best cause, and the rank that failed first."""
    best = data["hypotheses"][0]["cause"] if data.get("hypotheses") and data["status"] in ("failed", "degraded") else ""
    return data["status"], best, (data.get("first_failure") or {}).get("rank")
