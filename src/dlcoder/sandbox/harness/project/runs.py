"""Runs of the user's program: forked from this process, watched for hangs and time, and read back as traces."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .trace import read_trace
from .waits import where_ranks_wait

Event = dict[str, Any]

POLL_S = 0.005
"""Seconds between two looks at a run."""
IDLE_S = 1.0
"""Ranks that use no processor time for so long are asked where they stand."""
GRACE_S = 1.0
"""How long the other ranks have to end by themselves after one has failed."""
LINKED_BYTES = 1 << 20
"""Files above this size are linked into a run's copy of the project instead of copied."""
WATCHERS_FAILED = 119
"""Exit status of a rank whose watchers, not whose program, failed."""
REPEATED = 2_000_000
"""Characters of output, of all runs together, that are passed on."""
SKIPPED = {".git", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


class Result:
    """What one run left behind.

    Attributes:
        name: What the run was for.
        root: Its copy of the project.
        ranks: The events of every rank.
        codes: The exit status of every rank's process; -signal where one ended it.
        output: What it printed.
        hang: For a hang, one line per rank saying where it stood.
        timed_out: Whether its time ran out otherwise.
        seconds: How long it took.
    """

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.ranks: list[list[Event]] = []
        self.codes: list[int] = []
        self.output = ""
        self.hang: list[str] = []
        self.timed_out = False
        self.seconds = 0.0

    def events(self, kind: str, rank: int = 0) -> list[Event]:
        """The events of one kind of a rank, in order."""
        return [e for e in self.ranks[rank] if e["e"] == kind] if rank < len(self.ranks) else []

    def steps(self, rank: int = 0) -> list[Event]:
        """The optimizer steps of a rank."""
        return self.events("step", rank)

    @property
    def error(self) -> Event | None:
        """The first error that user code raised on any rank."""
        return next((e for events in self.ranks for e in events if e["e"] == "error"), None)

    @property
    def ended(self) -> bool:
        """Whether every rank ended by itself, or because it had shown enough."""
        return bool(self.ranks) and all(any(e["e"] in ("end", "stop") for e in events) for events in self.ranks)

    def tail(self, limit: int = 1500) -> str:
        """The end of the output."""
        return self.output[-limit:]


class Started:
    """A run under way."""

    def __init__(self, result: Result, spec: dict[str, Any], world: int, launcher: bool, output: Path) -> None:
        self.result = result
        self.spec = spec
        self.world = world
        self.launcher = launcher
        self.output = output
        self.begun = time.monotonic()
        self.deadline = self.begun
        self.pids: list[int] = []
        self.codes: dict[int, int] = {}
        self.idle: _Idle | None = None
        self.failed_at = 0.0


class Runner:
    """Starts runs, each in its own copy of the project.

    Args:
        source: The project.
        entry: {"path": ...} or {"module": ...}.
        args: Its arguments.
        env: Added to the environment of every run.
        deadline: When all must be over, on the monotonic clock.
    """

    def __init__(
        self, source: Path, entry: dict[str, str], args: list[str], env: dict[str, str], deadline: float
    ) -> None:
        self.source = source
        self.entry = entry
        self.args = args
        self.env = env
        self.deadline = deadline
        self.base = Path(tempfile.mkdtemp(prefix="runs-"))
        self.launched = False
        """Whether a single process, too, is started as by torchrun: the program does not run otherwise."""
        self.count = 0
        self.repeated = 0

    def remaining(self) -> float:
        """Seconds left for all runs."""
        return self.deadline - time.monotonic()

    def copy(self, label: str) -> Path:
        """A fresh copy of the project."""
        self.count += 1
        root = self.base / (f"{self.count:02d}-{label}") / self.source.name
        root.parent.mkdir(parents=True)
        shutil.copytree(self.source, root, symlinks=True, ignore=_ignored, copy_function=_copy)
        return root

    def run(self, name: str, **request: Any) -> Result:
        """Run the program once: `start` and `finish`."""
        return self.finish(self.start(name, **request))

    def run_many(self, requests: list[dict[str, Any]]) -> Iterator[tuple[int, Result]]:
        """Run the program once per request (the arguments of `start`), as many at a time as there are processors.

        Yields:
            The position of a request and its result, in the order in which they end; none of those for which no
            time is left.
        """
        running: dict[int, Started] = {}
        waiting = list(enumerate(requests))
        while waiting or running:
            waiting = waiting if self.remaining() > 0 else []
            while waiting and len(running) < max(os.cpu_count() or 1, 1):
                position, request = waiting.pop(0)
                running[position] = self.start(**request)
            for position in [p for p, started in running.items() if self._is_over(started)]:
                yield position, self.finish(running.pop(position))
            time.sleep(POLL_S)

    def start(
        self,
        name: str,
        world: int = 1,
        options: dict[str, Any] | None = None,
        extra: list[str] | None = None,
        files: dict[str, str] | None = None,
        root: Path | None = None,
        limit: float = 60.0,
        launcher: bool = False,
        args: list[str] | None = None,
    ) -> Started:
        """Start the program.

        Args:
            name: What for.
            world: Ranks; more than one are started as torchrun would.
            options: For the observer (see `observe.Options`).
            extra: Further arguments.
            files: Files of the copy to replace, by relative path.
            root: An existing copy to run in again.
            limit: Seconds it may take.
            launcher: Whether a real torchrun starts it.
            args: Arguments instead of the usual ones.
        """
        result = Result(name, root or self.copy(name))
        for path, text in (files or {}).items():
            (result.root / path).write_text(text)
        spec: dict[str, Any] = {
            "root": str(result.root),
            "entry": self.entry,
            "args": [*(self.args if args is None else args), *(extra or [])],
            "trace": str(self.base / f"{self.count:02d}-{name}.trace"),
            "options": options or {},
        }
        started = Started(result, spec, world, launcher, self.base / f"{self.count:02d}-{name}.log")
        started.deadline = started.begun + min(limit, max(self.remaining(), 1.0))
        started.pids = self._fork(spec, world, launcher, started.output)
        return started

    def _fork(self, spec: dict[str, Any], world: int, launcher: bool, output: Path) -> list[int]:
        if launcher:
            return [self._fork_torchrun(spec, world, output)]
        port = _free_port()
        return [self._fork_rank(spec, rank, world, port, output) for rank in range(world)]

    def finish(self, started: Started) -> Result:
        """Wait for the end of a run, or bring it about, and read what it left."""
        result = started.result
        while not self._is_over(started):
            time.sleep(POLL_S)
        self._end(started)
        result.ranks = [read_trace(f"{started.spec['trace']}.{rank}") for rank in range(started.world)]
        with started.output.open("rb") as file:
            result.output = file.read()[-200_000:].decode("utf-8", "replace")
        self._repeat(result)
        result.seconds = time.monotonic() - started.begun
        return result

    def _repeat(self, result: Result) -> None:
        """Print what a run printed, for the record of them all, as far as that stays within bounds."""
        self.repeated += len(result.output)
        if result.output and self.repeated < REPEATED:
            sys.stdout.buffer.write(f"[dlcoder] run {result.name}:\n{result.output}\n".encode("utf-8", "replace"))
            sys.stdout.flush()

    def _fork_rank(self, spec: dict[str, Any], rank: int, world: int, port: int, output: Path) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        code, leave = 1, os._exit
        try:
            _detach(output)
            os.environ.update(self.env)
            if world > 1 or self.launched:
                os.environ.update(
                    RANK=str(rank),
                    LOCAL_RANK=str(rank),
                    WORLD_SIZE=str(world),
                    LOCAL_WORLD_SIZE=str(world),
                    GROUP_RANK="0",
                    MASTER_ADDR="127.0.0.1",
                    MASTER_PORT=str(port),
                    TORCHELASTIC_RUN_ID="dlcoder",
                    GLOO_SOCKET_IFNAME=os.environ.get("GLOO_SOCKET_IFNAME", "lo"),
                )
            from .launch import run_rank

            code = run_rank(spec, rank)
        except BaseException:  # a fault of the watchers must not look like one of the program
            sys.stderr.write("[dlcoder] the watchers failed\n" + traceback.format_exc())
            sys.stderr.flush()
            code = WATCHERS_FAILED
        finally:
            leave(code)

    def _fork_torchrun(self, spec: dict[str, Any], world: int, output: Path) -> int:
        here = Path(__file__).resolve()
        spec = {**spec, "harness": str(here.parents[2])}
        file = Path(spec["trace"] + ".json")
        file.write_text(json.dumps(spec))
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            _detach(output)
            os.environ.update(self.env)
            os.chdir(spec["root"])
            from torch.distributed.run import main

            arguments = ["--standalone", "--nproc-per-node", str(world)]
            main([*arguments, str(here.parent / "torchrun_main.py"), str(file)])
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException as error:  # the launcher reports a rank's failure by raising
            print(type(error).__name__, error, file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _is_over(self, started: Started) -> bool:
        """Whether a run has ended by itself, or has to be ended: a rank failed, it hangs, or its time is up."""
        result, pids, codes = started.result, started.pids, started.codes
        _reap(pids, codes)
        if len(codes) == len(pids):
            return True
        now = time.monotonic()
        if any(codes.values()) and not started.failed_at:
            started.failed_at = now
        if started.failed_at and now - started.failed_at > GRACE_S:
            # As torchrun does: a rank that failed ends the others.
            return True
        result.timed_out = now > started.deadline
        if result.timed_out or started.world < 2 or started.launcher or started.failed_at:
            return result.timed_out
        idle = started.idle = started.idle or _Idle(pids)
        if idle.seconds(now) > IDLE_S:
            result.hang = where_ranks_wait(started.spec["trace"], result.root, pids, set(codes))
            idle.since = now
        return bool(result.hang)

    def _end(self, started: Started) -> None:
        """Kill what is left of a run, and note how each of its processes ended."""
        for pid in started.pids:
            _end(pid)
            if pid not in started.codes:
                started.codes[pid] = _exit_code(os.waitpid(pid, 0)[1])
        started.result.codes = [started.codes[pid] for pid in started.pids]


class _Idle:
    """Notices that no process of the run uses any processor time."""

    def __init__(self, pids: list[int]) -> None:
        self.groups = set(pids)
        self.ticks = -1
        self.since = time.monotonic()
        self.checked = 0.0

    def seconds(self, now: float) -> float:
        """For how long nothing has been computed."""
        if now - self.checked < 0.1:
            return 0.0
        self.checked = now
        ticks, waiting = _group_ticks(self.groups)
        # A process that could run and gets no processor, on a busy machine, does not hang.
        if abs(ticks - self.ticks) > 1 or not waiting:
            self.ticks, self.since = ticks, now
        return now - self.since


def _group_ticks(groups: set[int]) -> tuple[int, bool]:
    """The processor time of all processes in the groups, and whether all of them wait for something."""
    total, waiting = 0, True
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) in groups:
                total += int(fields[11]) + int(fields[12])
                waiting = waiting and fields[0] not in "RD"
    return total, waiting


def _ignored(folder: str, names: list[str]) -> set[str]:
    return SKIPPED & set(names)


def _copy(source: str, target: str) -> None:
    if Path(source).stat().st_size > LINKED_BYTES:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copy(source, target)


def _detach(output: Path) -> None:
    os.setsid()
    fd = os.open(str(output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _end(pid: int) -> None:
    """Kill a run's process group and whatever descends from it in groups of its own (a launcher's workers)."""
    for victim in [pid, *_descendants(pid)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(victim, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def _reap(pids: list[int], codes: dict[int, int]) -> None:
    """Note the exit status of every process that has ended."""
    for pid in pids:
        if pid not in codes:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = _exit_code(status)


def _exit_code(status: int) -> int:
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
