"""Means of a few runs, and how far they can be trusted."""

import bisect
import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from dlcoder.experiments.distributions import NORMAL, t_quantile

RESAMPLES = 5000
"""Bootstrap resamples: their own noise moves an end of the interval by about 2 % of its length."""


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n - 1) of at least two values."""
    center = mean(values)
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (len(values) - 1))


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Student's interval of the mean: exact for normal values at any n >= 2, where the bootstrap is far too short.

    Returns:
        The interval, or None for fewer than two values: one run says nothing about the spread.
    """
    n = len(values)
    if n < 2:
        return None
    half = t_quantile(0.5 + confidence / 2, n - 1) * deviation(values) / math.sqrt(n)
    return Interval(mean(values) - half, mean(values) + half)


def bootstrap_interval(values: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval | None:
    """The BCa bootstrap interval of the mean (Efron 1987): it follows skewed results, but is short below n = 10.

    Args:
        values: The results of runs.
        confidence: The nominal coverage.
        seed: Of the resampling: equal values give equal intervals.

    Returns:
        The interval, or None for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return None
    drawn = _drawn(values, n * RESAMPLES, random.Random(seed))
    means = [sum(drawn[start : start + n]) / n for start in range(0, len(drawn), n)]
    return bca_interval(values, means, confidence)


def _drawn(values: Sequence[float], count: int, draw: random.Random) -> list[float]:
    """Values drawn with replacement; where a byte can name them all, many times as fast as one by one."""
    n = len(values)
    if n > 256:
        return draw.choices(values, k=count)
    even = 256 - 256 % n  # bytes from here on would favor the first values
    names, refused = bytes(byte % n for byte in range(256)), bytes(range(even, 256))
    found = b""
    while len(found) < count:
        found += draw.randbytes(count).translate(names, refused)
    return list(map(values.__getitem__, found[:count]))


def bca_interval(values: Sequence[float], resampled: Sequence[float], confidence: float) -> Interval:
    """The bias-corrected and accelerated interval of the mean from its resampled values."""
    ordered = sorted(resampled)
    center = mean(values)
    below, upto = bisect.bisect_left(ordered, center), bisect.bisect_right(ordered, center)
    share = (below + upto) / (2 * len(ordered))
    if not 0 < share < 1 or ordered[0] == ordered[-1]:
        return Interval(ordered[0], ordered[-1])
    bias, acceleration = NORMAL.inv_cdf(share), _acceleration(values)
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + NORMAL.inv_cdf(tail)
        ends.append(percentile(ordered, NORMAL.cdf(bias + z / (1 - acceleration * z))))
    return Interval(*ends)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, interpolated linearly."""
    position = share * (len(ordered) - 1)
    index = min(int(position), len(ordered) - 2)
    return ordered[index] + (ordered[index + 1] - ordered[index]) * (position - index)


def _acceleration(values: Sequence[float]) -> float:
    n, total = len(values), math.fsum(values)
    left_out = [(total - value) / (n - 1) for value in values]
    center = mean(left_out)
    cubes = math.fsum((center - value) ** 3 for value in left_out)
    squares = math.fsum((center - value) ** 2 for value in left_out)
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0
