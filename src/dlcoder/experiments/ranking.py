"""How much of an order of arms is luck, and what the best of several runs is worth."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_RESAMPLES = 2000


@dataclass(frozen=True)
class Rank:
    """Where an arm stands when the seeds are drawn anew.

    Attributes:
        observed: Its rank by the mean, from 1.
        first: How often it is the first.
        low: The best rank of the middle 95 %.
        high: The worst.
    """

    observed: int
    first: float
    low: int
    high: int


def best_of(values: Sequence[float], k: int, *, lower_is_better: bool = False) -> float:
    """The expected best of `k` runs drawn with replacement (Dodge et al. 2019), exact.

    What a paper reports that shows its best of `k` seeds: it grows with `k` though nothing got better.
    """
    ordered = sorted(values, reverse=lower_is_better)
    n = len(ordered)
    return sum(value * (((i + 1) / n) ** k - (i / n) ** k) for i, value in enumerate(ordered))


def rank_stability(
    arms: Mapping[str, Mapping[object, float]], *, lower_is_better: bool = False, seed: int = 0
) -> dict[str, Rank]:
    """How stable the order of the arms is under resampling of the seeds (bootstrap).

    Args:
        arms: The results of each arm by seed. Where all arms share their seeds these are resampled together.
        lower_is_better: The direction of the metric.
        seed: Of the resampling.
    """
    names = list(arms)
    keys = [list(results) for results in arms.values()]
    paired = all(set(other) == set(keys[0]) for other in keys)
    draw = random.Random(seed)
    rows: list[list[int]] = []
    for _ in range(_RESAMPLES):
        same = draw.choices(keys[0], k=len(keys[0])) if paired else []
        sampled = [
            sum(results[key] for key in (same or draw.choices(own, k=len(own)))) / len(own)
            for own, results in zip(keys, arms.values(), strict=True)
        ]
        rows.append(_ranks(sampled, lower_is_better))
    observed = _ranks([sum(results.values()) / len(results) for results in arms.values()], lower_is_better)
    return {name: _rank(observed[index], sorted(row[index] for row in rows)) for index, name in enumerate(names)}


def _ranks(values: Sequence[float], lower_is_better: bool) -> list[int]:
    order = sorted(range(len(values)), key=lambda index: values[index], reverse=not lower_is_better)
    ranks = [0] * len(values)
    for rank, index in enumerate(order, 1):
        ranks[index] = rank
    return ranks


def _rank(observed: int, ordered: list[int]) -> Rank:
    tail = round(0.025 * len(ordered))
    return Rank(observed, ordered.count(1) / len(ordered), ordered[tail], ordered[-1 - tail])
