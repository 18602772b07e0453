"""`dlcoder plan run DIR`: the runs of a plan, one after the other, each once, whatever interrupts them."""

import argparse
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.terminal.live import LiveLine

_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    """Run or go on with a plan: 0 where all runs are done, 1 where some failed, 2 where there is no plan."""
    parser = argparse.ArgumentParser(prog="dlcoder plan run", description="Run a plan; runs that are done are left.")
    parser.add_argument("folder", type=Path, help="the folder that plan_experiment wrote")
    parser.add_argument("--cwd", type=Path, help="where to start the commands; default: where the plan was made")
    options = parser.parse_args(argv)
    try:
        return execute(options.folder.resolve(), options.cwd)
    except UserError as error:
        print(f"dlcoder plan run: {error}", file=sys.stderr)
        return 2


def execute(folder: Path, cwd: Path | None = None) -> int:
    """Run what is not done yet.

    Raises:
        UserError: The folder holds no plan, or another process is running it.
    """
    try:
        plan = json.loads((folder / "plan.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"{str(folder)!r} holds no plan.json.", "Make a plan with path set.") from None
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError("Another process is running this plan.", "Wait for it, or end it.") from None
        return _execute(folder, plan, cwd or Path(plan["cwd"]))


def _execute(folder: Path, plan: dict[str, Any], cwd: Path) -> int:
    live, runs = LiveLine(), plan["runs"]
    failed: list[str] = []
    for index, run in enumerate(runs):
        live(f"{run['arm']}, seed {run['seed']} ({index + 1} of {len(runs)})", index / len(runs))
        record = folder / "runs" / run["id"] / "arm.json"
        before = _read(record)
        if before.get("status") != "finished" and not _run(run, record, before, cwd):
            failed.append(run["id"])
    live.clear()
    print(f"{len(runs) - len(failed)} of {len(runs)} runs are done. Table: dlcoder results {folder / 'runs'}")
    if failed:
        print(f"Failed: {', '.join(failed)}; see output.txt in their folders. The same command tries them again.")
    return int(bool(failed))


def _run(run: dict[str, Any], record: Path, before: dict[str, Any], cwd: Path) -> bool:
    record.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: run[key] for key in ("arm", "seed", "control", "changes", "argv")}
    state = {**kept, "status": "running", "starts": before.get("starts", 0) + 1, "hours": before.get("hours", 0.0)}
    _write(record, state)
    argv = [sys.executable, *run["argv"][1:]] if run["argv"][0] == "python" else run["argv"]
    started = time.monotonic()
    code: int | str
    try:
        with (record.parent / "output.txt").open("ab") as output:
            code = _wait(argv, cwd, output)
    except OSError as error:
        code = f"{argv[0]} cannot be started: {error.strerror}"
    hours = state["hours"] + (time.monotonic() - started) / 3600
    _write(record, {**state, "status": "failed" if code else "finished", "exit_status": code, "hours": hours})
    return not code


def _wait(argv: list[str], cwd: Path, output: Any) -> int:
    with subprocess.Popen(
        argv, cwd=cwd, stdout=output, stderr=output, start_new_session=True, preexec_fn=_die
    ) as process:
        try:
            return process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _die() -> None:
    """End with the parent, even if that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, record: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    partial.replace(path)
