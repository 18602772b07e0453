"""Which arms answer the question: the control, one factor in, one out, and pairs whose effects may not add up."""

import re
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from dlcoder.errors import UserError
from dlcoder.experiments.goal import Goal

_LEARNING_RATE = r"\blr\b|learning_rate"
_ENTWINED = tuple(
    (re.compile(one, re.I), re.compile(other, re.I))
    for one, other in (
        (_LEARNING_RATE, r"batch|optim|warmup|schedule|weight_decay|\bwd\b|accumulate|momentum|ema"),
        (r"weight_decay|\bwd\b|dropout|smoothing", r"augment|mixup|cutmix|dropout|smoothing|epochs|width|depth|size"),
        (r"batch", r"norm|optim|warmup"),
        (r"norm", r"residual|init|depth"),
    )
)
"""Settings that are known to act through the same mechanism, so that the effect of one depends on the other."""


@dataclass
class PlannedArm:
    """An arm: the control changes nothing."""

    name: str
    changes: dict[str, Any]
    role: str


def arms_of(goal: Goal) -> list[PlannedArm]:
    """The arms of a plan, the control first; an arm that plays two parts is named for the first."""
    on = {name: levels[1] for name, levels in goal.factors.items()}
    arms = [PlannedArm("control", {}, "control")]
    for name, levels in goal.factors.items():
        arms += [_arm({name: level}, "one in") for level in levels[1:]]
    if len(on) > 1:
        arms.append(_arm(on, "all in"))
    if len(on) > 2:
        for name in on:
            rest = {other: level for other, level in on.items() if other != name}
            arms.append(PlannedArm(f"all but {name}", rest, "one out"))
    for pair in interactions_of(goal):
        changes = {name: on[name] for name in pair}
        if all(arm.changes != changes for arm in arms):
            arms.append(_arm(changes, "pair"))
    return arms


def _arm(changes: dict[str, Any], role: str) -> PlannedArm:
    return PlannedArm(", ".join(f"{name}={level}" for name, level in changes.items()), changes, role)


def interactions_of(goal: Goal) -> list[tuple[str, str]]:
    """The pairs of factors whose interaction is measured: those named, those entwined, and the only pair there is."""
    named: list[tuple[str, str]] = []
    for pair in goal.interactions:
        if len(pair) != 2 or not set(pair) <= goal.factors.keys() or pair[0] == pair[1]:
            raise UserError(
                f"interactions holds {pair!r}, no pair of factors.", f"Choose of {', '.join(goal.factors)}."
            )
        named.append((pair[0], pair[1]))
    pairs = list(combinations(goal.factors, 2))
    found = [pair for pair in pairs if len(pairs) == 1 or entwined(*pair) or pair in named or pair[::-1] in named]
    return found


def entwined(one: str, other: str) -> bool:
    """Whether two settings are known to act through the same mechanism."""
    one, other = (name.rpartition(".")[2] for name in (one, other))
    return any((a.search(one) and b.search(other)) or (a.search(other) and b.search(one)) for a, b in _ENTWINED)
