"""Runs a whole training project in the sandbox, watched, and reports what its training loop does."""

import difflib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.progress import Progress, silent
from dlcoder.sandbox import artifacts
from dlcoder.sandbox.configs import config_leaves, constants
from dlcoder.sandbox.entry import SKIPPED, Entry, find_entry
from dlcoder.sandbox.harness.project.catalogue import CHECKS
from dlcoder.sandbox.interpreters import Interpreter, find_interpreter
from dlcoder.sandbox.report import Check, Isolation, Report
from dlcoder.sandbox.runner import Job, Limits, Outcome, run
from dlcoder.text import clean

DEFAULT = ("one_batch", "torchrun")
KNOB_CHECKS = {"knobs", "overfit", "reproducible", "resume"}
"""Checks that change options."""
LARGEST_FILE = 256 << 20
"""Larger files are left out of the private copy, with a note."""


async def smoke_test(
    path: Path,
    checks: list[str],
    nproc: int = 2,
    python: str | None = None,
    device: str = "auto",
    timeout_s: float = 300,
    executor: str = "local",
    progress: Progress = silent,
) -> Report:
    """Run the project at `path` in the sandbox and judge what it does.

    Args:
        path: The project's directory, resolved. It is copied and never written.
        checks: Names of `CHECKS`, or "all".
        nproc: Ranks of the distributed checks.
        python: The interpreter, as `find_interpreter` takes it.
        device: "auto", "cpu" or "cuda".
        timeout_s: Wall time for everything, in seconds.
        executor: Only "local" is to be had.
        progress: Told the running check.

    Returns:
        A report with one or more results per check; a check that does not apply is skipped with its reason.

    Raises:
        UserError: A check's name is unknown, `path` is no project, or no entry point was found.
    """
    start = time.monotonic()
    names = check_names(checks)
    if executor != "local":
        raise UserError(f"The executor {executor!r} is not available.", 'Use executor="local".')
    if not path.is_dir():
        raise UserError(f"{path} is no directory.", "Give the directory of the project.")
    entry = find_entry(path)
    interpreter = await find_interpreter(python, path)
    gpu = _wants_gpu(device, interpreter)
    request = _request(entry, names, nproc, timeout_s, device)
    if KNOB_CHECKS & set(names):
        request["configs"] = {**config_leaves(path, entry.args), **constants(path, entry)}
    progress("preparing the sandbox", 0.0)
    with tempfile.TemporaryDirectory(prefix="dlcoder-smoke-") as folder:
        staged, left_out = _stage(path, Path(folder))
        outcome = await run(_job(staged, request, gpu), interpreter, _narrator(progress))
    report = _report(outcome, entry, names, left_out)
    report.device = "cuda" if gpu else "cpu"
    report.interpreter = str(interpreter)
    report.duration_s = round(time.monotonic() - start, 2)
    progress("done", 1.0)
    return report


def check_names(checks: list[str]) -> list[str]:
    """The checks asked for, in running order.

    Raises:
        UserError: A name is unknown.
    """
    if "all" in checks:
        return list(CHECKS)
    for name in checks:
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UserError(f"There is no check {name!r}.", f"{hint}The checks: {', '.join(CHECKS)}, or all.")
    return [name for name in CHECKS if name in checks] or list(DEFAULT)


def _job(staged: Path, request: dict[str, Any], gpu: bool) -> Job:
    limit = request["timeout_s"] + 5
    return Job(
        argv=("python",),
        workdir=staged,
        harness=json.dumps(request).encode(),
        warm=not gpu,
        gpu=gpu,
        collect=False,
        limits=Limits(timeout_s=limit, memory_mb=12288, processes=512, disk_mb=4096, output_bytes=16 << 20),
    )


def _wants_gpu(device: str, interpreter: Interpreter) -> bool:
    seen = Path("/dev/nvidiactl").exists() and "+cpu" not in interpreter.torch
    if device == "cuda" and not seen:
        raise UserError(
            f"No CUDA device can be used (torch {interpreter.torch}, "
            f"{'no ' if not Path('/dev/nvidiactl').exists() else ''}NVIDIA driver).",
            'Use device="cpu", or an interpreter whose torch has CUDA.',
        )
    return seen and device != "cpu"


def _request(entry: Entry, names: list[str], nproc: int, timeout_s: float, device: str) -> dict[str, Any]:
    return {
        "kind": "project",
        "entry": {"module": entry.module} if entry.module else {"path": entry.path},
        "args": list(entry.args),
        "resume": list(entry.resume) if entry.resume is not None else None,
        "env": dict(entry.env),
        "checks": names,
        "nproc": nproc,
        "timeout_s": timeout_s,
        "device": device,
        "declared": entry.declared,
        "settings": {k: v for k, v in entry.settings.items() if isinstance(v, str | int | float | bool | list | dict)},
    }


def _stage(project: Path, folder: Path) -> tuple[Path, list[str]]:
    """A copy without what a run does not need; the sandbox copies it once more into its own file system."""
    left_out: list[str] = []

    def ignored(directory: str, names: list[str]) -> set[str]:
        here = Path(directory)
        skipped = {
            n for n in names if n in SKIPPED - {"tests", "test", "docs", "build", "dist", "env"} or n == "__pycache__"
        }
        for name in set(names) - skipped:
            file = here / name
            if file.is_symlink() and not file.resolve().is_relative_to(project):
                skipped.add(name)
                left_out.append(f"{file.relative_to(project)} (leads out of the project)")
            elif not file.is_file() and not file.is_dir():
                skipped.add(name)
            elif file.is_file() and file.stat().st_size > LARGEST_FILE:
                skipped.add(name)
                left_out.append(f"{file.relative_to(project)} ({file.stat().st_size >> 20} MiB)")
        return skipped

    target = folder / (project.name or "project")
    shutil.copytree(project, target, symlinks=True, ignore=ignored)
    return target, left_out


def _narrator(progress: Progress) -> Any:
    def on_frame(frame: dict[str, Any]) -> None:
        if "progress" in frame:
            progress(clean(str(frame["progress"]), 120), min(max(float(frame.get("fraction", 0.0)), 0.0), 1.0))

    return on_frame


def _report(outcome: Outcome, entry: Entry, names: list[str], left_out: list[str]) -> Report:
    checks = [_check(frame["check"]) for frame in outcome.frames if isinstance(frame.get("check"), dict)]
    tails = [str(frame["log_tail"]) for frame in outcome.frames if "log_tail" in frame]
    if not outcome.complete:
        checks.append(_incomplete(outcome, names, checks))
    for name in names:
        if not any(c.name == name or c.name.startswith(name + ".") for c in checks):
            checks.append(Check(name=name, status="skip", detail="the run ended before it"))
    if entry.others:
        how = "name one as `entry` in [tool.dlcoder.smoke] to check it"
        checks.append(Check(name="entry", status="skip", detail=f"not checked: {', '.join(entry.others[:5])}; {how}"))
    good = any(c.status == "pass" for c in checks) and all(c.status in ("pass", "skip") for c in checks)
    tail = "\n".join(tails) if tails else outcome.output
    notes = [f"left out of the copy: {', '.join(left_out[:5])}"] if left_out else []
    return Report(
        passed=good and outcome.complete,
        checks=checks,
        isolation=Isolation(layers=list(outcome.layers)),
        log_tail="" if good else clean("\n".join([*notes, f"$ {entry}", tail])[-2000:]),
        artifacts=artifacts.keep(outcome),
    )


def _check(values: dict[str, Any]) -> Check:
    """A check as the harness sent it: from a process that ran user code, so quoted as data."""
    status = values.get("status")
    texts = {key: clean(str(values.get(key, "")), 700) for key in ("measured", "expected", "detail", "fix")}
    return Check(
        name=clean(str(values.get("name", "?")), 60),
        status=status if status in ("pass", "fail", "error", "skip") else "error",
        **texts,
    )


def _incomplete(outcome: Outcome, names: list[str], checks: list[Check]) -> Check:
    done = {c.name.split(".")[0] for c in checks}
    running = next((name for name in names if name not in done), names[-1])
    what = outcome.limit or outcome.reason or f"the sandbox ended with exit status {outcome.exit_code}"
    return Check(
        name=running,
        status="error",
        detail=f"{what}: its result is unknown",
        fix="raise timeout_s, or make the smoke run smaller",
    )
