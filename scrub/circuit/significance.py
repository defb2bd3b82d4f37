"""Whether a circuit's scores could be chance: a count of wins, equivalence, independence; and many tests at once.

The hypotheses are those of Shi et al., "Hypothesis Testing the Circuit Hypothesis in LLMs" (NeurIPS 2024). For
equivalence and independence the null is what a circuit wants, so that few rows never reject: not rejecting is
weak evidence, and every finding states its power. No p-value is adjusted before `holm`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from attrs import frozen
from jaxtyping import Float

from scrub.anatomy.tolerances import KERNEL, SAME_HSIC
from scrub.circuit.sequential import LEVEL as LEVEL
from scrub.circuit.sequential import StoppingRule, WinCount
from scrub.claims.plain import as_dict
from scrub.errors import MetricError, ScrubError, some
from scrub.score.paired import holm as holm

MOST_ROWS = 500  # that a test of independence takes
POWER_ROWS, POWER_RUNS, POWER_PERMUTATIONS, CORRELATION = 200, 100, 100, 0.5
AT_ONCE = 100  # permutations


@frozen
class Finding:
    """One test, saying everything needed to read it.

    `null` is a sentence, `good` the outcome that speaks for the circuit, `n` counts what `unit` says. `p` is None
    where there is nothing to test (n = 0), for which `reason` gives the cause. `power` is the chance of p <= 0.05 if
    `alternative` holds. A count that stopped before all `most` were drawn says so; else `most` is None.
    """

    name: str
    null: str
    good: Literal["rejecting", "not rejecting"]
    statistic: float | None
    p: float | None
    n: int
    unit: str
    power: float | None
    alternative: str
    reason: str = ""
    most: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, *([] if self.reason else ["reason"]), *(["most"] if self.most is None else []))


def wins(
    name: str,
    null: str,
    wins: int,
    n: int,
    q: float = 0.9,
    better: float = 0.99,
    *,
    unit: str = "random circuits",
    alternative: str | None = None,
    reason: str = "",
    rule: StoppingRule | None = None,
) -> Finding:
    """Exact one-sided binomial test of P(win) <= q against more: p = P(Bin(n, q) >= wins).

    A tie is no win. The statistic is the share of wins; the power is that at P(win) = `better`, and is 0 where
    q^n > 0.05 (up to 28 at q = 0.9): then no count of wins rejects. `reason` says why n is 0. By default n was fixed;
    a `rule` by which it was not says what p and power are (`WinCount.p`).
    Raises ScrubError unless 0 < q < better <= 1.
    """
    assert 0 <= wins <= n, f"{wins} wins of {n}"
    if not 0 < q < better <= 1:
        raise ScrubError(f"{name}: q={q:g}, better={better:g}: they are probabilities, and q lies below better.")
    alternative = alternative or f"it wins against {_percent(better)} of {unit}"
    if n == 0:
        return Finding(name, null, "rejecting", None, None, 0, unit, None, alternative, reason)
    rule = rule or StoppingRule.of(n, 0)
    count = WinCount(wins, n, rule.most, stopped=n - wins == rule.losses)
    p, power = count.p(q), rule.power(q, better)
    return Finding(name, null, "rejecting", wins / n, p, n, unit, power, alternative, most=count.short)


def equivalence(
    differences: Float[np.ndarray, " row"], tolerance: float, eps: float = 0.1, fraction: float = 0.8
) -> Finding:
    """Is the circuit above the model on as many rows as below? The null is |P(D > 0) - 1/2| <= eps.

    `differences` are D = s(C) - s(M). Rows with |D| <= tolerance are ties and count half; the statistic is the
    distance of the share above from 1/2, and p the chance of at least that distance for Bin(n, 1/2 + eps), the
    worst case of the null. An odd number of ties puts the distance between two that this binomial can have: it
    is rounded down, since rounding it up gives a p-value that is too small. Power is that at P(D > 0) = fraction,
    without ties. The test looks at signs alone: the size of the differences is for faithfulness to say.
    Raises MetricError where D is NaN or infinite, ScrubError for an impossible option.
    """
    from scipy.stats import binom

    name = "equivalent to the model"
    if not (0 <= eps < 0.5 and 0.5 + eps < fraction <= 1 and tolerance >= 0):
        found = f"tolerance={tolerance:g}, eps={eps:g}, fraction={fraction:g}"
        raise ScrubError(f"{name}: {found}: say tolerance >= 0 and 0.5 <= 0.5 + eps < fraction <= 1.")
    _check_finite(name, differences)
    null = (
        f"on {_percent(0.5 - eps)} to {_percent(0.5 + eps)} of all rows the circuit scores above the model, "
        "counting half of the ties"
    )
    alternative = f"the circuit scores above the model on {_percent(fraction)} of all rows, or below it on as many"
    n = len(differences)
    if n == 0:
        return Finding(name, null, "not rejecting", None, None, 0, "rows", None, alternative)
    excess = abs(int((differences > tolerance).sum()) - int((differences < -tolerance).sum()))  # above, less below
    rounded = max(excess - (n - excess) % 2, 0)  # the binomial has distances of one parity alone
    above = np.arange(n + 1)
    distances = np.array([rounded, *np.abs(2 * above - n)])  # that of the rows, and those of k above, none tied
    both = binom.sf((n + distances) // 2 - 1, n, 0.5 + eps) + binom.cdf((n - distances) // 2, n, 0.5 + eps)
    p = np.minimum(both, 1)  # at a distance of 0 the two tails share their middle
    power = float(binom.pmf(above, n, fraction)[p[1:] <= LEVEL].sum())
    return Finding(name, null, "not rejecting", excess / (2 * n), float(p[0]), n, "rows", power, alternative)


def independence(
    complement: Float[np.ndarray, " row"],
    model: Float[np.ndarray, " row"],
    permutations: int = 1000,
    seed: int = 0,
    tolerance: float = 0.0,
) -> Finding:
    """Does what is left without the circuit still know the model's score? The null: over rows it does not.

    A permutation test of HSIC (see `dependence`). Of more than 500 rows, 500 are drawn by the seed, and `unit`
    says so. Power is simulated: the share of 100 data sets in which the test, with 100 permutations, rejects for
    Gaussian scores of correlation 0.5 on as many rows, at most 200, beyond which it grows. A variable whose
    values all lie within `tolerance` is constant: p is 1; where that is the model's score the power is 0.
    Raises MetricError where a score is NaN or infinite, ScrubError for fewer than 19 permutations.
    """
    name = "independent without the circuit"
    assert len(complement) == len(model), f"{len(complement)} and {len(model)} scores"
    if permutations < 19:
        raise ScrubError(f"{name}: permutations={permutations}: with fewer than 19, p is never as low as {LEVEL}.")
    _check_finite(name, complement)
    _check_finite(name, model)
    null = "over rows, the score of the model with the circuit knocked out is independent of the model's own score"
    rows = len(model)
    n = min(rows, MOST_ROWS)
    unit = "rows" if n == rows else f"rows drawn from {rows}"
    simulated = min(n, POWER_ROWS)
    alternative = f"the two scores are Gaussian with correlation {CORRELATION} (simulated for {simulated} rows)"
    if n == 0:
        return Finding(name, null, "not rejecting", None, None, 0, unit, None, alternative)
    rng = np.random.default_rng([seed, rows, 0x1D9])
    drawn = np.sort(rng.choice(rows, n, replace=False)) if n < rows else np.arange(rows)
    statistic, p = dependence(complement[drawn], model[drawn], permutations, rng, tolerance)
    if float(np.ptp(model[drawn])) <= tolerance:
        power, alternative = 0.0, "none: the model's own score is constant, nothing can depend on it"
    else:
        power = _power(simulated, seed)
    return Finding(name, null, "not rejecting", statistic, p, n, unit, power, alternative)


def dependence(
    a: Float[np.ndarray, " row"],
    b: Float[np.ndarray, " row"],
    permutations: int,
    rng: np.random.Generator,
    tolerance: float = 0.0,
) -> tuple[float, float]:
    """HSIC of two variables, tr(KHLH) / n^2, and p = (1 + permuted that are as large) / (1 + permutations).

    Gretton et al., "A Kernel Statistical Test of Independence" (NIPS 2007), with kernels exp(-d^2 / 2 s^2), s the
    median distance between two rows of the variable, or between two that differ where most do not. Constant
    variables have HSIC 0 and p 1.
    """
    if not len(a) or min(np.ptp(a), np.ptp(b)) <= tolerance:
        return 0.0, 1.0
    left, right = _kernel_factor(a), _kernel_factor(b)
    # tr(KHLH) = |F' H G|^2 for K = FF', L = GG', and H is a projection: on one side it does all.
    left = left - left.mean(0)  # centring one of the two is enough
    observed = float(((left.T @ right) ** 2).sum()) / len(a) ** 2
    as_large = 0
    for start in range(0, permutations, AT_ONCE):
        order = np.tile(np.arange(len(a)), (min(AT_ONCE, permutations - start), 1))
        permuted = (np.matmul(left.T, right[rng.permuted(order, axis=1)]) ** 2).sum((1, 2)) / len(a) ** 2
        as_large += int((permuted >= observed - SAME_HSIC).sum())
    return observed, (1 + as_large) / (1 + permutations)


def enough(tests: int = 1, q: float = 0.9, level: float = LEVEL) -> int:
    """How many comparisons `wins` needs: with fewer, no count of wins gets below `level` after `holm` of all tests.

    All won, p is q^n, and the smallest of m p-values is adjusted to m q^n.
    """
    n = 1
    while tests * q**n >= level:
        n += 1
    return n


def _kernel_factor(values: Float[np.ndarray, " row"]) -> Float[np.ndarray, "row rank"]:
    """F with F F' = the Gaussian kernel matrix of one variable: a Cholesky factor, pivoted, cut at `KERNEL`.

    Some twenty columns do for smooth variables, and a permutation then costs a small product of matrices.
    """
    values = np.asarray(values, dtype=np.float64)
    distances = np.abs(values[:, None] - values)[np.triu_indices(len(values), 1)]
    # Where most rows are alike the median is 0, and a kernel of width 0 would call all others unlike.
    width = float(np.median(distances)) or float(np.median(distances[distances > 0]))
    rest, factor = np.ones(len(values)), np.empty((len(values), 0))
    while rest.max() > KERNEL:
        pivot = int(rest.argmax())
        kernel = np.exp(-(((values - values[pivot]) / width) ** 2) / 2)
        column = (kernel - factor @ factor[pivot]) / np.sqrt(rest[pivot])
        factor = np.column_stack([factor, column])
        rest = np.maximum(rest - column**2, 0)
    return factor


@lru_cache(maxsize=64)  # kept by the number of rows and the seed: nothing else is drawn from
def _power(rows: int, seed: int) -> float:
    """How often `dependence` rejects for Gaussian variables of correlation 0.5."""
    rng = np.random.default_rng([seed, rows, 0xB0E])
    rejected = 0
    for _ in range(POWER_RUNS):
        a, noise = rng.normal(size=(2, rows))
        b = CORRELATION * a + np.sqrt(1 - CORRELATION**2) * noise
        rejected += dependence(a, b, POWER_PERMUTATIONS, rng)[1] <= LEVEL
    return rejected / POWER_RUNS


def _check_finite(name: str, scores: Float[np.ndarray, " row"]) -> None:
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise MetricError(f"{name}: the metric is NaN or infinite in rows {some(bad.tolist())}: leave them out.")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
