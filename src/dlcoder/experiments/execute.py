"""`dlcoder plan run DIR`: the runs of a plan, each once, whatever interrupts them, by any number of workers."""

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.baseline import Baseline
from dlcoder.experiments.launch import claimed, launched, run_to_end, stoppable
from dlcoder.terminal.live import LiveLine

_GRACE_S = 3.0


def main(argv: Sequence[str]) -> int:
    """Run or go on with a plan: 0 where all runs are done, 1 where some failed, 2 where there is no plan."""
    parser = argparse.ArgumentParser(
        prog="dlcoder plan run",
        description="Run a plan; runs that are done are left, those of other workers too. Start one worker per GPU.",
    )
    parser.add_argument("folder", type=Path, help="the folder that plan_experiment wrote")
    parser.add_argument("--cwd", type=Path, help="where to start the commands; default: where the plan was made")
    parser.add_argument("--only", type=int, metavar="N", help="only the Nth run, counted from 1, as in a job array")
    parser.add_argument("--untuned", action="store_true", help="run a plan that tunes without its search")
    options = parser.parse_args(argv)
    folder: Path = options.folder.resolve()
    return stoppable(lambda: execute(folder, options.cwd, options.only, untuned=options.untuned), "plan run")


def search(argv: Sequence[str]) -> int:
    """Tune every arm of a plan alike, by Optuna where it is installed."""
    try:
        from dlcoder.experiments import study
    except ModuleNotFoundError as error:
        print(f"dlcoder plan search: {error.name} is not installed. Install dlcoder[search].", file=sys.stderr)
        return 2
    return study.main(argv)


def execute(folder: Path, cwd: Path | None = None, only: int | None = None, *, untuned: bool = False) -> int:
    """Run what is not done yet.

    Raises:
        UserError: The folder holds no plan, the plan has no such run, or it was not tuned.
    """
    plan = _read(folder / "plan.json")
    if not plan:
        raise UserError(f"{str(folder)!r} holds no plan.json.", "Make a plan with path set.")
    runs = plan["runs"]
    if only is not None and not 1 <= only <= len(runs):
        raise UserError(f"The plan has {len(runs)} runs, no run {only}.", "Count from 1.")
    tuned = _read(folder / "tuned.json")
    if "search" in plan and not untuned and any(not tuned.get(arm["name"]) for arm in plan["search"]["arms"]):
        raise UserError("The arms are not tuned yet.", f"Call dlcoder plan search {folder} first, or add --untuned.")
    worker = _Worker(folder, plan, cwd or Path(plan["cwd"]), {} if untuned else tuned)
    return worker.work(runs if only is None else [runs[only - 1]])


class _Worker:
    """Makes one run after the other."""

    def __init__(self, folder: Path, plan: dict[str, Any], cwd: Path, tuned: dict[str, Any]) -> None:
        self.folder, self.plan, self.cwd, self.tuned = folder, plan, cwd, tuned
        self.failed: list[str] = []

    def work(self, runs: list[dict[str, Any]]) -> int:
        elsewhere = self._pass(runs)
        if elsewhere:
            # A run that was told to end with its worker may still be saving.
            time.sleep(_GRACE_S)
            elsewhere = self._pass(elsewhere)
        done = fill_table(self.folder, self.plan)
        print(f"{done} of {len(self.plan['runs'])} runs are done. Table: dlcoder results {self.folder / 'runs'}")
        if elsewhere:
            print(f"Other workers are at {', '.join(run['id'] for run in elsewhere)}.")
        if self.failed:
            print(f"Failed: {', '.join(self.failed)}; see output.txt in their folders. The same command tries again.")
        return int(bool(self.failed))

    def _pass(self, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make the runs that are free, and return those that are not."""
        live, elsewhere = LiveLine(), []
        for index, run in enumerate(runs):
            live(f"{run['arm']}, seed {run['seed']} ({index + 1} of {len(runs)})", index / len(runs))
            with claimed(self.folder / "runs" / run["id"]) as claim:
                if claim is None:
                    elsewhere.append(run)
                elif not self._done(run) and not self._run(run, claim):
                    self.failed.append(run["id"])
        live.clear()
        return elsewhere

    def _record(self, run: dict[str, Any]) -> Path:
        return self.folder / "runs" / str(run["id"]) / "arm.json"

    def _done(self, run: dict[str, Any]) -> bool:
        return bool(_read(self._record(run)).get("status") == "finished")

    def _run(self, run: dict[str, Any], claim: int) -> bool:
        record = self._record(run)
        before = _read(record)
        argv = self._tuned(run)
        state = {key: run[key] for key in ("arm", "seed", "control", "changes")} | {"argv": argv}
        state |= {"status": "running", "starts": before.get("starts", 0) + 1, "hours": before.get("hours", 0.0)}
        _write(record, state)
        started = time.monotonic()
        code = run_to_end(argv, self.cwd, record.parent / "output.txt", claim)
        hours = state["hours"] + (time.monotonic() - started) / 3600
        _write(record, {**state, "status": "failed" if code else "finished", "exit_status": code, "hours": hours})
        return not code

    def _tuned(self, run: dict[str, Any]) -> list[str]:
        """The command of a run, with the settings that the search found for its arm."""
        found = self.tuned.get(run["arm"])
        if not found:
            return list(run["argv"])
        changes = {**run["changes"], **found}
        config = self.folder / "configs" / f"{run['id']}.json"
        _write(config, {**changes, "seed": run["seed"]})
        places = {"seed": str(run["seed"]), "run_dir": str(self._record(run).parent), "config": str(config)}
        search = self.plan["search"]
        return launched(Baseline(search["command"], self.cwd).words(changes, places), search["gpus"])


def fill_table(folder: Path, plan: dict[str, Any]) -> int:
    """Write results.csv anew from what the runs left, and return how many are done."""
    from dlcoder.experiments.summary import value_of

    out, done = io.StringIO(), 0
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["arm", "seed", "status", plan.get("metric") or "value"])
    for run in plan["runs"]:
        own = folder / "runs" / run["id"]
        status = _read(own / "arm.json").get("status", "planned")
        done += status == "finished"
        value = value_of(own, plan.get("metric")) if status == "finished" else None
        table.writerow([run["arm"], run["seed"], status, "" if value is None else repr(value)])
    partial = folder / "results.csv.partial"
    partial.write_text(out.getvalue())
    partial.replace(folder / "results.csv")
    return done


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
