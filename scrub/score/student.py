"""Student's t distribution, by its incomplete beta function; Welch's standard error and degrees of freedom."""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p, pi, sqrt

TINY = 1e-300
STEPS = 500


def tail(t: float, freedom: float) -> float:
    """P(T > t) with `freedom` degrees of freedom, a real number above 0."""
    half = 0.5 * _beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return half if t >= 0 else 1 - half


def quantile(level: float, freedom: float) -> float:
    """The t that T exceeds with probability 1 - level, for a level of at least a half: Newton, within a bracket."""
    if freedom <= 0 or level >= 1:
        return inf
    low, high, t = 0.0, inf, 1.0
    for _ in range(200):
        over = tail(t, freedom) - (1 - level)
        low, high = (t, high) if over > 0 else (low, t)
        step = t + over / _density(t, freedom)
        if not low < step < high:
            step = 2 * t if high == inf else (low + high) / 2
        if abs(step - t) <= 1e-13 * t:
            return step
        t = step
    return t


def welch(sd: tuple[float, float], n: tuple[int, int]) -> tuple[float, float]:
    """Standard error of a difference of two means and its degrees of freedom (Welch 1947); infinite below two."""
    if min(n) < 2:
        return inf, 0.0
    a, b = sd[0] ** 2 / n[0], sd[1] ** 2 / n[1]
    if a + b == 0:
        return 0.0, inf
    return sqrt(a + b), (a + b) ** 2 / (a * a / (n[0] - 1) + b * b / (n[1] - 1))


def _density(t: float, freedom: float) -> float:
    scale = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(freedom * pi) / 2
    return max(exp(scale - (freedom + 1) / 2 * log1p(t * t / freedom)), TINY)


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Numerical Recipes, 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = exp(a * log(x) + b * log(1 - x) + lgamma(a + b) - lgamma(a) - lgamma(b)) / a
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + numerator * d)
            c = _away(1 + numerator / c)
            found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * found


def _away(x: float) -> float:
    return x if abs(x) > TINY else TINY
