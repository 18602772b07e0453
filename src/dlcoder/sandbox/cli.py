"""`dlcoder sandbox`: the sandbox by itself, for people and tests."""

import argparse
import asyncio
import codecs
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.sandbox import layers
from dlcoder.sandbox.interpreters import find_interpreter
from dlcoder.sandbox.jobs import Job, Limits, Outcome
from dlcoder.sandbox.runner import run
from dlcoder.text import clean

BROKEN = 125
"""Exit status when the sandbox itself failed: neither the program's own, nor a limit's."""

_DESCRIPTION = """\
Run a program where it can do no harm: without network but its own loopback, without your home directory, environment
and other processes, on a read-only system, within limits. The exit status is the program's own; 124 for a time-out, 120
for another limit, 125 if the sandbox failed, 2 if the run was refused.
"""
_WORKDIR = """\
a directory that is copied into the sandbox, where the program starts in the copy; regular files that are new or
changed at the end are brought back into it. Without it the program starts in an empty directory, and nothing
is brought back
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their options on `parser`."""
    commands = parser.add_subparsers(dest="sandbox_command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="list the layers of isolation and why those that are missing are")
    defaults = Limits()
    run_parser = commands.add_parser("run", help="run a program isolated", description=_DESCRIPTION)
    add = run_parser.add_argument
    add("--timeout", type=_positive, default=defaults.timeout_s, metavar="S", help="wall time in seconds")
    add("--memory", type=_count, default=defaults.memory_mb, metavar="MB", help="memory of all its processes together")
    add("--processes", type=_count, default=defaults.processes, metavar="N", help="processes and threads")
    add("--disk", type=_count, default=defaults.disk_mb, metavar="MB", help="size of its work directory")
    add("--output", type=_count, default=defaults.output_bytes, metavar="BYTES", help="what it may print")
    add("--read-only", type=Path, action="append", default=[], metavar="DIR", help="visible read-only; repeatable")
    add("--workdir", type=Path, metavar="DIR", help=_WORKDIR)
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="added to its clean environment; repeatable")
    add("--python", metavar="PYTHON", help="the interpreter that `python` stands for")
    add("--warm", action="store_true", help="fork from an interpreter that has torch imported already")
    add("--nproc", type=_count, default=1, metavar="N", help="ranks, started as torchrun would start them")
    add("--gpu", action="store_true", help="let it see the GPUs")
    add(
        "--require", default="", metavar="LAYER,...", help=f"refuse to run without these of: {', '.join(layers.LAYERS)}"
    )
    add(
        "--allow-weaker", action="store_true", help="run even if neither namespaces nor Landlock with seccomp work here"
    )
    add("--report", type=Path, metavar="FILE", help="write a JSON record of the run, from outside the sandbox")
    add("program", nargs=argparse.REMAINDER, metavar="-- python prog.py args")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return value


def _main(arguments: argparse.Namespace) -> int:
    try:
        if arguments.sandbox_command == "doctor":
            return _doctor()
        return asyncio.run(_run(arguments))
    except UserError as error:
        print(f"dlcoder: {error}", file=sys.stderr)
        return 2


def _doctor() -> int:
    for layer in asyncio.run(layers.doctor()):
        print(f"{'yes' if layer.available else 'NO ':3}  {layer.name:10}  {layer.detail}")
    return 0


def _job(arguments: argparse.Namespace) -> Job:
    words = arguments.program[1:] if arguments.program[:1] == ["--"] else arguments.program
    if not words:
        raise UserError("There is no program to run.", "Put it after --, as in: dlcoder sandbox run -- python prog.py")
    pairs = [pair.partition("=") for pair in arguments.env]
    return Job(
        argv=_with_script(words, arguments.workdir),
        workdir=arguments.workdir,
        read_only=tuple(arguments.read_only),
        env={name: value for name, _, value in pairs},
        limits=Limits(arguments.timeout, arguments.memory, arguments.processes, arguments.disk, arguments.output),
        warm=arguments.warm,
        gpu=arguments.gpu,
        nproc=arguments.nproc,
        require=tuple(filter(None, arguments.require.split(","))),
        allow_weaker=arguments.allow_weaker,
        collect=arguments.workdir is not None,
        collect_to=arguments.workdir,
    )


def _with_script(words: list[str], workdir: Path | None) -> tuple[str, ...]:
    """Name a script of the current directory in full, unless the work directory has it: the program starts there."""
    for index, word in enumerate(words[1:], 1):
        if word in ("-c", "-m") or Path(words[0]).name not in ("python", "python3"):
            break
        if word.startswith("-"):
            continue
        here = Path(word).absolute()
        if here.is_file() and not (workdir is not None and not Path(word).is_absolute() and (workdir / word).exists()):
            return (*words[:index], str(here), *words[index + 1 :])
        break
    return tuple(words)


async def _run(arguments: argparse.Namespace) -> int:
    job = _job(arguments)
    interpreter = await find_interpreter(arguments.python, arguments.workdir or Path.cwd(), need_torch=False)
    task = asyncio.get_running_loop().create_task(run(job, interpreter, on_output=_printer()))
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, _stop, task, received, number)
    try:
        outcome = await task
    except asyncio.CancelledError:
        return 128 + (received[0] if received else signal.SIGTERM)
    if arguments.report:
        _write_report(arguments.report, outcome)
    if outcome.limit or outcome.status == "error":
        print(f"dlcoder: {outcome.limit or outcome.reason}", file=sys.stderr)
    return BROKEN if outcome.status == "error" else outcome.exit_code


def _stop(task: "asyncio.Task[Outcome]", received: list[int], number: int) -> None:
    received.append(number)
    task.cancel()


def _printer() -> Callable[[bytes], None]:
    """Pass the program's output on; to a terminal without what would control it."""
    stream = sys.stdout.buffer
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    terminal = sys.stdout.isatty()

    def show(data: bytes) -> None:
        stream.write(clean(decoder.decode(data)).encode() if terminal else data)
        stream.flush()

    return show


def _write_report(path: Path, outcome: Outcome) -> None:
    """Write the record beside its place and move it there: whatever lies there now is replaced, not written through."""
    record = _record(outcome)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    with part.open("x") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    part.replace(path)


def _record(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "limit": outcome.limit,
        "limit_struck": outcome.struck or None,
        "layers": list(outcome.layers),
        "usage": asdict(outcome.usage),
        "duration_s": round(outcome.duration_s, 3),
        "reason": outcome.reason,
        "not_collected": dict(outcome.left),
    }


def main(words: Sequence[str]) -> int:
    """Run `dlcoder sandbox` with these arguments; return the exit status."""
    parser = argparse.ArgumentParser(prog="dlcoder sandbox", description=__doc__)
    _add_arguments(parser)
    return _main(parser.parse_args(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
