"""Run one program, or dlcoder's harness, isolated from this machine, and say what came of it."""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.sandbox import layers, request, scratch, workers
from dlcoder.sandbox.interpreters import Interpreter
from dlcoder.sandbox.jobs import WORK, Frame, Job, Limits, Outcome, Status, Usage
from dlcoder.text import clean

__all__ = ["WORK", "Frame", "Job", "Limits", "Outcome", "Status", "Usage", "run"]

_HEAD = struct.Struct("!cI")
_BOOT = "import sys; sys.path.insert(0, sys.argv[2]); from jail.supervisor import main; main(int(sys.argv[1]))"
_TAIL = 32 << 10
_PATIENCE_S = 0.6
_burials: set[asyncio.Task[None]] = set()


async def run(
    job: Job,
    interpreter: Interpreter,
    on_frame: Callable[[Frame], None] | None = None,
    on_output: Callable[[bytes], None] | None = None,
) -> Outcome:
    """Run `job` and return what came of it; cancelling the task ends everything that it started within a second.

    Args:
        job: What to run.
        interpreter: Which Python runs it.
        on_frame: Called with each message of the harness as it arrives.
        on_output: Called with what the program prints, as it arrives.

    Raises:
        UserError: The job cannot be run as asked: a required layer is missing, a directory is missing or too large.
    """
    begin = time.monotonic()
    machine = await layers.survey()
    folder = scratch.new_run()
    warm = job.warm and workers.fits(job)
    asked = request.build(job, interpreter, machine, folder, native=warm)
    record = _Record(folder, on_frame, on_output)
    if not warm or not await _run_warm(asked, interpreter, record):
        await _run_cold(asked, record)
    return record.outcome(job, time.monotonic() - begin)


async def _run_warm(asked: dict[str, Any], interpreter: Interpreter, record: "_Record") -> bool:
    """Run from the interpreter's warm worker; return whether there was one to do it."""
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    await workers.start_run(interpreter, theirs)
            except workers.WorkerError:
                return False
            await _converse(ours, asked, record)
            if record.heard:
                return True
            # The worker ended itself instead of forking: a fresh one will do.
            record.report = None
    return False


async def _run_cold(asked: dict[str, Any], record: "_Record") -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        supervisor = await _start_supervisor(theirs)
    try:
        await _converse(ours, asked, record)
    finally:
        ours.close()
        await _bury(supervisor)


async def _start_supervisor(control: socket.socket) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        "-c",
        _BOOT,
        str(control.fileno()),
        str(Path(__file__).parent),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(control.fileno(),),
        start_new_session=True,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        cwd="/",
    )


async def _converse(control: socket.socket, asked: dict[str, Any], record: "_Record") -> None:
    """Send the request and take the supervisor's messages until its last."""
    reader, writer = await asyncio.open_unix_connection(sock=control.dup(), limit=1 << 20)
    try:
        body = json.dumps(asked).encode()
        writer.write(struct.pack("!I", len(body)) + body)
        await writer.drain()
        while not record.ended:
            kind, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
            record.take(kind, await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        record.report = {"status": "error", "reason": "the supervisor of the run was killed"}
    finally:
        writer.close()


async def _bury(supervisor: asyncio.subprocess.Process) -> None:
    """Wait for a supervisor that has been told to stop, and kill it if it does not.

    A cancelled caller may not get to wait at all, so this happens in a task of its own.
    """
    task = asyncio.get_running_loop().create_task(_wait_or_kill(supervisor))
    _burials.add(task)
    task.add_done_callback(_burials.discard)
    await asyncio.shield(task)


async def _wait_or_kill(supervisor: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(supervisor.wait(), _PATIENCE_S)
    except TimeoutError:
        # Everything below it dies with it.
        with contextlib.suppress(ProcessLookupError):
            supervisor.kill()
        await supervisor.wait()


class _Record:
    """What the supervisor has told so far."""

    def __init__(
        self, folder: Path, on_frame: Callable[[Frame], None] | None, on_output: Callable[[bytes], None] | None
    ) -> None:
        self.report: dict[str, Any] | None = None
        self.frames: list[Frame] = []
        self.heard = False
        self._folder = folder
        self._on_frame, self._on_output = on_frame, on_output
        self._path = folder / "output.log"
        self._tail = b""
        self._path.touch()

    @property
    def ended(self) -> bool:
        return self.report is not None

    def take(self, kind: bytes, body: bytes) -> None:
        self.heard = True
        if kind == b"O":
            with self._path.open("ab") as file:
                file.write(body)
            self._tail = (self._tail + body)[-_TAIL:]
            if self._on_output:
                self._on_output(body)
        elif kind == b"F":
            self.frames.append(json.loads(body))
            if self._on_frame:
                self._on_frame(self.frames[-1])
        elif kind == b"E":
            self.report = json.loads(body)

    def outcome(self, job: Job, duration_s: float) -> Outcome:
        report = self.report or {"status": "error", "reason": "nothing was reported"}
        if report.get("refused"):
            raise UserError(f"The run was refused: {report['reason']}.", "Change the job, or see dlcoder env.")
        work = job.collect_to or self._folder / "work"
        return Outcome(
            status=report["status"],
            exit_code=report.get("exit_code", 1),
            limit=report.get("limit", ""),
            struck=report.get("name", ""),
            layers=tuple(report.get("layers", ())),
            usage=Usage(**report.get("usage", {})),
            output=clean(self._tail.decode("utf-8", "replace")),
            output_path=self._path,
            workdir=work if job.collect and work.is_dir() else None,
            frames=self.frames,
            complete=bool(report.get("complete")),
            reason=report.get("reason", "") or report.get("tampered", ""),
            duration_s=duration_s,
            left=report.get("harvest", {}).get("left", {}),
        )
