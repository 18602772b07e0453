"""One tool as a command: parse, run, show, and say with the exit status how it went."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.serving import children
from dlcoder.serving.arguments import parse_arguments
from dlcoder.serving.schemas import compact
from dlcoder.terminal.arguments import add_arguments, collect_arguments
from dlcoder.terminal.face import Face, face_of
from dlcoder.tools import Listed
from dlcoder.tools.base import AnyTool, Call, ToolInput, ToolOutput

_WATCHERS_S = 0.05
"""asyncio's watchers of child processes complain if the loop is closed before they have seen the end."""


def run_command(listed: Listed, argv: Sequence[str]) -> int:
    """Run one tool from the command line.

    Returns:
        0 for success, 1 where the answer reports a failure, 2 where the request could not be carried out, and
        128 plus the signal's number where it was stopped.
    """
    tool = listed.load()
    face = face_of(tool.name)
    options = _parser(listed, tool, face).parse_args(argv)
    live = face.live()
    children.adopt_orphans()
    try:
        parsed = parse_arguments(tool.input, collect_arguments(options, tool.input), f"dlcoder {listed.command}")
        status = face.instead(tool, options, parsed)
        if status is not None:
            return status
        answer = asyncio.run(_run(tool, parsed, Call(Roots(None), live)))
        live.clear()
        data = compact(answer)
        print(json.dumps(data, ensure_ascii=False, indent=2) if options.as_json else face.show(answer))
        note = face.after(options, parsed, live)
        live.clear()
        if note:
            print(note, file=sys.stderr)
        return exit_status(data)
    except UserError as error:
        live.clear()
        print(f"dlcoder {listed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        live.clear()
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        live.clear()
        return 128 + signal.SIGTERM


def exit_status(data: dict[str, Any]) -> int:
    """1 where an answer reports that something is wrong with what was examined, else 0.

    Where nothing was to be run, nothing is wrong: all checks are skipped then.
    """
    report = data.get("validation") or data
    ran = any(check.get("status") != "skip" for check in report.get("checks", [{}]))
    failed = report.get("passed") is False and ran
    return int(failed or data.get("status") in ("failed", "degraded") or bool(data.get("findings")))


def _parser(listed: Listed, tool: AnyTool, face: Face) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"dlcoder {listed.command}", description=tool.description)
    add_arguments(parser, tool.input)
    face.add_options(parser)
    parser.add_argument("--json", dest="as_json", action="store_true", help="print the answer as JSON")
    return parser


async def _run(tool: AnyTool, parsed: ToolInput, call: Call) -> ToolOutput:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    others = children.descendants()  # of a program that calls us
    try:
        answer: ToolOutput = await tool.run(parsed, call)
        return answer
    finally:
        if children.descendants(spare=others):
            children.kill_descendants(spare=others)
            await asyncio.sleep(_WATCHERS_S)
