"""What the series show: where a run stopped being finite, what came before, what it waits for."""

import itertools
import math
import re
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.learning import (
    adversarial_facts,
    gap_facts,
    learning_facts,
    progress_facts,
    repeat_facts,
    resume_facts,
)
from dlcoder.diagnosis.levels import fact, main_loss, median
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.series import Point, Series, read_series


def _spike(before: Sequence[float]) -> bool:
    """Whether the last finite values ran away from those before."""
    if len(before) < 2:
        return False
    reference = median(before[:-1][-10:])
    tail = before[-1]
    if len(before) >= 3:
        tail = max(before[-2:])
        reference = median(before[:-2][-10:])
    return (reference > 0 and tail > 1.8 * reference) or (reference <= 0 and tail > abs(reference) * 4 + 1)


def _averages_facts(losses: Sequence[Series]) -> list[Fact]:
    """What running means say, where every single value is finite."""
    for s in losses:
        bad = next((p for p in s.points if p.average is not None and not math.isfinite(p.average)), None)
        if bad is None:
            continue
        facts = [fact("nan.loss", bad, "the running mean of the loss is not finite")]
        before = [p.value for p in s.points if p.average is None or math.isfinite(p.average)]
        if before and bad.value > 1.8 * median(before):
            facts.append(fact("nan.after-spike", bad, "the loss jumped just before"))
        return facts
    return []


_LAST_WORDS = re.compile(r"Error\b|\braise\b|[Ss]topp|became|becomes|detected")


def _approach_facts(main: Series, losses: Sequence[Series], first: int, series: Sequence[Series]) -> list[Fact]:
    """How the values went that led to the first bad one."""
    before = [p.value for p in main.points[:first]]
    if not before and _LAST_WORDS.search(main.points[0].line.text) and not any(s.kind == "step" for s in series):
        return []  # a message that ends a run tells nothing of what was printed before
    if not before:
        return [fact("nan.from-start", main.points[first], "it is not finite from the first printed value on")]
    spikes = any(s.first_bad and _spike([p.value for p in s.points[: s.first_bad]]) for s in losses)
    line = main.points[first].line
    spikes = spikes or any(s.first_bad is None and s.points[0].line is not line and _spike(s.finite) for s in losses)
    if _spike(before) or spikes:
        return [fact("nan.after-spike", main.points[first - 1], "the loss ran away before")]
    return [fact("nan.sudden", main.points[first - 1], "the loss was smooth until then")] if len(before) >= 2 else []


def _terms_facts(main: Series, losses: Sequence[Series], point: Point) -> list[Fact]:
    """Whether one term of the loss is affected or all are."""
    others = [s for s in losses if s is not main and s.split == main.split and s.points]
    same = [s for s in others if any(p.line.number == point.line.number for p in s.points)]
    parts = same or [s for s in others if "total" not in s.name and s.name != "loss"]
    bad = [s for s in parts if s.first_bad is not None]
    if parts and len(bad) < len(parts) and (bad or len(parts) >= 2):
        names = ", ".join(s.name for s in bad[:3]) or main.name
        return [fact("nan.one-term", point, f"only {names} is not finite, other terms are")]
    return [fact("nan.all-terms", point, "all loss terms are not finite")] if len(bad) >= 2 else []


def nan_facts(series: Sequence[Series]) -> list[Fact]:
    """Where values stopped being finite, and what preceded."""
    losses = [s for s in series if s.kind == "loss"]
    bad = [s for s in losses if s.first_bad is not None]
    if not bad:
        return _averages_facts(losses)
    main = next((s for s in bad if "total" in s.name or s.name.endswith("loss")), bad[0])
    first = main.first_bad or 0
    point = main.points[first]
    facts = [fact("nan.loss", point, f"`{main.name}` is not finite")]
    facts += _approach_facts(main, losses, first, series) + _terms_facts(main, losses, point)
    epochs = [p for s in series if s.kind == "step" and "epoch" in s.name for p in s.points]
    reached = [p.value for p in epochs if p.line.number <= point.line.number]
    if reached and first > 0 and reached[-1] >= 3:
        facts.append(fact("nan.late-epoch", point, "all samples had been seen before"))
    recovered = [p for p in main.points[first:] if math.isfinite(p.value)]
    if len(recovered) >= 2:
        facts.append(fact("nan.recovers", recovered[0], "later values are finite again"))
    return facts


def rate_facts(series: Sequence[Series]) -> list[Fact]:
    """What the learning rate was, and whether it was still rising."""
    facts: list[Fact] = []
    rates = [s for s in series if s.kind == "lr" and s.finite]
    for s in rates[:3]:
        values = s.finite
        peak = max(values)
        point = max((p for p in s.points if math.isfinite(p.value)), key=lambda p: p.value)
        if peak >= 0.05:
            facts.append(fact("lr.huge", point, f"the learning rate is {peak:g}"))
        elif peak >= 0.005:
            facts.append(fact("lr.high", point, f"the learning rate is {peak:g}"))
        elif peak >= 0.0009:
            facts.append(fact("lr.middling", point))
        elif 0 < peak <= 2e-4:
            facts.append(fact("lr.low", point, f"the learning rate is only {peak:g}"))
        if len(values) >= 2 and values[-1] > values[0] * 1.0005:
            facts.append(fact("lr.rising", s.points[-1], "the learning rate was still rising"))
        if peak == 0:
            facts.append(fact("lr.zero", point, "the learning rate is 0"))
        elif 0 < peak < 1e-7:
            facts.append(fact("lr.vanishing", point, f"the learning rate is only {peak:g}"))
    return facts


def norm_facts(series: Sequence[Series]) -> list[Fact]:
    """How gradient norms and the loss scale went."""
    facts: list[Fact] = []
    loss = main_loss(series)
    for s in (s for s in series if s.kind == "norm"):
        finite = s.finite
        if s.first_bad is not None:
            facts.append(fact("norm.bad", s.points[s.first_bad], "the gradient norm is not finite"))
            if len(finite) == len(s.points) - 1 >= 5 and s.first_bad < len(s.points) - 1:
                facts.append(fact("norm.once", s.points[s.first_bad], "a single step among many"))
            if loss and loss.first_bad is None and len(finite) >= 1:
                facts.append(fact("norm.bad-but-recovers", s.points[s.first_bad], "the loss stays finite"))
        elif any(p.average is not None and not math.isfinite(p.average) for p in s.points):
            facts.append(
                fact("norm.mean-poisoned", s.points[0], "only the running mean is not finite, the current norm is")
            )
        if finite and max(finite) > 1e3:
            point = next(p for p in s.points if p.value == max(finite))
            facts.append(fact("norm.exploding", point, f"the gradient norm reaches {max(finite):.3g}"))
        elif len(finite) >= 3 and finite[-1] > 20 * max(median(finite[:-1]), 1e-3):
            facts.append(fact("norm.exploding", s.points[-1], f"the gradient norm grows to {finite[-1]:.3g}"))
    return facts + _scale_facts(series)


def _scale_facts(series: Sequence[Series]) -> list[Fact]:
    facts: list[Fact] = []
    scales = [s for s in series if s.kind == "scale" and s.finite and not _numbers_scalers(s)]
    for s in scales:
        values = s.finite
        halvings = sum(b <= a / 1.9 for a, b in itertools.pairwise(values))
        if min(values) <= 1.0 and (halvings >= 1 or min(values) < 1.0):
            point = next(p for p in s.points if p.value == min(values))
            facts.append(fact("scale.collapsed", point, f"the loss scale fell to {min(values):g}"))
        elif halvings >= 3 and values[-1] < values[0] / 7:
            facts.append(fact("scale.falling", s.points[-1], "the loss scale keeps falling"))
    return facts


def _numbers_scalers(s: Series) -> bool:
    """Whether the number is that of the scaler: `loss scaler 0 reducing loss scale to 32768.0`."""
    return all("loss scaler " in p.line.text for p in s.points) and set(s.finite) == {0.0}


def cost_facts(series: Sequence[Series]) -> list[Fact]:
    """What steps wait for, and whether memory grows."""
    facts: list[Fact] = []
    data = [s for s in series if s.kind == "data_time" and s.finite]
    times = [s for s in series if s.kind == "time" and s.finite and s.split != "valid"]
    for waits in data[:2]:
        for steps in times[:2]:
            n = min(len(waits.points), len(steps.points))
            pairs = [(waits.points[i], steps.points[i]) for i in range(n)]
            shares = [_share(w, t) for w, t in pairs if _share(w, t) is not None]
            later = [x for x in shares[1:] if x is not None] or [x for x in shares if x is not None and n == 1]
            if len(pairs) == 1 and re.search(r"\[ *0/", pairs[0][0].line.text):
                later = []  # the first step of an epoch always waits for its workers to start
            if later and median(later) > 0.4:
                facts.append(fact("time.data-bound", pairs[-1][0], f"{median(later):.0%} of a step waits for data"))
            elif later and median(later) < 0.15:
                facts.append(fact("time.data-fast", pairs[-1][0]))
    for s in (s for s in series if s.kind == "memory"):
        values = s.finite
        rises = sum(b > a for a, b in itertools.pairwise(values))
        if len(values) >= 5 and rises >= 0.6 * (len(values) - 1) and values[-1] > 1.2 * values[0] > 0:
            facts.append(fact("memory.grows", s.points[-1], f"memory grows from {values[0]:g} to {values[-1]:g}"))
    return facts


def _share(wait: Point, step: Point) -> float | None:
    if wait.average is not None and step.average:
        return wait.average / step.average if step.average > 0 else None
    return wait.value / step.value if step.value > 0 and math.isfinite(wait.value) else None


def trend_facts(lines: Sequence[Line]) -> tuple[list[Fact], list[Series]]:
    """Everything that the series among `lines` show, and the series themselves."""
    series = read_series(lines)
    facts = nan_facts(series) + rate_facts(series) + norm_facts(series) + cost_facts(series)
    facts += learning_facts(series) + gap_facts(series) + adversarial_facts(series) + repeat_facts(series)
    facts += progress_facts(series) + resume_facts(series, lines)
    return facts, series
