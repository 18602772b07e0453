"""A plan as text for people and as files for machines."""

import json
import shlex
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.planning import ALPHA, FAILURES, POWER, RECORD, Plan, checklist, scale
from dlcoder.experiments.tables import render

STOPPING = (
    "Stop a run at a loss that is not finite or above 10 times its start. Seeds run in blocks, all arms of one seed "
    "before the next, so that after any block the arms are equal. Test once, at the end: looking earlier and "
    "stopping at p < 0.05 is not allowed. Stop early only for want of budget, and report the seeds that ran. Never "
    "prune the final comparison."
)


def runs_of(plan: Plan, folder: Path | None) -> list[dict[str, Any]]:
    """Every run, in order: all arms of a seed, then the next seed."""
    base = folder or Path("PLAN")
    runs = []
    for seed in range(plan.seeds):
        for index, arm in enumerate(plan.arms):
            name = f"arm{index}-seed{seed}"
            words = " ".join(f"{key}={_word(value)}" for key, value in arm.changes.items())
            places = {
                "seed": str(seed),
                "run_dir": str(base / "runs" / name),
                "config": str(base / "configs" / f"{name}.json"),
            }
            argv = []
            for word in shlex.split(plan.command):
                argv += shlex.split(words) if word == "{overrides}" else [_filled(word, {**places, "overrides": words})]
            runs.append(
                {"id": name, "arm": arm.name, "seed": seed, "control": index == 0, "changes": arm.changes, "argv": argv}
            )
    return runs


def _filled(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", value)
    return word


def _word(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value))


def tables_of(plan: Plan) -> dict[str, list[dict[str, str]]]:
    """The tables of settings and of arms."""
    goal = plan.goal
    settings = [
        {
            "setting": name,
            "kind": "scientific",
            "range": ", ".join(map(str, levels)),
            "scale": "levels",
            "why": "compared",
        }
        for name, levels in goal.factors.items()
    ]
    settings += [
        {
            "setting": name,
            "kind": "nuisance",
            "range": f"{low:g} to {high:g}",
            "scale": scale(name),
            "why": "alike per arm",
        }
        for name, (low, high) in goal.tune.items()
    ]
    settings.append(
        {"setting": "everything else", "kind": "fixed", "range": "baseline", "scale": "", "why": "limits the claim"}
    )
    keys = list(goal.factors)
    ablation = [
        {"arm": arm.name, "role": arm.role, **{key: str(arm.changes.get(key, goal.factors[key][0])) for key in keys}}
        for arm in plan.arms
    ]
    return {"settings": settings, "ablation": ablation, "checklist": checklist(goal)}


def markdown(plan: Plan) -> str:
    """The plan for a reader."""
    goal, tables = plan.goal, tables_of(plan)
    less = "lower" if plan.lower else "higher"
    lines = [
        f"# {goal.question}",
        f"Task: {goal.task}. Data: {goal.data}. Primary metric: {goal.metric} ({less} is better).",
        f"Hypothesis: at least one arm has a {less} {goal.metric} than the control; null: no difference.",
        f"Control: the unchanged baseline, with the same code, data, seeds and budget. `{plan.command}`",
        f"Seeds: {plan.seeds} (0 to {plan.seeds - 1}) in each of {len(plan.arms)} arms = {plan.seeds * len(plan.arms)} "
        f"runs, paired by seed. Power {plan.reached:.0%} for {_size(plan, plan.effect_d)}; "
        f"the least effect found with {POWER:.0%} power: {_size(plan, plan.detectable)}.",
        f"Test: paired t-test of each arm against the control, two-sided, alpha {ALPHA:g}, Holm over "
        f"{plan.comparisons}. Adopt an arm only if its interval excludes 0 and the difference is the effect "
        f"of interest or more.",
        f"Budget: {_budget(plan)}",
        f"Stopping: {STOPPING}",
        f"Record: {RECORD}.",
        "Risks: the baseline tuned less than the arms; test data seen while choosing; leakage between splits; added "
        "capacity without an equal-size control; the metric's own noise on a small validation set.",
        "## Settings\n" + _table(tables["settings"]),
        "## Arms\n" + _table(tables["ablation"]),
    ]
    if tables["checklist"]:
        lines.append(
            "## Paper against project\n"
            + _table(tables["checklist"])
            + "\nTolerance: the paper's value inside the 95 % "
            "interval of our mean; differing and unreported settings first."
        )
    lines += ["## Assumed\n" + "\n".join(f"- {text}" for text in plan.assumptions)] if plan.assumptions else []
    lines += ["## Warnings\n" + "\n".join(f"- {text}" for text in plan.warnings)] if plan.warnings else []
    return "\n\n".join(lines)


def _size(plan: Plan, d: float) -> str:
    return f"{d:.2g} sd" + (f" ({d * plan.sd:.3g} {plan.goal.metric})" if plan.sd else "")


def _budget(plan: Plan) -> str:
    if plan.gpu_hours is None or plan.hours_per_run is None:
        return "unknown until a step is measured."
    return f"{plan.gpu_hours:.3g} GPU hours: {plan.hours_per_run:.3g} a run, {FAILURES - 1:.0%} added for failures."


def _table(rows: list[dict[str, str]]) -> str:
    return render([list(rows[0]), *(list(row.values()) for row in rows)], "markdown")


def write_plan(plan: Plan, folder: Path) -> list[str]:
    """Write the files of a plan.

    Raises:
        UserError: The folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{str(folder)!r} is not empty.", "Name a new folder.")
    runs = runs_of(plan, folder)
    (folder / "configs").mkdir(parents=True)
    for run in runs:
        config = {**run["changes"], "seed": run["seed"]}
        (folder / "configs" / f"{run['id']}.json").write_text(json.dumps(config, indent=1) + "\n")
    lines = [shlex.join(run["argv"]) for run in runs]
    gpus = max(plan.goal.gpus, 1)
    files = {
        "PLAN.md": markdown(plan) + "\n",
        "plan.json": json.dumps({"metric": plan.goal.metric, "cwd": str(Path.cwd()), "runs": runs}, indent=1) + "\n",
        "commands.txt": "\n".join(lines) + "\n",
        "torchrun.txt": "\n".join(_torchrun(line, gpus) for line in lines) + "\n",
        "array.sbatch": f"#!/bin/bash\n#SBATCH --array=1-{len(lines)}\n#SBATCH --gres=gpu:{gpus}\n"
        f'eval "$(sed -n "${{SLURM_ARRAY_TASK_ID}}p" {shlex.quote(str(folder / "commands.txt"))})"\n',
        "results.csv": f"arm,seed,status,{plan.goal.metric}\n" + "".join(f'"{r["arm"]}",{r["seed"]},,\n' for r in runs),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return [*files, "configs/"]


def _torchrun(line: str, gpus: int) -> str:
    return (
        line.replace("python ", f"torchrun --standalone --nproc-per-node {gpus} ", 1)
        if line.startswith("python ")
        else line
    )
