"""From a goal to a plan that can answer its question."""

import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.baseline import Baseline, baseline_of
from dlcoder.experiments.design import PlannedArm, arms_of
from dlcoder.experiments.goal import Goal
from dlcoder.experiments.intervals import deviation
from dlcoder.experiments.metrics import lower_is_better
from dlcoder.experiments.power import detectable_effect, deviation_range, power, seeds_needed
from dlcoder.experiments.runs import flatten

ALPHA, POWER, FAILURES = 0.05, 0.8, 1.15
"""The chance of a false finding, the chance to see the effect of interest, and the share of runs that fail anyhow."""
_PROMISE = re.compile(r"\b(guarantee|promise|ensure|make sure|must (reach|get|beat|achieve))\b", re.I)
_NO_MATTER = re.compile(r"seed|workers|save|log_|device|deterministic|path|_dir|run_name", re.I)
"""Settings that no paper reports, and no result depends on beyond noise."""
_MOST_SEEDS = 100
_CORRELATION = 0.5


@dataclass(frozen=True)
class Measured:
    """A step of the baseline, as it was run.

    Attributes:
        step_seconds: The median.
        steps: Of a whole run; None where it does not say.
        source: On what it was measured.
    """

    step_seconds: float
    steps: int | None
    source: str


@dataclass
class Plan:
    """All that is fixed before the first run."""

    goal: Goal
    baseline: Baseline
    lower: bool
    arms: list[PlannedArm]
    seeds: int
    sd: float | None
    correlation: float
    effect_d: float
    reached: float
    detectable: float
    step_seconds: float | None
    steps: int | None
    hours_per_run: float | None
    assumptions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def comparisons(self) -> int:
        """Tests against the control."""
        return len(self.arms) - 1

    @property
    def trials(self) -> int:
        """Runs that tune one arm."""
        return self.goal.trials if self.goal.tune else 0

    @property
    def runs(self) -> int:
        """All runs: those that are compared, and those that tune."""
        return len(self.arms) * (self.seeds + self.trials)

    @property
    def gpu_hours(self) -> float | None:
        """For all runs, with a share for failures."""
        return None if self.hours_per_run is None else self.hours_per_run * self.runs * FAILURES

    @property
    def budget(self) -> float | None:
        """GPU hours that there are, by the budget and by the deadline."""
        goal = self.goal
        by_deadline = goal.deadline_hours * max(goal.gpus, 1) if goal.deadline_hours else None
        return min((hours for hours in (goal.gpu_hours, by_deadline) if hours), default=None)


def make_plan(goal: Goal, baseline: Baseline | None = None, measured: Measured | None = None) -> Plan:
    """Work the plan out.

    Args:
        goal: What is asked; pilot runs as numbers.
        baseline: The control's command; by default what the goal says, started in the current directory.
        measured: A step of it.

    Raises:
        UserError: Without task, data, metric or factors there is nothing to plan; a score cannot be promised.
    """
    _refuse(goal)
    baseline = baseline or baseline_of(goal.baseline, None, Path.cwd())
    baseline = replace(baseline, settings={**baseline.settings, **flatten(goal.settings)})
    arms = arms_of(goal)
    lower = goal.direction == "min" if goal.direction else lower_is_better(goal.metric or "")
    plan = Plan(goal, baseline, lower, arms, 0, None, _CORRELATION, 1.0, 0.0, math.inf, None, None, None)
    if goal.direction is None:
        plan.assumptions.append(f"direction: {'less' if lower else 'more'} of {goal.metric} is better, by its name.")
    if baseline.assumption:
        plan.assumptions.append(baseline.assumption)
    plan.sd = _sd(goal, plan)
    plan.effect_d = _effect(goal, plan)
    plan.correlation = _correlation(goal, plan)
    _cost(plan, measured)
    _decide_seeds(plan)
    _warn(plan)
    return plan


def _refuse(goal: Goal) -> None:
    can = f"A plan can promise a fair comparison: {POWER:.0%} power for a stated effect, {ALPHA:.0%} false findings."
    if _PROMISE.search(goal.question):
        raise UserError(
            f"No plan can promise a score. {can}", "Ask instead whether a change helps, by how much at least."
        )
    needed = ("task", "data", "metric") if goal.paper else ("task", "data", "metric", "factors")
    missing = [name for name in needed if not getattr(goal, name)]
    if missing:
        raise UserError(
            f"Missing in goal: {', '.join(missing)}. {can}", "Call again with them; the rest may be assumed."
        )
    for name, levels in goal.factors.items():
        if len(levels) < 2 or any(level == other for i, level in enumerate(levels) for other in levels[:i]):
            raise UserError(f"factors.{name} needs two different levels or more.", "Give the baseline's first.")
    for name, bounds in goal.tune.items():
        if len(bounds) != 2 or bounds[0] >= bounds[1] or name in goal.factors:
            raise UserError(f"tune.{name} must be [low, high] and no factor.", "Give its bounds.")


def _sd(goal: Goal, plan: Plan) -> float | None:
    pilot = goal.pilot if isinstance(goal.pilot, list) else []
    if goal.sd is not None:
        return goal.sd
    if len(pilot) < 2:
        plan.assumptions.append(
            "sd between seeds is unknown: run the first five blocks, then plan again with pilot = their folder."
        )
        return None
    sd = deviation(pilot)
    if sd == 0:
        raise UserError("The pilot runs are all equal: the seed has no effect, or they are copies.", "Check the seed.")
    low, high = deviation_range(sd, len(pilot))
    plan.warnings.append(f"sd {sd:.3g} from {len(pilot)} pilot runs may truly be {low:.3g} to {high:.3g}.")
    return sd


def _effect(goal: Goal, plan: Plan) -> float:
    wanted = goal.effect if goal.factors else goal.tolerance or goal.effect
    if wanted is not None and plan.sd is not None:
        return wanted / plan.sd
    plan.assumptions.append("effect of interest: one standard deviation between seeds (d = 1).")
    return 1.0


def _correlation(goal: Goal, plan: Plan) -> float:
    if goal.correlation is not None:
        return goal.correlation
    if goal.factors:
        plan.assumptions.append(
            f"correlation {_CORRELATION} between arms at the same seed; measure it on the first five blocks."
        )
    return _CORRELATION


def _cost(plan: Plan, measured: Measured | None) -> None:
    goal = plan.goal
    plan.step_seconds = goal.step_seconds or (measured.step_seconds if measured else None)
    plan.steps = goal.steps or (measured.steps if measured else None)
    if measured and goal.step_seconds is None:
        plan.assumptions.append(f"a step takes {measured.step_seconds:.3g} s: {measured.source}.")
    if measured and measured.steps and goal.steps is None:
        plan.assumptions.append(f"a run has {measured.steps} steps, as the baseline said when it started.")
    if plan.step_seconds is None or plan.steps is None:
        plan.assumptions.append(
            "cost unknown: measure step_seconds over 100 steps and give steps; no budget is computed."
        )
        return
    plan.hours_per_run = plan.step_seconds * plan.steps * max(goal.gpus, 1) / 3600


def _decide_seeds(plan: Plan) -> None:
    goal, alpha = plan.goal, ALPHA / max(1, plan.comparisons)
    needed = seeds_needed(plan.effect_d, POWER, correlation=plan.correlation, alpha=alpha) or math.inf
    affordable = float(_MOST_SEEDS)
    if plan.budget and plan.hours_per_run:
        runs = plan.budget / (plan.hours_per_run * FAILURES)
        affordable = max(1, math.floor(runs / len(plan.arms) + 1e-9) - plan.trials)
    if goal.seeds is not None:
        plan.seeds = goal.seeds
        if goal.seeds < needed:
            plan.warnings.append(f"{goal.seeds} seeds were asked for, {needed} are needed for the effect of interest.")
    else:
        plan.seeds = int(min(max(needed, 3), affordable))
        if needed > affordable:
            plan.warnings.append(
                f"{needed} seeds are needed, {plan.seeds} can be run: the effect of interest may stay unseen."
            )
    plan.reached = power(plan.effect_d, plan.seeds, correlation=plan.correlation, alpha=alpha)
    plan.detectable = detectable_effect(plan.seeds, POWER, correlation=plan.correlation, alpha=alpha)


def _warn(plan: Plan) -> None:
    if plan.seeds < 5:
        shown = "nothing" if math.isinf(plan.detectable) else f"only effects above {plan.detectable:.1f} sd"
        plan.warnings.append(f"{plan.seeds} seed(s): {shown} can be claimed.")
    if plan.budget and plan.gpu_hours and plan.gpu_hours > plan.budget:
        plan.warnings.append(
            f"It needs {plan.gpu_hours:.3g} GPU hours of {plan.budget:.3g}: drop arms or trials, or shorten runs."
        )
    _check_names(plan)


def _check_names(plan: Plan) -> None:
    """Compare what the plan sets with what the project has."""
    import difflib

    settings = plan.baseline.settings
    for name in (*plan.goal.factors, *plan.goal.tune):
        if not settings or name in settings:
            continue
        near = difflib.get_close_matches(name, settings, 1, 0.5) or [
            key for key in settings if key.rpartition(".")[2] == name.rpartition(".")[2]
        ]
        hint = f"; did you mean {near[0]}?" if near else ""
        plan.warnings.append(f"{name} is not in the baseline's default settings{hint}")
    for name, levels in plan.goal.factors.items():
        if name in settings and not _same(settings[name], levels[0]):
            plan.warnings.append(f"{name}: the baseline has {settings[name]}, the first level is {levels[0]}.")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9)
    except (TypeError, ValueError):
        return str(one) == str(other)


def checklist(plan: Plan) -> list[dict[str, str]]:
    """A paper's reported settings against the project's: what differs first, then what is unknown."""
    goal, settings = plan.goal, plan.baseline.settings
    rows = []
    for name, paper in goal.paper.items():
        if name == goal.metric:
            continue
        ours = _ours(name, settings)
        if paper in (None, "", "?"):
            state = "NOT REPORTED: ask the authors, or make it a factor"
        elif ours is None:
            state = "UNKNOWN HERE: set it" if settings else "UNKNOWN HERE: read it off the code"
        else:
            state = "same" if _same(paper, ours) else "DIFFERS"
        shown = "not reported" if paper in (None, "", "?") else str(paper)
        rows.append({"setting": name, "paper": shown, "project": "" if ours is None else str(ours), "state": state})
    for name, ours in settings.items():
        if (
            goal.paper
            and not _NO_MATTER.search(name)
            and all(_ours(paper, {name: ours}) is None for paper in goal.paper)
        ):
            rows.append({"setting": name, "paper": "not reported", "project": str(ours), "state": "NOT REPORTED"})
    order = ("DIFFERS", "UNKNOWN", "NOT REP", "same")
    return sorted(rows, key=lambda row: next(i for i, word in enumerate(order) if row["state"].startswith(word)))


def _ours(name: str, settings: Any) -> Any:
    if name in settings:
        return settings[name]
    found = [value for key, value in settings.items() if key.rpartition(".")[2] == name.rpartition(".")[2]]
    return found[0] if len(found) == 1 else None
