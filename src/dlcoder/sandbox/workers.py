"""Warm workers: one interpreter with torch imported for every Python in use, from which runs are forked."""

import asyncio
import atexit
import contextlib
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from dlcoder.sandbox import request
from dlcoder.sandbox.interpreters import Interpreter
from dlcoder.sandbox.jobs import Job

_BOOT = (
    "import sys; sys.path[0] = sys.argv[2]; from jail.worker import main; main(int(sys.argv[1]), float(sys.argv[3]))"
)
_READY, _JOB = b"R", b"J"
_RUNS = 500
_IDLE_S = 900.0
_START_S = 120.0
_FLAGS = ("-u", "-B", "-s", "-E")


class WorkerError(Exception):
    """A worker could not be had; a cold run will do instead."""


@dataclass
class _Worker:
    process: "subprocess.Popen[bytes]"
    sock: socket.socket
    stamp: tuple[int, ...]
    runs: int = 0

    def stop(self) -> None:
        self.sock.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


@dataclass
class _Pool:
    workers: dict[Path, _Worker] = field(default_factory=dict)
    locks: dict[Path, asyncio.Lock] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop | None = None

    def lock(self, path: Path) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            self.loop, self.locks = loop, {}
        return self.locks.setdefault(path, asyncio.Lock())


_pool = _Pool()


def fits(job: Job) -> bool:
    """Whether a job can be forked from a worker: dlcoder's harness, or a plain `python program`."""
    if job.harness is not None:
        return True
    if not job.argv or job.argv[0] not in ("python", "python3"):
        return False
    words = [word for word in job.argv[1:] if word not in _FLAGS]
    return bool(words) and (words[0] in ("-c", "-m") or not words[0].startswith("-"))


async def start_run(interpreter: Interpreter, control: socket.socket) -> None:
    """Have the interpreter's worker fork the supervisor of a run that will serve `control`.

    The worker is started where there is none, and replaced after many runs or when the interpreter's packages changed.

    Raises:
        WorkerError: It cannot be started.
    """
    async with _pool.lock(interpreter.path):
        for _ in range(2):
            worker = await _get(interpreter)
            try:
                socket.send_fds(worker.sock, [_JOB], [control.fileno()])
            except OSError:
                _drop(interpreter.path)
                continue
            worker.runs += 1
            return
    raise WorkerError("the warm worker ends as soon as it is asked for something")


async def _get(interpreter: Interpreter) -> _Worker:
    worker = _pool.workers.get(interpreter.path)
    if worker is not None:
        current = worker.process.poll() is None and worker.stamp == _stamp(interpreter) and worker.runs < _RUNS
        if current:
            return worker
        _drop(interpreter.path)
    worker = await _start(interpreter)
    _pool.workers[interpreter.path] = worker
    return worker


def _drop(path: Path) -> None:
    worker = _pool.workers.pop(path, None)
    if worker is not None:
        # Runs that it has forked go on: each belongs to whoever holds its control socket.
        worker.stop()


async def _start(interpreter: Interpreter) -> _Worker:
    ours, theirs = socket.socketpair()
    stamp = _stamp(interpreter)
    code = request.code_home()
    words = [str(interpreter.path), "-s", "-c", _BOOT, str(theirs.fileno()), str(code), str(_IDLE_S)]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "CUDA_VISIBLE_DEVICES": ""}
    environment.update(request.THREADS)
    with theirs:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    worker = _Worker(process, ours, stamp)
    ours.setblocking(False)
    try:
        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 1), _START_S)
    except (TimeoutError, OSError) as error:
        worker.stop()
        raise WorkerError(f"the warm worker did not start: {error}") from error
    except BaseException:
        worker.stop()
        raise
    if answer != _READY:
        worker.stop()
        raise WorkerError("the warm worker cannot import torch")
    return worker


def _stamp(interpreter: Interpreter) -> tuple[int, ...]:
    """Changes when packages are installed into the interpreter, or dlcoder's own code inside the sandbox changes."""
    folders = [*interpreter.site_packages, *(path / "torch" for path in interpreter.site_packages)]
    marks = [*folders, *(file for path in request.CODE for file in Path(path).rglob("*.py"))]
    stamps = []
    for mark in marks:
        with contextlib.suppress(OSError):
            stamps.append(mark.stat().st_mtime_ns)
    return tuple(stamps)


async def warm_up(interpreter: Interpreter) -> None:
    """Start the interpreter's worker, so that the first run need not wait for it."""
    with contextlib.suppress(WorkerError):
        async with _pool.lock(interpreter.path):
            await _get(interpreter)


def stop_all() -> None:
    """End every worker. Their runs are not touched: each ends with its caller."""
    for path in list(_pool.workers):
        _drop(path)


def process_ids() -> list[int]:
    """The workers' processes."""
    return [worker.process.pid for worker in _pool.workers.values()]


atexit.register(stop_all)
