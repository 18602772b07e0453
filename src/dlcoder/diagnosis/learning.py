"""Whether a run learns: flat, diverging and constant losses, collapse, and how validation compares."""

import itertools
import math
import re
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.levels import fact, falls, main_loss, median, rises
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.series import Series


def _jumps(values: Sequence[float]) -> bool:
    """Whether the values left their level for one several times as high, and stayed there."""
    third = max(len(values) // 3, 2)
    return len(values) >= 5 and 0 < 5 * median(values[:third]) < min(values[-2:])


def _early(series: Sequence[Series]) -> bool:
    """Whether the log shows the beginning of training, where a loss has to move."""
    steps = [s for s in series if s.kind == "step" and s.finite]
    steps = [s for s in steps if "epoch" in s.name or any(s.finite)]  # a count of skipped steps stays 0
    epochs = [s for s in steps if "epoch" in s.name]
    first = min((s.finite[0] for s in epochs or steps), default=math.inf)
    return first <= (3 if epochs else 300)


_LOG_K = {
    math.log(k): k for k in (2, 3, 4, 5, 6, 7, 8, 10, 20, 21, 64, 80, 100, 128, 200, 256, 512, 1000, 1024, 4096, 65536)
}


def _settled(values: Sequence[float]) -> Sequence[float]:
    """The values without the first few, where all others are the uniform guess and no better than the first."""
    tail = values[len(values) // 2 :]
    if len(tail) < 5 or max(tail) - min(tail) > 0.002 or not _guess(median(tail)):
        return values
    start = next(i for i, v in enumerate(values) if abs(v - tail[0]) <= 0.002)
    return values[start:] if start <= len(values) // 4 and median(values[: start + 1]) < 2 * tail[0] else values


def _guess(level: float) -> int:
    """The number of classes among which a loss of this level guesses, or 0."""
    return next((k for log_k, k in _LOG_K.items() if abs(level - log_k) < 0.006 * max(1.0, log_k)), 0)


def _level_facts(main: Series, series: Sequence[Series]) -> list[Fact]:
    """Whether the loss moves at all."""
    values, last = _settled(main.finite), main.points[-1]
    level = median(values)
    facts = []
    if falls(values, 0.02):
        facts.append(fact("loss.falls", last, "the loss falls"))
    rest = values[1:] if len(values) >= 4 else values
    if (max(rest) - min(rest)) / max(abs(level), 1e-12) < 0.03 and len(rest) >= 3:
        facts.append(fact("loss.flat", last, f"the loss stays at {level:.4g}"))
        if _early(series):
            facts.append(fact("loss.flat-early", main.points[0], "from the beginning"))
    if all(v == values[0] for v in values):
        facts.append(fact("loss.constant", last, "the loss does not change in any digit"))
    if all(abs(v) < 1e-9 for v in values[-3:]):
        facts.append(fact("loss.zero", last, "the loss is exactly 0"))
    return facts


def _blocks(values: Sequence[float], most: int = 8) -> list[float]:
    """The values in order, as the medians of at most `most` stretches."""
    size = max(math.ceil(len(values) / most), 1)
    return [median(values[i : i + size]) for i in range(0, len(values), size)]


def _turns(values: Sequence[float]) -> bool:
    """Whether the values fell and have been rising ever since, to nearly twice their lowest."""
    blocks = _blocks(values)
    lowest = blocks.index(min(blocks))
    after = blocks[lowest:]
    if len(blocks) < 5 or lowest == 0 or len(after) < 4 or not 0 < 1.3 * after[0] < blocks[0]:
        return False
    return after[-1] > 1.8 * after[0] and all(b > 0.97 * a for a, b in itertools.pairwise(after))


def _sinks(values: Sequence[float]) -> bool:
    """Whether the values run away below zero, ever faster."""
    blocks = _blocks(values, most=6)
    pairs = list(itertools.pairwise(blocks))[-3:]
    return len(pairs) == 3 and blocks[-1] < -50 and all(b < 1.5 * a < 0 for a, b in pairs)


def _climbs(values: Sequence[float]) -> bool:
    """Whether the highest value towers over a value before it; a loss that starts high and falls has its peak first."""
    peak = max(values)
    before = values[: values.index(peak)]
    return bool(before) and peak > 5 * max(min(before), 1e-3)


def _runaway_facts(main: Series) -> list[Fact]:
    """Whether the loss leaves its level for good."""
    values = main.finite
    start = max(abs(median(values[: max(3, len(values) // 4)])), 1e-3)
    if (max(values) > 50 * start and _climbs(values)) or values[-1] > 1e6 or _jumps(values):
        return [fact("loss.diverges", max(main.points, key=lambda p: p.value), "the loss diverges")]
    if any(v < -1e6 for v in values):
        return [fact("loss.absurd", main.points[0], "the loss is absurdly negative")]
    if median(values) < -100 and max(values) < 0 and not _sinks(values):
        return [fact("loss.negative", main.points[-1], f"the loss is {median(values):.4g}")]
    if _sinks(values):
        return [fact("loss.sinks", main.points[-1], "the loss runs away below zero")]
    if _turns(values):
        return [fact("loss.turns", min(main.points, key=lambda p: p.value), "from here on the loss rises")]
    return [fact("loss.rises", main.points[-1], "the loss rises")] if rises(values, 0.25) else []


def _guess_facts(main: Series) -> list[Fact]:
    """Whether the loss sits where a model that knows nothing sits."""
    values, last = _settled(main.finite), main.points[-1]
    level = median(values)
    facts = []
    narrow = (max(values) - min(values)) < 0.05 * abs(level) and level > 0.5
    if narrow and (classes := _guess(level)):
        facts.append(fact("loss.at-log-k", last, f"{level:.4f} is ln {classes}: a uniform guess"))
    if min(values) >= -1.0001 and values[-1] < -0.99 and abs(values[-1] - values[-2]) < 1e-3:
        facts.append(fact("loss.at-minus-one", last, "a cosine loss of -1: all outputs are alike"))
    return facts


def learning_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether the loss falls, stays flat, diverges, or sits where a guess sits."""
    facts: list[Fact] = []
    main = main_loss(series)
    if main and any(-1.2 < value < 0 for value in main.finite) and min(main.finite) > -1.2:
        facts.append(fact("loss.negative-small", main.points[-1], "a loss just below zero, as a Dice loss is"))
    if main and main.finite and 0 < abs(main.finite[-1]) < 1e-3:
        facts.append(fact("loss.tiny", main.points[-1], f"the loss is {main.finite[-1]:.2g}"))
    if main and len(main.finite) >= 3 and main.first_bad is None:
        facts += _level_facts(main, series) + _runaway_facts(main) + _guess_facts(main)
    for s in series:
        absurd = next((p for p in s.points if s.kind == "loss" and 1e12 < abs(p.value) < math.inf), None)
        if absurd:
            facts.append(fact("loss.absurd", absurd, f"`{s.name}` is {absurd.value:.3g}"))
            break
    return facts


_CRITIC = re.compile(r"(?:^|[_ /])d(?:isc\w*)?(?:[_ /]|$)|discriminator|critic")
_MAKER = re.compile(r"(?:^|[_ /])g(?:en\w*)?(?:[_ /]|$)|generator")


def adversarial_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether one of two opposed losses has vanished."""
    losses = [s for s in series if s.kind == "loss" and s.finite]
    critic = next((s for s in losses if _CRITIC.search(s.name)), None)
    maker = next((s for s in losses if _MAKER.search(s.name)), None)
    if not critic or not maker or len(critic.finite) < 2:
        return []
    if max(abs(v) for v in critic.finite[-3:]) < 0.02 and maker.finite[-1] > 3:
        note = f"the discriminator's loss is {critic.finite[-1]:g}, the generator's {maker.finite[-1]:g}"
        return [fact("loss.critic-wins", critic.points[-1], note)]
    return []


def _loss_gap(series: Sequence[Series]) -> list[Fact]:
    trained = main_loss(series, "train") or main_loss(series)
    valid = main_loss(series, "valid")
    if not valid or not trained or valid is trained or trained.split == "valid":
        return []
    t, v = trained.finite, valid.finite
    if not t or not v:
        return []
    worse = rises(v, 0.05) or v[-1] > min(v) + 0.15 * abs(min(v))
    if len(v) >= 3 and falls(t, 0.1) and worse and v[-1] > t[-1] + 0.05 * abs(t[-1]) and not _turns(t):
        return [fact("gap.widens", valid.points[-1], "training loss falls while validation loss rises")]
    learned = len(v) >= 3 and t[-1] < 0.5 * max(t[0], t[-1] * 1.01) and v[-1] > 3 * max(t[-1], 1e-6)
    if learned or (v[-1] > 4 * max(t[-1], 1e-6) and v[-1] > 0.5):
        facts = [fact("gap.large", valid.points[-1], f"validation loss {v[-1]:.3g}, training loss {t[-1]:.3g}")]
        return [*facts, fact("gap.huge", valid.points[-1])] if v[-1] > 10 * max(t[-1], 1e-6) else facts
    return []


def _metric_gap(series: Sequence[Series], accuracies: Sequence[Series]) -> list[Fact]:
    """Whether a metric passed its best early and fell ever since, while the training loss went on falling."""
    trained = main_loss(series, "train") or main_loss(series)
    metric = next((s for s in accuracies if s.split != "train" and len(s.finite) >= 5), None)
    if not trained or not metric or trained.split == "valid" or not falls(trained.finite, 0.2):
        return []
    values = metric.finite
    best = max(range(len(values)), key=values.__getitem__)
    after = values[best:]
    steady = list(after) == sorted(after, reverse=True)
    if best < len(values) / 2 and len(after) >= 4 and steady and after[-1] < 0.97 * after[0]:
        note = f"`{metric.name}` was {after[0]:.3g} at its best and is {after[-1]:.3g} now, while the loss falls"
        return [fact("gap.metric-falls", metric.points[-1], note)]
    return []


def _accuracy_gap(accuracies: Sequence[Series]) -> list[Fact]:
    train = next((s for s in accuracies if s.split == "train"), None)
    train = train or next((s for s in accuracies if not s.split), None)
    valid = next((s for s in accuracies if s.split == "valid"), None)
    if not train or not valid:
        return []
    top = 100.0 if max(train.finite + valid.finite) > 1.5 else 1.0
    t, v = train.finite[-1] / top, valid.finite[-1] / top
    note = f"training accuracy {t:.0%}, validation {v:.0%}"
    if t > 0.6 and v < 0.35 * t:
        return [fact("gap.chance", valid.points[-1], note)]
    return [fact("gap.accuracy", valid.points[-1], note)] if t - v > 0.12 else []


def _stuck_facts(s: Series) -> list[Fact]:
    """Whether a metric has the same value every time."""
    values, last = s.finite, s.points[-1]
    if len(values) < 2 or any(v != values[0] for v in values):
        return []
    if re.search(r"[@_ -]?5$", s.name) and values[0] in (1, 100):
        return []  # the first five of a few classes are always right
    if values[0] == 0:
        facts = [fact("accuracy.zero", last, f"`{s.name}` is 0 every time")]
        return [*facts, fact("accuracy.constant", last)] if len(values) >= 3 else facts
    if len(values) >= 3:
        return [fact("accuracy.constant", last, f"`{s.name}` is {values[0]:g} every time")]
    return (
        [] if values[0] in (1, 100) else [fact("accuracy.same-twice", last, f"`{s.name}` is {values[0]:g} both times")]
    )


def gap_facts(series: Sequence[Series]) -> list[Fact]:
    """How validation compares with training, and which metrics do not move."""
    accuracies = [s for s in series if s.kind == "accuracy" and s.finite]
    gaps = _loss_gap(series) or _metric_gap(series, accuracies)
    return gaps + _accuracy_gap(accuracies) + [f for s in accuracies for f in _stuck_facts(s)]


_LOADED = re.compile(
    r"load(?:ed|ing) (?:the )?(?:checkpoint|model|weights|state|pretrained)|resum(?:e|ed|ing)\b|restor(?:ed|ing)"
    r"|from checkpoint",
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
            if before and after and before[-1] > 0 and after[0].value > 1.8 * median(before[-5:]):
                note = f"before {median(before[-5:]):.3g}, after {after[0].value:.3g}"
                return [fact("loss.jump-after-load", after[0], note)]
    return []


def repeat_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether two runs in one log begin alike and then drift apart."""
    facts: list[Fact] = []
    steps = next((s for s in series if s.kind == "step" and len(s.points) >= 4), None)
    loss = main_loss(series)
    if not steps or not loss or len(loss.points) < 4:
        return facts
    values = [p.value for p in steps.points]
    restart = next((i for i in range(1, len(values)) if values[i] == values[0] and values[i] < values[i - 1]), None)
    if restart is None or restart < 2 or len(loss.points) != len(values):
        return facts
    first, second = loss.points[:restart], loss.points[restart : 2 * restart]
    differs = [i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a.value != b.value]
    if differs and all(math.isclose(a.value, b.value, rel_tol=0.2) for a, b in zip(first, second, strict=False)):
        facts.append(fact("runs.drift", second[differs[0]], "two runs print other losses for the same steps"))
    return facts


def progress_facts(series: Sequence[Series]) -> list[Fact]:
    """Whether training went on normally, as far as the numbers tell."""
    main = main_loss(series)
    valid_only = all(s.split == "valid" for s in series if s.kind == "loss")
    if not main or (valid_only and len(main.finite) < 3):
        accuracy = next((s for s in series if s.kind == "accuracy" and len(s.finite) >= 3), None)
        return [fact("progress.metrics", accuracy.points[-1])] if accuracy else []
    if len(main.finite) >= 2 and main.first_bad is None:
        return [fact("progress.losses", main.points[-1], "finite losses are printed step after step")]
    return []
