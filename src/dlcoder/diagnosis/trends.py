"""What the series show: where a run stopped being finite, what came before, whether it learns, what it waits for."""

import itertools
import math
import re
import statistics
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.series import Point, Series, read_series

_NAN_WORD = re.compile(r"\bnan\b", re.I)


def _fact(name: str, point: Point | None, note: str = "", **values: str) -> Fact:
    return Fact(name, point.line if point else None, note=note, values=values)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def _main_loss(series: Sequence[Series], split: str | None = None) -> Series | None:
    """The series that is most likely the total training loss."""
    losses = [s for s in series if s.kind == "loss" and (split is None or s.split == split)]
    if split is None:
        losses = [s for s in losses if s.split != "valid"] or losses
    named = [s for s in losses if s.name in ("loss", "total_loss", "train_loss", "train loss", "total loss", "lm loss")]
    pool = named or losses
    return max(pool, key=lambda s: len(s.points)) if pool else None


def _spike(before: Sequence[float]) -> bool:
    """Whether the last finite values ran away from those before."""
    if len(before) < 2:
        return False
    reference = _median(before[:-1][-10:])
    tail = before[-1]
    if len(before) >= 3:
        tail = max(before[-2:])
        reference = _median(before[:-2][-10:])
    return (reference > 0 and tail > 1.8 * reference) or (reference <= 0 and tail > abs(reference) * 4 + 1)


def nan_facts(series: Sequence[Series]) -> list[Fact]:
    """Where values stopped being finite, and what preceded."""
    facts: list[Fact] = []
    losses = [s for s in series if s.kind == "loss"]
    bad = [s for s in losses if s.first_bad is not None]
    if not bad:
        averages = [s for s in losses if any(p.average is not None and not math.isfinite(p.average) for p in s.points)]
        if averages:
            point = next(p for p in averages[0].points if p.average is not None and not math.isfinite(p.average))
            facts.append(_fact("nan.loss", point, "the running mean of the loss is not finite"))
            before = [p.value for p in averages[0].points if p.average is None or math.isfinite(p.average)]
            if before and point.value > 1.8 * _median(before):
                facts.append(_fact("nan.after-spike", point, "the loss jumped just before"))
        return facts
    main = next((s for s in bad if "total" in s.name or s.name.endswith("loss")), bad[0])
    first = main.first_bad or 0
    point = main.points[first]
    facts.append(_fact("nan.loss", point, f"`{main.name}` is not finite"))
    before = [p.value for p in main.points[:first]]
    if not before:
        facts.append(_fact("nan.from-start", point, "it is not finite from the first printed value on"))
    else:
        spikes = [s for s in bad if s.first_bad and _spike([p.value for p in s.points[: s.first_bad]])]
        spikes += [
            s for s in losses if s.first_bad is None and s.points[0].line is not point.line and _spike(s.finite)
        ][:1]
        if _spike(before) or spikes:
            facts.append(_fact("nan.after-spike", main.points[first - 1], "the loss ran away before"))
        elif len(before) >= 2:
            facts.append(_fact("nan.sudden", main.points[first - 1], "the loss was smooth until then"))
    same = [
        s
        for s in losses
        if s is not main and s.split == main.split and any(p.line.number == point.line.number for p in s.points)
    ]
    nearby = [
        s
        for s in losses
        if s is not main and s.split == main.split and s.points and "total" not in s.name and s.name != "loss"
    ]
    parts = same or nearby
    part_bad = [s for s in parts if s.first_bad is not None]
    if parts and len(part_bad) < len(parts) and (part_bad or len(parts) >= 2):
        names = ", ".join(s.name for s in part_bad[:3]) or main.name
        facts.append(_fact("nan.one-term", point, f"only {names} is not finite, other terms are"))
    elif len(part_bad) >= 2:
        facts.append(_fact("nan.all-terms", point, "all loss terms are not finite"))
    epochs = [
        p.value
        for s in series
        if s.kind == "step" and "epoch" in s.name
        for p in s.points
        if p.line.number <= point.line.number
    ]
    if epochs and before and epochs[-1] >= 3:
        facts.append(_fact("nan.late-epoch", point, "all samples had been seen before"))
    recovered = [p for p in main.points[first:] if math.isfinite(p.value)]
    if recovered and len(recovered) >= 2:
        facts.append(_fact("nan.recovers", recovered[0], "later values are finite again"))
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
            facts.append(_fact("lr.huge", point, f"the learning rate is {peak:g}"))
        elif peak >= 0.005:
            facts.append(_fact("lr.high", point, f"the learning rate is {peak:g}"))
        elif peak >= 0.0009:
            facts.append(_fact("lr.middling", point))
        elif 0 < peak <= 2e-4:
            facts.append(_fact("lr.low", point, f"the learning rate is only {peak:g}"))
        if len(values) >= 2 and values[-1] > values[0] * 1.0005:
            facts.append(_fact("lr.rising", s.points[-1], "the learning rate was still rising"))
        if peak == 0:
            facts.append(_fact("lr.zero", point, "the learning rate is 0"))
        elif 0 < peak < 1e-7:
            facts.append(_fact("lr.vanishing", point, f"the learning rate is only {peak:g}"))
    return facts


def norm_facts(series: Sequence[Series]) -> list[Fact]:
    """How gradient norms and the loss scale went."""
    facts: list[Fact] = []
    loss = _main_loss(series)
    for s in (s for s in series if s.kind == "norm"):
        finite = s.finite
        if s.first_bad is not None:
            facts.append(_fact("norm.bad", s.points[s.first_bad], "the gradient norm is not finite"))
            if loss and loss.first_bad is None and len(finite) >= 1:
                facts.append(_fact("norm.bad-but-recovers", s.points[s.first_bad], "the loss stays finite"))
        elif any(p.average is not None and not math.isfinite(p.average) for p in s.points):
            facts.append(
                _fact("norm.mean-poisoned", s.points[0], "only the running mean is not finite, the current norm is")
            )
        if finite and max(finite) > 1e3:
            point = next(p for p in s.points if p.value == max(finite))
            facts.append(_fact("norm.exploding", point, f"the gradient norm reaches {max(finite):.3g}"))
        elif len(finite) >= 3 and finite[-1] > 20 * max(_median(finite[:-1]), 1e-3):
            facts.append(_fact("norm.exploding", s.points[-1], f"the gradient norm grows to {finite[-1]:.3g}"))
    for s in (s for s in series if s.kind == "scale" and len(s.finite) >= 1):
        values = s.finite
        halvings = sum(b <= a / 1.9 for a, b in itertools.pairwise(values))
        if min(values) <= 1.0 and (halvings >= 1 or min(values) < 1.0):
            point = next(p for p in s.points if p.value == min(values))
            facts.append(_fact("scale.collapsed", point, f"the loss scale fell to {min(values):g}"))
        elif halvings >= 3 and values[-1] < values[0] / 7:
            facts.append(_fact("scale.falling", s.points[-1], "the loss scale keeps falling"))
    return facts


def _per_epoch(series: Series) -> list[float]:
    return series.finite


def _falls(values: Sequence[float], share: float = 0.1) -> bool:
    if len(values) < 3:
        return len(values) == 2 and values[1] < values[0] * (1 - share)
    third = max(len(values) // 3, 1)
    return _median(values[-third:]) < _median(values[:third]) - share * abs(_median(values[:third]))


def _rises(values: Sequence[float], share: float = 0.1) -> bool:
    return (
        _falls([-v for v in values], share)
        if len(values) >= 3
        else len(values) == 2 and values[1] > values[0] * (1 + share)
    )


def _jumps(values: Sequence[float]) -> bool:
    """Whether the values left their level for one several times as high, and stayed there."""
    third = max(len(values) // 3, 2)
    return len(values) >= 5 and 0 < 5 * _median(values[:third]) < min(values[-2:])


def _early(series: Sequence[Series]) -> bool:
    """Whether the log shows the beginning of training, where a loss has to move."""
    steps = [s for s in series if s.kind == "step" and s.finite]
    epochs = [s for s in steps if "epoch" in s.name]
    first = min((s.finite[0] for s in epochs or steps), default=math.inf)
    return first <= (3 if epochs else 300)


_LOG_K = {
    math.log(k): k for k in (2, 3, 4, 5, 6, 7, 8, 10, 20, 21, 64, 80, 100, 128, 200, 256, 512, 1000, 1024, 4096, 65536)
}


def learning_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether the loss falls, stays flat, diverges, sits at ln K, and how validation compares."""
    facts: list[Fact] = []
    main = _main_loss(series)
    trained = _main_loss(series, "train") or main
    if main and len(main.finite) >= 3 and main.first_bad is None:
        values = main.finite
        level = _median(values)
        spread = (max(values) - min(values)) / max(abs(level), 1e-12)
        if _falls(values, 0.02):
            facts.append(_fact("loss.falls", main.points[-1], "the loss falls"))
        rest = values[1:] if len(values) >= 4 else values
        if (max(rest) - min(rest)) / max(abs(level), 1e-12) < 0.03 and len(rest) >= 3:
            facts.append(_fact("loss.flat", main.points[-1], f"the loss stays at {level:.4g}"))
            if _early(series):
                facts.append(_fact("loss.flat-early", main.points[0], "from the beginning"))
        if (
            max(values) > 50 * max(abs(_median(values[: max(3, len(values) // 4)])), 1e-3)
            or values[-1] > 1e6
            or _jumps(values)
        ):
            facts.append(_fact("loss.diverges", max(main.points, key=lambda p: p.value), "the loss diverges"))
        elif _rises(values, 0.25):
            facts.append(_fact("loss.rises", main.points[-1], "the loss rises"))
        if len(values) >= 3 and all(v == values[0] for v in values):
            facts.append(_fact("loss.constant", main.points[-1], "the loss does not change in any digit"))
        near = next(
            (k for log_k, k in _LOG_K.items() if spread < 0.05 and abs(level - log_k) < 0.006 * max(1.0, log_k)), None
        )
        if near and level > 0.5:
            facts.append(_fact("loss.at-log-k", main.points[-1], f"{level:.4f} is ln {near}: a uniform guess"))
        if len(values) >= 3 and min(values) >= -1.0001 and values[-1] < -0.99 and abs(values[-1] - values[-2]) < 1e-3:
            facts.append(_fact("loss.at-minus-one", main.points[-1], "a cosine loss of -1: all outputs are alike"))
        if len(values) >= 3 and all(abs(v) < 1e-9 for v in values[-3:]):
            facts.append(_fact("loss.zero", main.points[-1], "the loss is exactly 0"))
        if any(v < -1e6 for v in values):
            facts.append(_fact("loss.absurd", main.points[0], "the loss is absurdly negative"))
    for s in series:
        if s.kind == "loss" and any(abs(v) > 1e12 for v in s.finite):
            point = next(p for p in s.points if abs(p.value) > 1e12)
            facts.append(_fact("loss.absurd", point, f"`{s.name}` is {point.value:.3g}"))
            break
    facts += _gap_facts(series, trained)
    return facts


def adversarial_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether one of two opposed losses has vanished."""
    critic = next(
        (
            s
            for s in series
            if s.kind == "loss" and re.search(r"(?:^|[_ /])d(?:isc\w*)?(?:[_ /]|$)|discriminator|critic", s.name)
        ),
        None,
    )
    maker = next(
        (s for s in series if s.kind == "loss" and re.search(r"(?:^|[_ /])g(?:en\w*)?(?:[_ /]|$)|generator", s.name)),
        None,
    )
    if (
        critic
        and maker
        and len(critic.finite) >= 2
        and maker.finite
        and max(abs(v) for v in critic.finite[-3:]) < 0.02
        and maker.finite[-1] > 3
    ):
        note = f"the discriminator's loss is {critic.finite[-1]:g}, the generator's {maker.finite[-1]:g}"
        return [_fact("loss.critic-wins", critic.points[-1], note)]
    return []


def _gap_facts(series: Sequence[Series], trained: Series | None) -> list[Fact]:
    facts: list[Fact] = []
    valid = _main_loss(series, "valid")
    if valid and trained and valid is not trained and trained.finite and valid.finite and trained.split != "valid":
        t, v = trained.finite, valid.finite
        if len(v) >= 3 and _falls(t, 0.1) and (_rises(v, 0.05) or v[-1] > 1.15 * min(v)):
            facts.append(_fact("gap.widens", valid.points[-1], "training loss falls while validation loss rises"))
        elif (v[-1] > 3 * max(t[-1], 1e-6) and t[-1] < 0.5 * max(t[0], t[-1] * 1.01) and len(v) >= 3) or (
            v[-1] > 4 * max(t[-1], 1e-6) and v[-1] > 0.5
        ):
            facts.append(
                _fact("gap.large", valid.points[-1], f"validation loss {v[-1]:.3g} against training loss {t[-1]:.3g}")
            )
    accuracies = [s for s in series if s.kind == "accuracy" and s.finite]
    train_acc = next((s for s in accuracies if s.split == "train"), None) or next(
        (s for s in accuracies if not s.split), None
    )
    valid_acc = next((s for s in accuracies if s.split == "valid" and len(s.finite) >= 1), None)
    if train_acc and valid_acc:
        top = 100.0 if max(train_acc.finite + valid_acc.finite) > 1.5 else 1.0
        t_last, v_last = train_acc.finite[-1] / top, valid_acc.finite[-1] / top
        if t_last > 0.6 and v_last < 0.35 * t_last:
            facts.append(
                _fact("gap.chance", valid_acc.points[-1], f"training accuracy {t_last:.0%}, validation {v_last:.0%}")
            )
        elif t_last - v_last > 0.12:
            facts.append(
                _fact("gap.accuracy", valid_acc.points[-1], f"training accuracy {t_last:.0%}, validation {v_last:.0%}")
            )
    for s in accuracies:
        values = s.finite
        if len(values) >= 3 and all(v == values[0] for v in values):
            facts.append(_fact("accuracy.constant", s.points[-1], f"`{s.name}` is {values[0]:g} every time"))
            if values[0] == 0:
                facts.append(_fact("accuracy.zero", s.points[-1], f"`{s.name}` is 0 every time"))
        elif len(values) == 2 and values[0] == values[1] and values[0] not in (0, 1, 100):
            facts.append(_fact("accuracy.same-twice", s.points[-1], f"`{s.name}` is {values[0]:g} both times"))
        elif len(values) >= 2 and all(v == 0 for v in values):
            facts.append(_fact("accuracy.zero", s.points[-1], f"`{s.name}` is 0 every time"))
    return facts


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
            if later and _median(later) > 0.4:
                facts.append(_fact("time.data-bound", pairs[-1][0], f"{_median(later):.0%} of a step waits for data"))
            elif later and _median(later) < 0.15:
                facts.append(_fact("time.data-fast", pairs[-1][0]))
    for s in (s for s in series if s.kind == "memory"):
        values = s.finite
        rises = sum(b > a for a, b in itertools.pairwise(values))
        if len(values) >= 5 and rises >= 0.6 * (len(values) - 1) and values[-1] > 1.2 * values[0] > 0:
            facts.append(_fact("memory.grows", s.points[-1], f"memory grows from {values[0]:g} to {values[-1]:g}"))
    return facts


def _share(wait: Point, step: Point) -> float | None:
    if wait.average is not None and step.average:
        return wait.average / step.average if step.average > 0 else None
    return wait.value / step.value if step.value > 0 and math.isfinite(wait.value) else None


def repeat_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether two runs in one log begin alike and then drift apart."""
    facts: list[Fact] = []
    steps = next((s for s in series if s.kind == "step" and len(s.points) >= 4), None)
    loss = _main_loss(series)
    if not steps or not loss or len(loss.points) < 4:
        return facts
    values = [p.value for p in steps.points]
    restart = next((i for i in range(1, len(values)) if values[i] == values[0] and values[i] < values[i - 1]), None)
    if restart is None or restart < 2 or len(loss.points) != len(values):
        return facts
    first, second = loss.points[:restart], loss.points[restart : 2 * restart]
    differs = [i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a.value != b.value]
    if differs and all(math.isclose(a.value, b.value, rel_tol=0.2) for a, b in zip(first, second, strict=False)):
        facts.append(_fact("runs.drift", second[differs[0]], "two runs print other losses for the same steps"))
    return facts


_LOADED = re.compile(
    r"load(?:ed|ing) (?:the )?(?:checkpoint|model|weights|state|pretrained)|resum(?:e|ed|ing)\b|restor(?:ed|ing)|from checkpoint",
    re.I,
)


def resume_facts(series: Sequence[Series], lines: Sequence[Line]) -> list[Fact]:
    """Whether the loss jumped back when a checkpoint was loaded."""
    marks = [line.number for line in lines if _LOADED.search(line.text[:300])]
    for s in series:
        if s.kind != "loss" or not marks:
            continue
        for mark in marks:
            before = [p.value for p in s.points if p.line.number < mark and math.isfinite(p.value)]
            after = [p for p in s.points if p.line.number > mark and math.isfinite(p.value)]
            if before and after and before[-1] > 0 and after[0].value > 1.8 * _median(before[-5:]):
                note = f"before {_median(before[-5:]):.3g}, after {after[0].value:.3g}"
                return [_fact("loss.jump-after-load", after[0], note)]
    return []


def progress_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether training went on normally, as far as the numbers tell."""
    main = _main_loss(series)
    valid_only = all(s.split == "valid" for s in series if s.kind == "loss")
    if not main or (valid_only and len(main.finite) < 3):
        accuracy = next((s for s in series if s.kind == "accuracy" and len(s.finite) >= 3), None)
        return [_fact("progress.metrics", accuracy.points[-1])] if accuracy else []
    if len(main.finite) >= 2 and main.first_bad is None:
        return [_fact("progress.losses", main.points[-1], "finite losses are printed step after step")]
    return []


def trend_facts(lines: Sequence[Line]) -> tuple[list[Fact], list[Series]]:
    """Everything that the series among `lines` show, and the series themselves."""
    series = read_series(lines)
    facts = nan_facts(series) + rate_facts(series) + norm_facts(series) + learning_facts(series)
    facts += cost_facts(series) + repeat_facts(series) + adversarial_facts(series) + progress_facts(series)
    facts += resume_facts(series, lines)
    return facts, series
