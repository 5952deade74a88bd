"""The interval shown beside a mean: Student's t, by the standard library alone.

Not here: deciding. An interval around a mean that was looked at many times proves nothing.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, stdev

_TINY = 1e-300
_ENOUGH = 1e-16


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return (low, high) of the mean of ``values`` at ``confidence``, ``None`` for fewer than two."""
    if len(values) < 2:
        return None
    return mean_interval(fmean(values), stdev(values), len(values), confidence)


def mean_interval(mean: float, sd: float, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return (low, high) of a mean of ``n`` values with standard deviation ``sd``, ``None`` for fewer than two."""
    if n < 2:
        return None
    half = t_quantile(0.5 + confidence / 2, n - 1) * sd / math.sqrt(n)
    return mean - half, mean + half


def deviation(low: float, high: float, n: int, confidence: float = 0.95) -> float:
    """Return the standard deviation of the ``n`` ≥ 2 values of which ``interval`` gave ``low`` and ``high``."""
    return (high - low) / 2 * math.sqrt(n) / t_quantile(0.5 + confidence / 2, n - 1)


@lru_cache(maxsize=1024)
def t_quantile(p: float, df: float) -> float:
    """Return the ``p`` quantile of Student's t with ``df`` degrees of freedom; 0 < p < 1, df > 0."""
    if not (0 < p < 1 and df > 0):
        raise ValueError(f"there is no quantile {p!r} of Student's t with {df!r} degrees of freedom")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 1.0
    while t_tail(high, df) > 1 - p:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if t_tail(middle, df) > 1 - p:
            low = middle
        else:
            high = middle
    return (low + high) / 2 if p > 0.5 else 0.0


def t_tail(t: float, df: float) -> float:
    """Return P(T > t) of Student's t for t ≥ 0 (Abramowitz & Stegun 26.5.27, 26.7.1)."""
    if t < 1:
        # 1 − x would lose the digits of a small t.
        return 0.5 - regularised_beta(0.5, df / 2, t * t / (df + t * t)) / 2
    return regularised_beta(df / 2, 0.5, df / (df + t * t)) / 2


def regularised_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b); a, b > 0 and 0 ≤ x ≤ 1 (DLMF 8.17)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction converges quickly only on this side; the other side follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction DLMF 8.17.22 by the modified Lentz method."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
