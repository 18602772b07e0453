"""How many seeds a question needs, and which effects a number of seeds can show.

An effect is given as d: the difference of means in standard deviations between runs of equal settings.
"""

import math

from dlcoder.experiments.distributions import noncentral_t_cdf, solve, t_quantile

MOST_SEEDS = 100_000


def power(effect: float, n: int, *, paired: bool = True, correlation: float = 0.0, alpha: float = 0.05) -> float:
    """The chance that a two-sided t-test finds an effect.

    Args:
        effect: d, the difference over the standard deviation between runs.
        n: Seeds of each arm.
        paired: Whether both arms run with the same seeds.
        correlation: Between the results of two arms at the same seed; used where paired.
        alpha: The chance of a false finding.
    """
    if n < 2:
        return 0.0
    df = n - 1 if paired else 2 * n - 2
    shift = abs(effect) * math.sqrt(n) / _spread(paired, correlation)
    critical = t_quantile(1 - alpha / 2, df)
    return 1 - noncentral_t_cdf(critical, df, shift) + noncentral_t_cdf(-critical, df, shift)


def seeds_needed(
    effect: float, target: float = 0.8, *, paired: bool = True, correlation: float = 0.0, alpha: float = 0.05
) -> int | None:
    """The fewest seeds of each arm that reach a power; None if 100,000 do not.

    Args:
        effect: d, not zero.
        target: The power to reach.
        paired: As in `power`.
        correlation: As in `power`.
        alpha: As in `power`.
    """

    def enough(n: int) -> bool:
        return power(effect, n, paired=paired, correlation=correlation, alpha=alpha) >= target

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable_effect(
    n: int, target: float = 0.8, *, paired: bool = True, correlation: float = 0.0, alpha: float = 0.05
) -> float:
    """The smallest d that `n` seeds of each arm find with the power `target`; infinite for one seed."""
    if n < 2:
        return math.inf

    def excess(effect: float) -> float:
        return power(effect, n, paired=paired, correlation=correlation, alpha=alpha) - target

    high = 1.0
    while excess(high) < 0:
        high *= 2
    low = 0.0
    # A ten-millionth is finer than any variance is known.
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def _spread(paired: bool, correlation: float) -> float:
    """The standard deviation of one difference, in those of a run."""
    return math.sqrt(2 * (1 - correlation)) if paired else math.sqrt(2)


def deviation_range(deviation: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Between what the true standard deviation lies, when `n` runs show `deviation` (chi-squared interval)."""
    tail = (1 - confidence) / 2
    low, high = (_chi2_quantile(share, n - 1) for share in (1 - tail, tail))
    return deviation * math.sqrt((n - 1) / low), deviation * math.sqrt((n - 1) / high)


def _chi2_quantile(probability: float, df: int) -> float:
    high = 1.0
    while _chi2_cdf(high, df) < probability:
        high *= 2
    return solve(lambda x: _chi2_cdf(x, df) - probability, 0.0, high)


def _chi2_cdf(x: float, df: int) -> float:
    """The regularized lower incomplete gamma function, by its series."""
    if x <= 0:
        return 0.0
    a, half = df / 2, x / 2
    term = total = 1 / a
    count = 0
    while term > total * 1e-17 and count < 100_000:
        count += 1
        term *= half / (a + count)
        total += term
    return min(1.0, total * math.exp(-half + a * math.log(half) - math.lgamma(a)))
