"""From a goal to a plan that can answer its question."""

import math
import re
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.goal import Goal
from dlcoder.experiments.intervals import deviation
from dlcoder.experiments.power import detectable_effect, deviation_range, power, seeds_needed

ALPHA, POWER, FAILURES = 0.05, 0.8, 1.15
_PROMISE = re.compile(r"\b(guarantee|promise|ensure|make sure|must (reach|get|beat|achieve))\b", re.I)
_LOG_SCALE = re.compile(r"lr|learning_rate|weight_decay|\bwd\b|eps|temperature", re.I)
_LOSS_LIKE = re.compile(r"loss|err|perplexity|ppl|rmse|mse|mae|fid|wer|nll|time|latency", re.I)
_DLCODER = "{command} --set {{overrides}} seed={{seed}} --run-dir {{run_dir}} --resume"
_MOST_SEEDS = 100
RECORD = (
    "arm, seed, changes, command, commit and uncommitted changes, config, data fingerprint, versions, GPU, start and "
    "end, steps, peak memory, last and best validation value, exit status, times started; failed runs too"
)


@dataclass
class PlannedArm:
    """An arm: the control changes nothing."""

    name: str
    changes: dict[str, Any]
    role: str


@dataclass
class Plan:
    """All that is fixed before the first run."""

    goal: Goal
    lower: bool
    arms: list[PlannedArm]
    seeds: int
    sd: float | None
    effect_d: float
    reached: float
    detectable: float
    hours_per_run: float | None
    command: str
    assumptions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def comparisons(self) -> int:
        """Tests against the control."""
        return len(self.arms) - 1

    @property
    def gpu_hours(self) -> float | None:
        """For all runs, with a share for failures."""
        return None if self.hours_per_run is None else self.hours_per_run * len(self.arms) * self.seeds * FAILURES


def make_plan(goal: Goal) -> Plan:
    """Work the plan out.

    Raises:
        UserError: Without task, data, metric or factors there is nothing to plan; a score cannot be promised.
    """
    _refuse(goal)
    assumptions: list[str] = []
    warnings: list[str] = []
    arms = _arms(goal)
    lower = goal.direction == "min" if goal.direction else bool(_LOSS_LIKE.search(goal.metric or ""))
    if goal.direction is None:
        assumptions.append(f"direction: {'less' if lower else 'more'} of {goal.metric} is better, by its name.")
    sd = _sd(goal, assumptions, warnings)
    d = _effect(goal, sd, assumptions)
    alpha = ALPHA / max(1, len(arms) - 1)
    hours = _hours(goal, assumptions)
    seeds = _seeds(goal, d, alpha, len(arms), hours, assumptions, warnings)
    if "correlation" not in goal.model_fields_set:
        assumptions.append("correlation 0.5 between arms at the same seed; measure it on the first five seeds.")
    plan = Plan(
        goal=goal,
        lower=lower,
        arms=arms,
        seeds=seeds,
        sd=sd,
        effect_d=d,
        reached=power(d, seeds, correlation=goal.correlation, alpha=alpha),
        detectable=detectable_effect(seeds, POWER, correlation=goal.correlation, alpha=alpha),
        hours_per_run=hours,
        command=_command(goal, assumptions),
        assumptions=assumptions,
        warnings=warnings,
    )
    if goal.tune:
        names = ", ".join(goal.tune)
        warnings.append(
            f"{names}: `dlcoder plan run` does not search; tune each arm with the same number of trials first."
        )
    if seeds < 5:
        warnings.append(f"{seeds} seed(s): only effects above {plan.detectable:.1f} sd can be claimed.")
    if goal.gpu_hours and plan.gpu_hours and plan.gpu_hours > goal.gpu_hours:
        warnings.append(f"It needs {plan.gpu_hours:.3g} GPU hours of {goal.gpu_hours:g}: drop arms or shorten runs.")
    return plan


def _refuse(goal: Goal) -> None:
    can = f"A plan can promise a fair comparison: {POWER:.0%} power for a stated effect, {ALPHA:.0%} false findings."
    if _PROMISE.search(goal.question):
        raise UserError(
            f"No plan can promise a score. {can}", "Ask instead whether a change helps, by how much at least."
        )
    missing = [name for name in ("task", "data", "metric", "factors") if not getattr(goal, name)]
    if missing and not goal.paper:
        raise UserError(
            f"Missing in goal: {', '.join(missing)}. {can}", "Call again with them; the rest may be assumed."
        )
    for name, levels in goal.factors.items():
        if len(levels) < 2 or any(level == other for i, level in enumerate(levels) for other in levels[:i]):
            raise UserError(f"factors.{name} needs two different levels or more.", "Give the baseline's first.")
    for name, bounds in goal.tune.items():
        if len(bounds) != 2 or bounds[0] >= bounds[1] or name in goal.factors:
            raise UserError(f"tune.{name} must be [low, high] and no factor.", "Give its bounds.")


def _arms(goal: Goal) -> list[PlannedArm]:
    on = {name: levels[1] for name, levels in goal.factors.items()}
    arms = [PlannedArm("control", {}, "control")]
    for name, levels in goal.factors.items():
        arms += [PlannedArm(_label({name: level}), {name: level}, "one in") for level in levels[1:]]
    if len(on) > 1:
        arms.append(PlannedArm(_label(on), dict(on), "all in"))
    if len(on) > 2:
        for name in on:
            rest = {other: level for other, level in on.items() if other != name}
            arms.append(PlannedArm(f"all but {name}", rest, "one out"))
    return arms


def _label(changes: dict[str, Any]) -> str:
    return ", ".join(f"{name}={level}" for name, level in changes.items())


def full_factorial(goal: Goal) -> int:
    """The arms of the whole grid, for comparison."""
    return len(list(product(*goal.factors.values())))


def _sd(goal: Goal, assumptions: list[str], warnings: list[str]) -> float | None:
    if goal.sd is not None:
        return goal.sd
    if len(goal.pilot) < 2:
        assumptions.append("sd between seeds is unknown: run five control seeds first, then plan again with pilot.")
        return None
    sd = deviation(goal.pilot)
    if sd == 0:
        raise UserError("The pilot runs are all equal: the seed has no effect, or they are copies.", "Check the seed.")
    low, high = deviation_range(sd, len(goal.pilot))
    warnings.append(f"sd {sd:.3g} from {len(goal.pilot)} pilot runs may truly be {low:.3g} to {high:.3g}.")
    return sd


def _effect(goal: Goal, sd: float | None, assumptions: list[str]) -> float:
    if goal.effect is not None and sd is not None:
        return goal.effect / sd
    assumptions.append("effect of interest: one standard deviation between seeds (d = 1).")
    return 1.0


def _hours(goal: Goal, assumptions: list[str]) -> float | None:
    if goal.step_seconds is None or goal.steps is None:
        assumptions.append("cost unknown: measure step_seconds over 100 steps and give steps; no budget is computed.")
        return None
    return goal.step_seconds * goal.steps * max(goal.gpus, 1) / 3600


def _seeds(
    goal: Goal, d: float, alpha: float, arms: int, hours: float | None, assumptions: list[str], warnings: list[str]
) -> int:
    needed = seeds_needed(d, POWER, correlation=goal.correlation, alpha=alpha) or math.inf
    if goal.seeds is not None:
        if goal.seeds < needed:
            warnings.append(f"{goal.seeds} seeds were asked for, {needed} are needed for the effect of interest.")
        return goal.seeds
    affordable = _MOST_SEEDS
    if goal.gpu_hours and hours:
        affordable = max(1, int(goal.gpu_hours / (hours * arms * FAILURES)))
    if needed > affordable:
        warnings.append(f"{needed} seeds are needed, {affordable} can be run: the effect of interest may stay unseen.")
    return int(min(max(needed, 3), affordable))


def _command(goal: Goal, assumptions: list[str]) -> str:
    command = goal.command or "python train.py --config configs/default.yaml"
    if goal.command is None:
        assumptions.append(f"command: {command}, of a dlcoder project.")
    if "{" in command:
        if not re.search(r"\{(overrides|config)\}", command):
            raise UserError("command passes no settings on.", "Put {overrides} or {config} into it, and {seed}.")
        return command
    return _DLCODER.format(command=command)


def scale(name: str) -> str:
    """On which scale a setting is searched."""
    return "log" if _LOG_SCALE.search(name) else "linear"


def checklist(goal: Goal) -> list[dict[str, str]]:
    """A paper's reported settings against the project's."""
    rows = []
    for name in dict.fromkeys((*goal.paper, *goal.project)):
        paper, ours = goal.paper.get(name), goal.project.get(name)
        if paper in (None, "", "?"):
            state = "not reported: ask, or vary it"
        elif ours is None:
            state = "unknown here: set it"
        else:
            state = "same" if paper == ours else "DIFFERS"
        rows.append({"setting": name, "paper": str(paper), "project": str(ours), "state": state})
    return rows
