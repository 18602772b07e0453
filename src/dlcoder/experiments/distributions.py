"""Student's t, central and not, from the standard library alone: good to about 1e-12.

The samples here are a handful of seeds, so that a dependency of tens of megabytes would only serve these few functions.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()
_TINY = 1e-300
_EPSILON = 1e-15
_MOST_TERMS = 10_000


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by its continued fraction (modified Lentz).

    Args:
        x: In [0, 1].
        a: Positive.
        b: Positive.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges fast on this side of the mean only.
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    c = 1.0
    value = d = 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1))
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _nonzero(1.0 + term * d)
            c = _nonzero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_two_sided(t: float, df: float) -> float:
    """P(|T| >= |t|) for Student's t with `df` degrees of freedom."""
    if math.isinf(t):
        return 0.0
    if t * t < 1:  # near the middle the other tail keeps the digits
        return 1.0 - incomplete_beta(t * t / (df + t * t), 0.5, df / 2)
    return incomplete_beta(df / (df + t * t), df / 2, 0.5)


def t_cdf(t: float, df: float) -> float:
    """P(T <= t) for Student's t with `df` degrees of freedom."""
    tail = 0.5 * t_two_sided(t, df)
    return 1.0 - tail if t > 0 else tail


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The t with P(T <= t) = `probability`, in (0, 1)."""
    if probability < 0.5:
        return -t_quantile(1.0 - probability, df)
    tail = 2 * (1.0 - probability)
    high = 1.0
    while t_two_sided(high, df) > tail:
        high *= 2
    return solve(lambda t: tail - t_two_sided(t, df), 0.0, high)


def noncentral_t_cdf(t: float, df: float, shift: float) -> float:
    """P(T' <= t) for the noncentral t distribution (Lenth 1989, algorithm AS 243).

    Args:
        t: Any number.
        df: Degrees of freedom.
        shift: The noncentrality: the expected difference in standard errors.
    """
    if t < 0:
        return 1.0 - noncentral_t_cdf(-t, df, -shift)
    below = NORMAL.cdf(-shift)
    if t == 0:
        return below
    x = t * t / (t * t + df)
    mean = shift * shift / 2
    total = 0.0
    for term in range(_MOST_TERMS):
        weight = _poisson(mean, term, term + 1)
        other = math.copysign(_poisson(mean, term, term + 1.5), shift) * abs(shift) / math.sqrt(2)
        first = incomplete_beta(x, term + 0.5, df / 2)
        total += weight * first + other * incomplete_beta(x, term + 1, df / 2)
        if term > mean and (abs(weight) + abs(other)) * first < _EPSILON:
            break
    return min(max(below + total / 2, 0.0), 1.0)


def _poisson(mean: float, power: int, gamma_of: float) -> float:
    if mean == 0:
        return math.exp(-math.lgamma(gamma_of)) if power == 0 else 0.0
    return math.exp(-mean + power * math.log(mean) - math.lgamma(gamma_of))


def solve(rising: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a rising function between `low` and `high`, to the last bit, by bisection."""
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
