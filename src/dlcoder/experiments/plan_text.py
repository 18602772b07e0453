"""A plan in words: each part for a program, and the whole as Markdown for people."""

import math
from typing import Any

from dlcoder.experiments.design import interactions_of
from dlcoder.experiments.parameters import MOST_FIXED, parameters, untuned
from dlcoder.experiments.planning import ALPHA, FAILURES, POWER, Plan, checklist
from dlcoder.experiments.tables import render

RECORD = (
    "arm and seed",
    "changes, command, whole config",
    "commit and uncommitted changes",
    "data fingerprint and split",
    "versions, GPU, driver",
    "start, end, times started",
    "steps, samples a second, peak memory",
    "training loss, last and best validation value",
    "values that were not finite",
    "exit status; failed runs too",
)


def parts(plan: Plan) -> dict[str, Any]:
    """Everything that the plan fixes, by name."""
    goal = plan.goal
    found = {
        "question": goal.question,
        "hypothesis": hypothesis(plan),
        "control": {
            "what": "the unchanged baseline, run anew with the same code, data, seeds and budget",
            "command": plan.baseline.command,
        },
        "parameters": parameters(plan),
        "ablation": ablation(plan),
        "seeds": seeds(plan),
        "budget": budget(plan),
        "order": order(plan),
        "stopping_rule": stopping(plan),
        "test": test(plan),
        "record_fields": list(RECORD),
        "risks": risks(plan),
        "checklist": checklist(plan),
        "assumptions": plan.assumptions,
        "warnings": plan.warnings,
    }
    return {name: value for name, value in found.items() if value not in ([], {})}


def _better(plan: Plan) -> str:
    return "lower" if plan.lower else "higher"


def hypothesis(plan: Plan) -> str:
    """One falsifiable sentence."""
    metric = plan.goal.metric
    if not plan.goal.factors:
        reported = plan.goal.paper.get(metric or "")
        target = f"the paper's {metric} {reported}" if reported is not None else f"the paper's {metric}"
        return f"Our mean {metric} differs from {target} by no more than the tolerance; null: it differs by more."
    return (
        f"At least one arm has a {_better(plan)} mean {metric} than the control, by {size(plan, plan.effect_d)} or "
        "more; null: no difference."
    )


def size(plan: Plan, d: float) -> str:
    """An effect in standard deviations and in the metric's own units."""
    if math.isinf(d):
        return "none"
    return f"{d:.2g} sd" + (f" ({d * plan.sd:.3g} {plan.goal.metric})" if plan.sd else "")


def ablation(plan: Plan) -> list[dict[str, str]]:
    """Each arm with the level of every factor."""
    factors = plan.goal.factors
    return [
        {"arm": arm.name, "role": arm.role, **{key: str(arm.changes.get(key, factors[key][0])) for key in factors}}
        for arm in plan.arms
    ]


def seeds(plan: Plan) -> dict[str, Any]:
    """The seeds, and what the power computation says."""
    found = {
        "n": plan.seeds,
        "list": f"0 to {plan.seeds - 1}, the same in every arm",
        "power": round(plan.reached, 4),
        "alpha": ALPHA,
        "comparisons": plan.comparisons,
        "effect": size(plan, plan.effect_d),
        "detectable_effect": size(plan, plan.detectable),
        "sd": plan.sd,
        "correlation": plan.correlation,
    }
    return {name: value for name, value in found.items() if value is not None}


def budget(plan: Plan) -> dict[str, Any]:
    """What the runs cost."""
    found: dict[str, Any] = {"runs": plan.runs, "tuning_runs": plan.trials * len(plan.arms) or None}
    if plan.gpu_hours is not None and plan.hours_per_run is not None:
        found |= {
            "gpu_hours": round(plan.gpu_hours, 4),
            "gpu_hours_a_run": round(plan.hours_per_run, 5),
            "step_seconds": plan.step_seconds,
            "steps": plan.steps,
            "wall_hours": round(plan.gpu_hours / max(plan.goal.gpus, 1), 4),
            "available_gpu_hours": plan.budget,
        }
    return {name: value for name, value in found.items() if value is not None}


def order(plan: Plan) -> str:
    """In what order runs are made."""
    tuned = "Tune every arm first, with seeds that are not compared. " if plan.trials else ""
    return (
        f"{tuned}Blocks of one seed: all {len(plan.arms)} arms with seed 0, then with seed 1, ..., each block "
        "beginning with another arm. After every whole block all arms are equal, so that an early stop still answers, "
        "with a larger detectable effect."
    )


def stopping(plan: Plan) -> str:
    """When a run, and when the experiment ends."""
    rule = (
        "A run stops at a loss that is not finite or above 10 times its start; it counts as failed. The experiment "
        f"stops after {plan.seeds} blocks, or after the last whole block that the budget allows. It is tested once, "
        "then: looking earlier and stopping at p < 0.05 is not allowed. Nothing is pruned in the final comparison"
    )
    return rule + ("; trials of the search may be." if plan.trials else ".")


def test(plan: Plan) -> str:
    """How the result is judged, fixed beforehand."""
    metric = plan.goal.metric
    if not plan.goal.factors:
        allowed = f"{plan.goal.tolerance:g}" if plan.goal.tolerance else "the paper's own deviation, else ours"
        return (
            f"95 % t-interval of our mean {metric} over {plan.seeds} seeds. Reproduced: the paper's value lies within "
            f"the interval widened by the tolerance ({allowed}). One run of either side shows nothing."
        )
    pairs = [" x ".join(pair) for pair in interactions_of(plan.goal)]
    also = f" Interactions ({', '.join(pairs)}): t-test of the difference of differences, by seed." if pairs else ""
    one_out = " One-out arms against all in, too." if len(plan.goal.factors) > 2 else ""
    return (
        f"Last validation {metric}; paired t-test by seed of each arm against the control, two-sided, alpha {ALPHA:g}, "
        f"Holm over {plan.comparisons}.{one_out}{also} Adopt an arm only if its interval excludes 0 and the difference "
        "is the effect of interest or more."
    )


def risks(plan: Plan) -> list[str]:
    """What would make the answer wrong."""
    found = ["The test data seen while choosing: choose by validation, look at test once.", "Leakage between splits."]
    fixed = untuned(plan)
    if plan.goal.tune:
        found.append(f"The baseline tuned less than the arms: each gets {plan.goal.trials} trials, no more.")
    elif fixed:
        found.append(f"{', '.join(fixed[:3])} tuned for the control alone: an arm may lose for want of tuning.")
    else:
        found.append("The baseline tuned less than the arms.")
    if plan.goal.factors:
        found.append("An arm with more capacity or compute wins by that: compare at equal cost.")
    if plan.sd is None:
        found.append("The spread between seeds is assumed: power and seeds may be far off.")
    return found


def sentence(plan: Plan) -> str:
    """The cost in words."""
    if plan.gpu_hours is None or plan.hours_per_run is None:
        return f"{plan.runs} runs; GPU hours are unknown until a step is measured."
    tuning = f" of which {plan.trials * len(plan.arms)} tune" if plan.trials else ""
    of = f" of {plan.budget:.3g} available" if plan.budget else ""
    return (
        f"{plan.gpu_hours:.3g} GPU hours{of}: {plan.runs} runs{tuning}, {plan.hours_per_run:.3g} each "
        f"({plan.steps} steps of {plan.step_seconds:.3g} s), {FAILURES - 1:.0%} added for failures."
    )


def markdown(plan: Plan) -> str:
    """The plan for a reader."""
    goal, rows = plan.goal, parameters(plan)
    lines = [
        f"# {goal.question}",
        f"Task: {goal.task}. Data: {goal.data}. Primary metric: {goal.metric} ({_better(plan)} is better).",
        f"**Hypothesis.** {hypothesis(plan)}",
        f"**Control.** The unchanged baseline, run anew with the same code, data, seeds and budget: "
        f"`{plan.baseline.command}`",
        f"**Seeds.** {plan.seeds} (0 to {plan.seeds - 1}) in each of {len(plan.arms)} arms = "
        f"{plan.seeds * len(plan.arms)} runs, paired by seed. Power {plan.reached:.0%} for "
        f"{size(plan, plan.effect_d)}; the least effect found with {POWER:.0%} power: {size(plan, plan.detectable)}.",
        f"**Budget.** {sentence(plan)}",
        f"**Order.** {order(plan)}",
        f"**Stopping.** {stopping(plan)}",
        f"**Test.** {test(plan)}",
        f"**Record.** {'; '.join(RECORD)}.",
        f"**Constraints.** {'; '.join(goal.constraints)}." if goal.constraints else "",
        "## Settings\n" + _table(rows),
        "## Arms\n" + _table(ablation(plan)),
        _against_paper(plan),
        _list("Risks", risks(plan)),
        _list("Assumed", plan.assumptions),
        _list("Warnings", plan.warnings),
    ]
    return "\n\n".join(line for line in lines if line)


def _against_paper(plan: Plan) -> str:
    rows = checklist(plan)
    if not rows:
        return ""
    shown = rows[:MOST_FIXED]
    more = f"\n{len(rows) - len(shown)} more in plan.json." if len(rows) > len(shown) else ""
    unknown = sum(row["state"] not in ("same", "DIFFERS") for row in rows)
    differ = sum(row["state"] == "DIFFERS" for row in rows)
    return (
        f"## Paper against project\n{differ} differ, {unknown} unknown on one side. Tolerance: "
        f"{plan.goal.tolerance or 'not stated: one standard deviation between seeds'}.\n{_table(shown)}{more}"
    )


def _list(title: str, items: list[str]) -> str:
    return f"## {title}\n" + "\n".join(f"- {item}" for item in items) if items else ""


def _table(rows: list[dict[str, str]]) -> str:
    return render([list(rows[0]), *(list(row.values()) for row in rows)], "markdown")
