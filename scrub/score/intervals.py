"""Intervals of smooth functions of column means: they allow for skewness, for rare rows and for how a ratio bends.

A row is one observation. `docs/statistics.md` has the coverage of all of this by simulation
(`benchmarks/coverage.py`), and of what was tried beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import combinations

import numpy as np
from attrs import frozen
from jaxtyping import Float, Int

from scrub.anatomy.tolerances import LEAST_P, SAME_ROWS, SLOPE_STEP
from scrub.score.student import quantile, tail

FARTHER = 4.0  # steps for second ones, of which rounding leaves less
TAIL_UNSEEN = 10.0  # few rows seldom show a tail: for intervals skewness is raised by 10/n (chosen by simulation)
DEMAND = 5  # rows for each unit of squared skewness: of a share these are five of the rarer kind
WEIGHTS = 2000
WEIGHTS_AT_ONCE = 2**21  # numbers: 100,000 rows that all differ would take 1.6 GB
LATTICE = 0.4  # a share jumps from row to row: its ends take 2.5 % + 0.4/n each, at most 3.5 %

Columns = Float[np.ndarray, "row k"]
Row = Float[np.ndarray, " row"]
Means = Float[np.ndarray, " k"]
Statistic = Callable[[Float[np.ndarray, "n k"]], Float[np.ndarray, " n"]]
Ends = tuple[float, float]


@frozen(eq=False, slots=False)
class Expansion:
    """A statistic to second order at the means of rows: its value, and what each row adds to it, which sums to 0.

    `bias` and `bend` are what its second derivatives H add to the mean and to the skewness of its studentised form,
    tr(H S)/(2 s) and g'S H S g/s^3 for a gradient g and covariances S, s^2 = g'S g; `spread` is what they add to its
    variance, relative to s^2/n: for a ratio the squared coefficient of variation of what it is divided by.
    """

    value: float
    influence: Row
    bias: float
    bend: float
    spread: float

    @property
    def rows(self) -> int:
        return len(self.influence)

    @cached_property
    def deviation(self) -> float:
        """The standard deviation of what a row adds; a single one has none."""
        return float(self.influence.std(ddof=1)) if self.rows > 1 else 0.0

    @property
    def flat(self) -> bool:
        """Whether every row adds the same."""
        return self.deviation <= SAME_ROWS * max(1.0, abs(self.value))

    @property
    def nothing(self) -> bool:
        """Whether the value is 0 and every row adds 0."""
        return self.flat and abs(self.value) <= SAME_ROWS

    @cached_property
    def skewness(self) -> float:
        """The sample's, adjusted for its size (Joanes and Gill 1998, G1); two rows have none."""
        n, away = self.rows, self.influence
        if n < 3:
            return 0.0
        found = float((away**3).mean() / (away**2).mean() ** 1.5)
        return found * math.sqrt(n * (n - 1)) / (n - 2)

    @property
    def needs(self) -> int:
        """The rows that a sample as skewed asks for."""
        return 0 if self.flat else math.ceil(DEMAND * self.skewness**2)

    def error(self, z: float) -> float:
        """The standard error for an interval of z of them; infinite where what divides may be 0 (Fieller 1954)."""
        left = 1 - z * z * self.spread
        return self.deviation / math.sqrt(self.rows * left) if left > 0 else math.inf


def expand(columns: Columns, statistic: Statistic) -> Expansion | None:
    """Differentiate a statistic numerically at the means; None where it has no value there."""
    n, k = columns.shape
    means = columns.mean(0)
    away = columns - means
    covariance = away.T @ away / n
    deviation = np.sqrt(np.diag(covariance))
    step = SLOPE_STEP * np.where(deviation > 0, deviation, 1.0)
    at = _around(statistic, means, step)
    if not np.isfinite(at).all():
        return None
    value = float(at[0])
    first, second = _derivatives(at, k)
    gradient, hessian = first / step, second / np.outer(step, step)
    toward = covariance @ gradient
    s, bent = math.sqrt(max(0.0, float(gradient @ toward))), hessian @ covariance
    influence = away @ gradient
    if s <= SAME_ROWS * max(1.0, abs(value)):
        return Expansion(value, influence, 0.0, 0.0, 0.0)
    return Expansion(
        value, influence, float(np.trace(bent)) / (2 * s), float(toward @ hessian @ toward) / s**3,
        max(0.0, float(np.trace(bent @ bent))) / (2 * n * s * s),
    )  # fmt: skip


def _around(statistic: Statistic, means: Means, step: Means) -> Float[np.ndarray, " point"]:
    """The statistic at the means, a step up and down each column, and farther; and at the corners of each pair."""
    k = len(means)
    one = np.eye(k)
    pairs = [(i, j) for i in range(k) for j in range(i)]
    corners = [FARTHER * (a * one[i] + b * one[j]) for i, j in pairs for a, b in ((1, 1), (-1, -1), (1, -1), (-1, 1))]
    with np.errstate(divide="ignore", invalid="ignore"):
        return statistic(
            means + step * np.array([np.zeros(k), *one, *-one, *FARTHER * one, *-FARTHER * one, *corners])
        )


def _derivatives(at: Float[np.ndarray, " point"], k: int) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Central differences, first (Richardson's, so that rows that add nothing add 0) and second, in steps."""
    up, down, high, low = at[1 : 4 * k + 1].reshape(4, k)
    second, corners = np.diag(high - 2 * at[0] + low), at[4 * k + 1 :].reshape(-1, 4)
    lower = np.tril_indices(k, -1)
    second[lower] = corners @ np.array([1.0, 1.0, -1.0, -1.0]) / 4
    second.T[lower] = second[lower]
    near, far = (up - down) / 2, (high - low) / (2 * FARTHER)
    return near + (near - far) / (FARTHER**2 - 1), second / FARTHER**2


def corrected(found: Expansion, level: float) -> Ends:
    """The studentised interval, each end where Student's is or, if that is farther, Hall's that allows for skewness.

    P. Hall, "On the Removal of Skewness by Transformation" (1992): for t = (value - true)/error, h(t) = t + a t^2 +
    a^2 t^3/3 + b is nearly Student's, where the Edgeworth expansion of t for a smooth function of means (Hall, "The
    Bootstrap and Edgeworth Expansion", 1992, section 2.4) has a = (2 skewness + 3 bend)/6/sqrt(n) and b = (skewness/6
    + bend/2 - bias)/sqrt(n). Alone it errs where tails are heavy on both sides, and what skewness a sample shows is
    chance.
    """
    if found.flat:
        return found.value, found.value
    z = quantile((1 + level) / 2, float(found.rows - 1))
    error = found.error(z)
    if not math.isfinite(error):
        return -math.inf, math.inf
    below, above = max(z, untransformed(found, z)), max(z, -untransformed(found, -z))
    return found.value - error * below, found.value + error * above


def p_of_nothing(found: Expansion) -> float:
    """Two-sided p of a true value of 0: the larger one of Student's and Hall's, at least LEAST_P."""
    if found.nothing:
        return 1.0
    if found.flat:
        return max(LEAST_P, 2.0 ** (1 - found.rows))  # as many rows on one side
    t = found.value / (found.deviation / math.sqrt(found.rows))
    return max(LEAST_P, 2 * tail(min(abs(t), abs(transformed(found, t))), float(found.rows - 1)))


def _terms(found: Expansion, skewness: float) -> tuple[float, float]:
    root = math.sqrt(found.rows)
    return (2 * skewness + 3 * found.bend) / 6 / root, (skewness / 6 + found.bend / 2 - found.bias) / root


def transformed(found: Expansion, t: float) -> float:
    a, b = _terms(found, found.skewness)
    return t + a * t * t + a * a * t**3 / 3 + b


def untransformed(found: Expansion, y: float) -> float:
    a, b = _terms(found, found.skewness * (1 + TAIL_UNSEEN / found.rows))
    return y - b if abs(a) < SAME_ROWS else float((np.cbrt(1 + 3 * a * (y - b)) - 1) / a)


def are_shares(columns: Columns) -> bool:
    """Whether columns are hits and shares of hits: all within 0 and 1, one of them 0 or 1 on every row, not all 0."""
    if not ((columns >= 0) & (columns <= 1)).all():
        return False
    return bool((((columns == 0) | (columns == 1)).all(0) & (columns == 1).any(0)).any())


def bounded(columns: Columns, statistic: Statistic, seed: int) -> Ends:
    """The interval of shares, of which few rows may be of the other kind, or none.

    N. Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable"
    (2005): rows are weighted by spacings of uniform numbers, and so is one row more, the worst or best that a row can
    be. Of a plain share this is the interval of Clopper and Pearson (1934).
    """
    kinds, counts = np.unique(columns, axis=0, return_counts=True)
    return bounds(kinds, spacings(counts, seed), columns, statistic)


def spacings(counts: Int[np.ndarray, " kind"], seed: int) -> Iterator[Float[np.ndarray, "weight more"]]:
    """Random weights of rows of each kind, so many times, and in the last column of one row more; in pieces."""
    rng = np.random.default_rng([seed, int(counts.sum()), 0x6AFF])
    shapes = np.append(counts, 1).astype(float)
    at_once = max(1, WEIGHTS_AT_ONCE // len(shapes))
    for start in range(0, WEIGHTS, at_once):
        weights = rng.standard_gamma(shapes, size=(min(at_once, WEIGHTS - start), len(shapes)))
        yield weights / weights.sum(1, keepdims=True)


def bounds(
    kinds: Float[np.ndarray, "kind k"], weights: Iterable[np.ndarray], columns: Columns, statistic: Statistic
) -> Ends:
    """Both ends of the interval of `bounded`, from weights of the kinds of rows."""
    worst, best = _one_more(columns, statistic)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(columns.mean(0)[None])[0])
    share = min(0.035, 0.025 + LATTICE / len(columns))
    pieces = [(some[:, :-1] @ kinds, some[:, -1:].copy()) for some in weights]  # a view would hold all of them
    own, more = map(np.vstack, zip(*pieces, strict=True))
    low = np.quantile(_defined(statistic, own + more * worst, -math.inf), share)
    high = np.quantile(_defined(statistic, own + more * best, math.inf), 1 - share)
    return min(float(low), value), max(float(high), value)


def _one_more(columns: Columns, statistic: Statistic) -> tuple[Means, Means]:
    """The rows that, one more each, move a statistic of shares furthest down and up.

    They are the means, but for one column that is 0 or 1, or two of those that vary: a row of which a claim is right
    and its rival wrong.
    """
    means, n = columns.mean(0), len(columns)
    vary = np.flatnonzero(np.ptp(columns, axis=0) > 0).tolist()
    changes = [{k: end} for k in range(len(means)) for end in (0, 1)]
    changes += [{i: end, j: 1 - end} for i, j in combinations(vary, 2) for end in (0, 1)]
    rows = np.tile(means, (len(changes), 1))
    for row, change in zip(rows, changes, strict=True):
        row[[*change]] = [*change.values()]
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = statistic((n * means + rows) / (n + 1))
    return rows[np.argmin(moved)], rows[np.argmax(moved)]


def _defined(statistic: Statistic, means: Columns, undefined: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = statistic(means)
    return np.where(np.isfinite(found), found, undefined)
