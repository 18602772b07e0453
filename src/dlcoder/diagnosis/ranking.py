"""From facts to ranked causes: log-odds that add up, rules on top, and calibrated probabilities.

The evidence of one cause is the sum of its weights with diminishing returns (the second strongest fact counts half, the
third a quarter, ...), since messages about one failure repeat each other; rules add in full. A soft maximum over all
causes
and "something else" turns scores into shares, and a map fitted on held-out cases turns shares into probabilities.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlcoder.diagnosis.facts import Fact, Facts
from dlcoder.knowledge.signatures import Rule, Signatures


@dataclass
class Scored:
    """A cause with what spoke for and against it.

    Attributes:
        cause: Its id.
        score: Log-odds, up to a constant.
        probability: Calibrated.
        support: (weight, fact) of the facts that speak for or against it by themselves.
        rules: (weight, rule) of the rules that fired.
    """

    cause: str
    score: float
    probability: float = 0.0
    support: list[tuple[float, Fact]] = field(default_factory=list)
    rules: list[tuple[float, Rule]] = field(default_factory=list)


def fired(rule: Rule, names: set[str]) -> bool:
    """Whether the facts `names` satisfy `rule`."""
    return (
        all(name in names for name in rule.all)
        and (not rule.any or any(name in names for name in rule.any))
        and not any(name in names for name in rule.none)
    )


def _evidence(weights: list[float]) -> float:
    positive = sorted((w for w in weights if w > 0), reverse=True)
    return sum(w * 0.5**i for i, w in enumerate(positive)) + sum(w for w in weights if w < 0)


def _anything_for(support: dict[str, tuple[float, Fact]], rules: list[tuple[float, Rule]]) -> bool:
    return any(w > 0 for w, _ in support.values()) or any(w > 0 for w, _ in rules)


def _is_code(fact: Fact) -> bool:
    """Whether the line is source code within a traceback; the message itself says more."""
    return fact.line is not None and fact.line.text.lstrip().startswith(("raise ", "return ", "warnings.warn("))


def score(facts: Facts, signatures: Signatures) -> list[Scored]:
    """Score every cause that anything speaks for or against, best first; ties are broken by name."""
    support: dict[str, dict[str, tuple[float, Fact]]] = defaultdict(dict)
    for fact in facts:
        for cause, weight in fact.weights.items():
            known = support[cause].get(fact.id)
            if known is None or abs(weight) > abs(known[0]) or (weight == known[0] and _is_code(known[1])):
                support[cause][fact.id] = (weight, fact)
    names = facts.ids()
    rules: dict[str, list[tuple[float, Rule]]] = defaultdict(list)
    for rule in signatures.rules:
        if fired(rule, names):
            for cause, weight in rule.weights.items():
                rules[cause].append((weight, rule))
    scored = []
    for cause in sorted(set(support) | set(rules)):
        if cause not in signatures.priors or not _anything_for(support[cause], rules[cause]):
            continue
        total = signatures.priors[cause] + _evidence([w for w, _ in support[cause].values()])
        total += sum(w for w, _ in rules[cause])
        ordered = sorted(support[cause].values(), key=lambda pair: -pair[0])
        scored.append(Scored(cause, total, support=ordered, rules=rules[cause]))
    return sorted(scored, key=lambda s: (-s.score, s.cause))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(min(x, 40.0), -40.0)))


_ONE_SYMPTOM = (
    "nan-",
    "not-learning-",
    "perf-",
    "train-eval-gap",
    "overfitting",
    "metric-bug",
    "representation-collapse",
)
"""Causes that share what is seen of them: values that are not finite, a run that does not learn, one that is slow."""


def calibrate(scored: list[Scored], calibration: Mapping[str, float], priors: Mapping[str, float]) -> list[Scored]:
    """Set the probabilities.

    `temperature` and `unknown` (the log-odds of "something else") shape the shares; `slope`, `offset` and `ceiling` map
    the share of the first to its probability, with `kin_offset` where causes look alike; `thin_slope` and `thin_offset`
    bound it where the evidence itself is thin, however far the others are behind. What is left over belongs to causes
    that are not listed.
    """
    if not scored:
        return scored
    heat = calibration["temperature"]
    base = calibration["unknown"] - 5.0
    top = max(scored[0].score, base)
    shares = [math.exp((s.score - top) / heat) for s in scored]
    total = sum(shares) + math.exp((base - top) / heat)
    shares = [share / total for share in shares]
    first = min(max(shares[0], 1e-6), 1 - 1e-6)
    offset = calibration["kin_offset" if scored[0].cause.startswith(_ONE_SYMPTOM) else "offset"]
    mapped = _logistic(calibration["slope"] * math.log(first / (1 - first)) + offset)
    strength = scored[0].score - priors[scored[0].cause]
    thin = _logistic(calibration["thin_slope"] * strength + calibration["thin_offset"])
    mapped = min(mapped, thin, calibration["ceiling"])
    rest = min((1 - mapped) / max(1 - first, 1e-9), 1.0)
    for i, (entry, share) in enumerate(zip(scored, shares, strict=True)):
        entry.probability = mapped if i == 0 else min(share * rest, mapped)
    return scored
