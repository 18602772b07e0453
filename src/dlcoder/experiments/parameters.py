"""The table of settings: what is compared, what must be tuned alike, what is held fixed, and why."""

import re
from typing import Any

from dlcoder.experiments.planning import Plan

MOST_FIXED = 30
_LOG_SCALE = re.compile(r"lr|learning_rate|weight_decay|\bwd\b|eps|temperature|decay$", re.I)
_REASONS = (
    (r"\blr\b|learning_rate", "moves every result most; its best value shifts with batch size, optimizer and schedule"),
    (r"weight_decay|\bwd\b", "acts with the learning rate; its best value depends on model and length"),
    (r"warmup|schedule", "decides which learning rates survive the start"),
    (r"momentum|beta", "acts with the learning rate and the batch size"),
    (r"batch", "changes noise and the number of steps: the learning rate must follow"),
    (
        r"dropout|smoothing|augment|mixup|cutmix|noise",
        "regularizes: its best strength depends on model and data",
    ),
    (r"epochs|steps|iterations", "the budget: alike for all arms"),
    (r"ema", "averages late weights: helps most at high learning rates"),
    (r"clip|grad_norm", "matters only where gradients are outliers"),
    (r"width|depth|layers|hidden|dim|heads|model", "changes capacity: compare at equal cost"),
    (r"data|samples|split|size", "the data: alike for all arms"),
)
_NUISANCE = re.compile(r"(^|[._])(lr|learning_rate|weight_decay|wd)$", re.I)
"""What favors one arm if it is tuned for another."""


def scale(name: str) -> str:
    """On which scale a setting is searched."""
    return "log" if _LOG_SCALE.search(name.rpartition(".")[2]) else "linear"


def parameters(plan: Plan) -> list[dict[str, str]]:
    """Every setting that is known, by its part in the experiment."""
    goal, settings = plan.goal, plan.baseline.settings
    rows = [
        _row(name, "scientific", ", ".join(map(_shown, levels)), levels[0], "levels", "the question; " + _reason(name))
        for name, levels in goal.factors.items()
    ]
    for name, (low, high) in goal.tune.items():
        why = f"tuned for each arm with {goal.trials} trials; {_reason(name)}"
        rows.append(_row(name, "nuisance", f"{low:g} to {high:g}", settings.get(name, ""), scale(name), why))
    rows.append(_row("seed", "nuisance", f"0 to {plan.seeds - 1}", 0, "levels", "repeated: alike in every arm"))
    left = {name: value for name, value in settings.items() if name not in (*goal.factors, *goal.tune, "seed")}
    for name, value in list(left.items())[:MOST_FIXED]:
        untuned = bool(_NUISANCE.search(name)) and isinstance(value, int | float) and value > 0
        wide = f"{value / 10:g} to {value * 10:g}" if untuned else _shown(value)
        why = "UNTUNED: may favor an arm; put it into tune. It " if untuned else ""
        rows.append(
            _row(
                name,
                "nuisance" if untuned else "fixed",
                wide,
                value,
                scale(name) if untuned else "",
                why + _reason(name),
            )
        )
    rest = "everything else" if not left or len(left) > MOST_FIXED else "code, data, hardware"
    rows.append(_row(rest, "fixed", "as in the baseline", "", "", "the claim holds for these values only"))
    return rows


def _row(name: str, kind: str, span: str, default: Any, how: str, why: str) -> dict[str, str]:
    return {"setting": name, "kind": kind, "range": span, "default": _shown(default), "scale": how, "why": why}


def _reason(name: str) -> str:
    return next((why for pattern, why in _REASONS if re.search(pattern, name, re.I)), "may act on the result")


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def untuned(plan: Plan) -> list[str]:
    """Settings that may favor an arm, and are neither compared nor tuned."""
    known = {*plan.goal.factors, *plan.goal.tune}
    return [name for name in plan.baseline.settings if _NUISANCE.search(name) and name not in known]
