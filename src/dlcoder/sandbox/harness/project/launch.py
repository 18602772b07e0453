"""The inside of one rank: watchers first, then the user's program as `__main__`."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import random
import runpy
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Callable

import torch

from .ema import AverageWatch
from .likeness import Likeness
from .losses import LossWatch
from .memory import MemoryWatch
from .observe import Observer, Options
from .trace import Trace
from .watch_data import DataWatch
from .watch_files import FileWatch
from .watch_forward import ForwardWatch
from .watch_ranks import RankWatch
from .watch_schedules import ScheduleWatch
from .watch_steps import StepWatch
from .watch_syncs import SyncWatch
from .watch_targets import TargetWatch

AMBIENT_SEED = 67280421


def run_rank(spec: dict[str, Any], rank: int) -> int:
    """Run the user's program under watch.

    Args:
        spec: `root` (the copy of the project), `entry` ({"path": ...} or {"module": ...}), `args`, `trace` (the file's
            name without the rank), `options`.
        rank: Which rank this is.

    Returns:
        The exit status that the program would have had. The caller must leave by `os._exit`.
    """
    trace = Trace(f"{spec['trace']}.{rank}", spec["root"], rank)
    observer = Observer(trace, Options(spec.get("options", {})))
    stacks = Path(f"{spec['trace']}.{rank}.stack").open("w")  # noqa: SIM115 - open until the process ends
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=False)
    # Compiling takes longer than the run; eager code computes the same.
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    if observer.options.unlike:
        Likeness(observer.options.unlike, observer)
    _enter(spec, observer)
    ends = _install(observer)
    trace.write("start", rank=rank, torch=torch.__version__, cuda=torch.cuda.is_available())

    def note_end(code: int) -> None:
        with contextlib.suppress(Exception):
            ends()
        trace.write("end", code=code, steps=observer.steps, backwards=observer.backwards)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()

    _watch_exit(trace, note_end)
    code = _execute(spec["entry"], trace)
    note_end(code)
    return code


def _watch_exit(trace: Trace, note_end: Callable[[int], None]) -> None:
    """Let a program that leaves by `os._exit`, as under a launcher it may, be judged like one that returns.

    Only the main thread's call is its end: from another thread it cuts the training off.
    """
    leave = os._exit

    def leave_noted(status: int) -> None:
        if trace.mine and threading.current_thread() is threading.main_thread():
            note_end(status)
        leave(status)

    os._exit = leave_noted  # type: ignore[assignment]
    # What the process that forked this one would do at its end is none of the program's business.
    atexit._clear()


def _enter(spec: dict[str, Any], observer: Observer) -> None:
    """Take the place of a program started in the project's directory."""
    root, entry = spec["root"], spec["entry"]
    os.chdir(root)
    script = str(Path(root, entry.get("path", "")))
    sys.argv = [script, *spec.get("args", [])]
    folders = [str(Path(script).parent) if "path" in entry else root, root, str(Path(root, "src"))]
    sys.path[:0] = [folder for folder in dict.fromkeys(folders) if Path(folder).is_dir()]
    # Every run begins with the same random states, or with new ones where a missing seed is to show.
    seed = int.from_bytes(os.urandom(4), "little") if observer.options.scatter else AMBIENT_SEED
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def _install(observer: Observer) -> Any:
    losses, averages, memory = LossWatch(observer), AverageWatch(observer), MemoryWatch(observer)
    targets, files, schedules = TargetWatch(observer), FileWatch(observer), ScheduleWatch(observer)
    forward = ForwardWatch(observer, losses, targets)
    steps = StepWatch(observer, losses, averages)
    steps.frozen_head, steps.frozen_layers, steps.keepers = forward.frozen_head, forward.frozen_layers, memory.keepers
    for watch in (RankWatch(observer), targets, forward, losses, steps, schedules, DataWatch(observer), files, memory):
        watch.install()
    # Last, so that the others keep the real methods where they took them.
    SyncWatch(observer).install()

    def ends() -> None:
        losses.report()
        with observer.quiet():
            last = averages.digests()
        observer.trace.write("final", stale=averages.stale, ema=last, **schedules.summary(), **files.summary())

    observer.ends = ends
    return ends


def _execute(entry: dict[str, str], trace: Trace) -> int:
    try:
        if "path" in entry:
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            runpy.run_module(entry["module"], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:  # whatever ends the program is its result
        _report_error(error, trace)
        return 1
    return 0


def _report_error(error: BaseException, trace: Trace) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(trace.root)]
    site = f"{own[-1].filename[len(trace.root) :]}:{own[-1].lineno or 0}" if own else ""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-6:])
    trace.write("error", type=type(error).__name__, message=str(error)[:600], site=site, text=text[-1500:])
    sys.stderr.write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
