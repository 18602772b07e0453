"""A plan as files: the runs with their configurations, launch lines of every kind, the search, an empty table."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.launch import launched, torchrun
from dlcoder.experiments.parameters import scale
from dlcoder.experiments.plan_text import markdown, parts
from dlcoder.experiments.planning import Plan

_WORKERS = 4
"""Jobs that search side by side."""


def runs_of(plan: Plan, folder: Path | None) -> list[dict[str, Any]]:
    """Every run, in order: all arms of a seed, then the next seed; each block begins with another arm."""
    base = folder or Path("PLAN")
    runs = []
    for seed in range(plan.seeds):
        for place in range(len(plan.arms)):
            index = (place + seed) % len(plan.arms)
            arm = plan.arms[index]
            name = f"arm{index}-seed{seed}"
            places = {
                "seed": str(seed),
                "run_dir": str(base / "runs" / name),
                "config": str(base / "configs" / f"{name}.json"),
            }
            argv = launched(plan.baseline.words(arm.changes, places), plan.goal.gpus)
            runs.append(
                {"id": name, "arm": arm.name, "seed": seed, "control": index == 0, "changes": arm.changes, "argv": argv}
            )
    return runs


def write_plan(plan: Plan, folder: Path) -> list[str]:
    """Write the files of a plan.

    Returns:
        Their names.

    Raises:
        UserError: The folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{str(folder)!r} is not empty.", "Name a new folder.")
    runs = runs_of(plan, folder)
    (folder / "configs").mkdir(parents=True)
    for run in runs:
        _write_json(folder / "configs" / f"{run['id']}.json", {**run["changes"], "seed": run["seed"]})
        (folder / "runs" / run["id"]).mkdir(parents=True)
        _write_json(folder / "runs" / run["id"] / "arm.json", {**_kept(run), "status": "planned"})
    _write_json(folder / "plan.json", _for_machines(plan, runs))
    files = {"PLAN.md": markdown(plan) + "\n", **_launch_files(plan, folder, runs)}
    files["results.csv"] = f"arm,seed,status,{plan.goal.metric}\n" + "".join(
        f'"{run["arm"]}",{run["seed"]},planned,\n' for run in runs
    )
    for name, text in files.items():
        (folder / name).write_text(text)
    if plan.trials:
        # The very module that `dlcoder plan search` runs; it is not imported here, for want of Optuna.
        shutil.copyfile(Path(__file__).with_name("study.py"), folder / "study.py")
    return [*files, "plan.json", "configs/", *(["study.py"] if plan.trials else [])]


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _kept(run: dict[str, Any]) -> dict[str, Any]:
    return {key: run[key] for key in ("arm", "seed", "control", "changes", "argv")}


def _for_machines(plan: Plan, runs: list[dict[str, Any]]) -> dict[str, Any]:
    goal = plan.goal
    search = {
        "metric": goal.metric,
        "direction": "minimize" if plan.lower else "maximize",
        "trials": goal.trials,
        "space": {name: [*bounds, scale(name)] for name, bounds in goal.tune.items()},
        "start": {name: plan.baseline.settings[name] for name in goal.tune if name in plan.baseline.settings},
        "whole": [name for name in goal.tune if _whole(plan, name)],
        "command": plan.baseline.command,
        "arms": [{"name": arm.name, "changes": arm.changes} for arm in plan.arms],
        "gpus": goal.gpus,
    }
    return {
        "metric": goal.metric,
        "cwd": str(plan.baseline.cwd),
        **parts(plan),
        "runs": runs,
        **({"search": search} if plan.trials else {}),
    }


def _whole(plan: Plan, name: str) -> bool:
    """Whether a setting takes whole numbers: as its default does, else as its bounds do."""
    default = plan.baseline.settings.get(name)
    return isinstance(default, int) if default is not None else all(b.is_integer() for b in plan.goal.tune[name])


def _launch_files(plan: Plan, folder: Path, runs: list[dict[str, Any]]) -> dict[str, str]:
    """Lines to start runs by hand; the array of Slurm goes through `dlcoder plan run`, which keeps the records."""
    gpus, place = max(plan.goal.gpus, 1), shlex.quote(str(folder))
    lines = [shlex.join(run["argv"]) for run in runs]
    parallel = [shlex.join(torchrun(run["argv"], gpus)) for run in runs]
    head = f"cd {shlex.quote(str(plan.baseline.cwd))}\n"
    if plan.trials:
        lines = parallel = [f"dlcoder plan search {place}", f"dlcoder plan run {place}"]
    hours = plan.hours_per_run / gpus if plan.hours_per_run else None
    one = f'dlcoder plan run {place} --only "$SLURM_ARRAY_TASK_ID"'
    files = {
        "commands.sh": head + "\n".join(lines) + "\n",
        "torchrun.sh": head + "\n".join(parallel) + "\n",
        "array.sbatch": _batch(plan, folder, "plan", len(runs), hours, one),
    }
    if plan.trials:
        share = hours * plan.trials * len(plan.arms) / _WORKERS if hours else None
        files["search.sbatch"] = _batch(plan, folder, "search", _WORKERS, share, f"dlcoder plan search {place}")
    return files


def _batch(plan: Plan, folder: Path, name: str, jobs: int, hours: float | None, command: str) -> str:
    lines = ["#!/bin/bash", f"#SBATCH --job-name={name}", f"#SBATCH --array=1-{jobs}"]
    lines += [f"#SBATCH --gpus-per-node={plan.goal.gpus}"] if plan.goal.gpus else []
    lines += [f"#SBATCH --output={folder}/slurm-{name}-%a.out"]
    lines += [f"#SBATCH --time={_slurm_time(hours)}"] if hours else []
    return "\n".join([*lines, command]) + "\n"


def _slurm_time(hours: float) -> str:
    """Twice the estimate, and a quarter of an hour to start."""
    minutes = int(hours * 120) + 15
    return f"{minutes // 60}:{minutes % 60:02d}:00"
