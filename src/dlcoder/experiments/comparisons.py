"""One arm against the control: the difference, its interval, its p-values and its size."""

import itertools
import math
import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dlcoder.experiments.distributions import t_quantile, t_two_sided
from dlcoder.experiments.intervals import Interval, deviation, mean

EXACT_PAIRS = 14
"""Up to so many pairs all 2^n sign patterns are counted; beyond, 20,000 are drawn."""
_DRAWN = 20_000
LEAST_PAIRS = 6
"""Below, a sign-flip test cannot reach p < 0.05: its smallest p is 2 / 2^n."""


@dataclass(frozen=True)
class Comparison:
    """An arm against the control.

    Attributes:
        test: How it was compared; "none" where one side has a single run.
        n: Pairs, or the smaller number of runs.
        difference: Mean of the arm minus mean of the control (over the pairs).
        interval: Of the difference.
        p: Two-sided, not yet corrected.
        effect: The difference in standard deviations between runs (Hedges' g: corrected for small n).
        better: The share of pairs in which the arm's value is higher, ties counted half.
        p_permutation: Of the sign-flip test, which assumes no distribution, where n allows it to reach 0.05.
    """

    test: Literal["paired t", "Welch t", "none"]
    n: int
    difference: float
    interval: Interval | None = None
    p: float | None = None
    effect: float | None = None
    better: float | None = None
    p_permutation: float | None = None


def compare(
    arm: Mapping[object, float], control: Mapping[object, float], confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two arms, paired where they share at least two seeds.

    Args:
        arm: Its results by seed (or by any other name of a run).
        control: Those of the control.
        confidence: Of the interval.
        seed: Of the permutations that are drawn.
    """
    shared = [key for key in arm if key in control]
    if len(shared) >= 2:
        return compare_paired([arm[key] for key in shared], [control[key] for key in shared], confidence, seed)
    return compare_unpaired(list(arm.values()), list(control.values()), confidence)


def compare_paired(
    arm: Sequence[float], control: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """The paired t-test; runs of the same seed stand at the same place of both lists."""
    differences = [a - b for a, b in zip(arm, control, strict=True)]
    n, difference = len(differences), mean(differences)
    error = deviation(differences) / math.sqrt(n)
    half = t_quantile(0.5 + confidence / 2, n - 1) * error
    return Comparison(
        test="paired t",
        n=n,
        difference=difference,
        interval=Interval(difference - half, difference + half),
        p=_p_of(difference, error, n - 1),
        effect=hedges_g(arm, control),
        better=probability_better(arm, control, paired=True),
        p_permutation=sign_flip_p(differences, seed) if n >= LEAST_PAIRS else None,
    )


def compare_unpaired(arm: Sequence[float], control: Sequence[float], confidence: float = 0.95) -> Comparison:
    """Welch's t-test, which lets the two arms have different variances and numbers of runs."""
    n, difference = min(len(arm), len(control)), mean(arm) - mean(control)
    if n < 2:
        return Comparison(test="none", n=n, difference=difference)
    parts = [deviation(values) ** 2 / len(values) for values in (arm, control)]
    error = math.sqrt(sum(parts))
    spread = parts[0] ** 2 / (len(arm) - 1) + parts[1] ** 2 / (len(control) - 1)
    df = sum(parts) ** 2 / spread if spread > 0 else len(arm) + len(control) - 2
    half = t_quantile(0.5 + confidence / 2, df) * error
    return Comparison(
        test="Welch t",
        n=n,
        difference=difference,
        interval=Interval(difference - half, difference + half),
        p=_p_of(difference, error, df),
        effect=hedges_g(arm, control),
        better=probability_better(arm, control, paired=False),
    )


def _p_of(difference: float, error: float, df: float) -> float | None:
    # Without any spread there is no test: equal runs are most often copies of one.
    return t_two_sided(difference / error, df) if error > 1e-12 * abs(difference) else None


def hedges_g(arm: Sequence[float], control: Sequence[float]) -> float | None:
    """The difference of the means over the pooled standard deviation, with the exact correction for small n."""
    df = len(arm) + len(control) - 2
    squares = deviation(arm) ** 2 * (len(arm) - 1) + deviation(control) ** 2 * (len(control) - 1)
    if squares <= 0:
        return None
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    return correction * (mean(arm) - mean(control)) / math.sqrt(squares / df)


def probability_better(arm: Sequence[float], control: Sequence[float], *, paired: bool) -> float:
    """How often a run of the arm lies above one of the control; ties count half."""
    pairs = list(zip(arm, control, strict=True)) if paired else list(itertools.product(arm, control))
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """The two-sided permutation test of paired differences: how often random signs give as large a mean."""
    # Sums that are equal but for rounding count as equal.
    bound = abs(math.fsum(differences)) * (1 - 1e-12) - 1e-300
    n = len(differences)
    if n <= EXACT_PAIRS:
        sums = [0.0]
        for difference in differences:
            sums = [s + sign for s in sums for sign in (difference, -difference)]
        return sum(abs(s) >= bound for s in sums) / len(sums)
    # Eight signs at a time: the sums of all their patterns are looked up.
    tables = [_signed_sums(differences[start : start + 8]) for start in range(0, n, 8)]
    draw = random.Random(seed)
    hits = 0
    for _ in range(_DRAWN):
        total = sum(map(operator.getitem, tables, draw.randbytes(len(tables))))
        hits += abs(total) >= bound
    return (hits + 1) / (_DRAWN + 1)


def _signed_sums(differences: Sequence[float]) -> list[float]:
    """The sums under all 256 patterns of eight signs; fewer differences leave the last signs without effect."""
    sums = [0.0]
    for place in range(8):
        difference = differences[place] if place < len(differences) else 0.0
        sums = [total + sign for total in sums for sign in (difference, -difference)]
    return sums


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Wilcoxon's signed-rank test, exact also with ties; differences of zero are left out."""
    kept = [difference for difference in differences if difference]
    if not kept:
        return 1.0
    ranks = _midranks([abs(difference) for difference in kept])
    doubled = [round(2 * rank) for rank in ranks]  # midranks are multiples of a half
    positive = sum(rank for rank, difference in zip(doubled, kept, strict=True) if difference > 0)
    counts: list[int] = [1] + [0] * sum(doubled)
    for rank in doubled:
        for total in range(len(counts) - 1, rank - 1, -1):
            counts[total] += counts[total - rank]
    low = min(positive, sum(doubled) - positive)
    return min(1.0, float(2 * sum(counts[: low + 1]) / 2 ** len(kept)))


def _midranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(ordered)))}
    last = {value: index for index, value in enumerate(ordered)}
    return [(first[value] + last[value]) / 2 + 1 for value in values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the chance of one or more false findings among all stays below alpha."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for step, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[index]))
        corrected[index] = largest
    return corrected
