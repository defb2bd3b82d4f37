"""Do the intervals cover? The tables of docs/statistics.md, by simulation: `python benchmarks/coverage.py [2000]`.

A claim recovers 0.8 of a gap of 1 (shares: so many hits of a model that is always right), reference rows differ by a
standard deviation of 0.3, the gap too; 20 draws a row differ by 0.2. Where donors matter, a row adds something
wherever it is drawn. The true value is that given the pool, in the last table that of the population.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy import stats

from scrub.score import intervals as iv
from scrub.score.paired import p_of_mean
from scrub.score.population import Drawing, Picked, added
from scrub.score.result import ratio

ROWS, DRAWS, REPLICATES = (10, 20, 30, 50, 100, 200), 20, 1000
ERRORS = {"normal": 0.0, "lognormal 0.5": 0.5, "lognormal 1": 1.0}
SHARES = (0.05, 0.5, 0.9, 0.95)
LEVEL = 0.95
LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75)  # of p-values
Ends = tuple[np.ndarray, np.ndarray]


def lost(c: np.ndarray) -> np.ndarray:
    """What a part earns, the paired difference of two recovered, from (scrubbed, random, model, without the part)."""
    return (c[:, 3] - c[:, 0]) / (c[:, 1] - c[:, 2])


def errors(rng: np.random.Generator, sigma: float, shape: tuple[int, ...]) -> np.ndarray:
    """Of mean 0 and variance 1: normal, or lognormal with this sigma (skewness 1.75 for 0.5, 6.2 for 1)."""
    if not sigma:
        return rng.standard_normal(shape)
    spread = np.sqrt((np.exp(sigma**2) - 1) * np.exp(sigma**2))
    return (rng.lognormal(0, sigma, shape) - np.exp(sigma**2 / 2)) / spread


def drawn(rng: np.random.Generator, donors: np.ndarray) -> np.ndarray:
    """The mean of what 20 donors add to each row, drawn from the pool of each simulation."""
    at = rng.integers(0, donors.shape[1], (*donors.shape, DRAWS))
    return np.take_along_axis(donors[:, :, None], at.reshape(len(at), -1, 1), 1).reshape(at.shape).mean(2)


def losses(rng: np.random.Generator, sigma: float, rows: int, sims: int, donors: bool) -> tuple[np.ndarray, Ends]:
    """Columns of (scrubbed, random, model, without the part) with the true share recovered and lost."""
    shape = (sims, rows)
    model, gap = rng.gamma(4, 0.1, shape), 1 + 0.3 * rng.standard_normal(shape)
    scrubbed = model + 0.2 + 0.3 * errors(rng, sigma, shape) + 0.2 / DRAWS**0.5 * rng.standard_normal(shape)
    without = scrubbed + 0.05 + 0.15 * errors(rng, sigma, shape)
    shift = np.zeros(sims)
    if donors:
        pool = 0.3 * errors(rng, sigma, shape)
        adds, shift = drawn(rng, pool), pool.mean(1)
        scrubbed, without = scrubbed + adds, without + 1.2 * adds
    return np.stack([scrubbed, model + gap, model, without], 2), (0.8 - shift, 0.05 + 0.2 * shift)


def hits(rng: np.random.Generator, share: float, rows: int, sims: int, donors: bool) -> tuple[np.ndarray, Ends]:
    """The same of hits: the part costs one hit of ten; of ten donors one spoils what it is drawn for."""
    shape = (sims, rows)
    scrubbed, true = (rng.random(shape) < share) * 1.0, np.full(sims, share)
    if donors:
        good = (rng.random(shape) < 0.9) * 1.0
        scrubbed, true = scrubbed * drawn(rng, good), share * good.mean(1)
    without = scrubbed * (rng.random(shape) < 0.9)
    return np.stack([scrubbed, np.zeros(shape), np.ones(shape), without], 2), (true, 0.1 * true)


@cache  # kept by the number of rows
def weights(rows: int) -> tuple[np.ndarray, ...]:
    return tuple(iv.spacings(np.ones(rows, int), 0))


def chosen(columns: np.ndarray, statistic: iv.Statistic, share: bool) -> Ends:
    """What scrub makes of each simulation."""
    found: list[iv.Ends] = []
    for table in columns:
        expansion = iv.expand(table, statistic)
        assert expansion is not None
        if share:
            found.append(iv.bounds(table, weights(len(table)), table, statistic))
        else:
            found.append(iv.corrected(expansion, LEVEL))
    low, high = np.array(found).T
    return low, high


def others(columns: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, Ends]]:
    """What was tried beside it, of `recovered`."""
    sims, n, _ = columns.shape
    expansions = [iv.expand(table, ratio) for table in columns]
    adds, value = np.array([e.influence for e in expansions if e]), np.array([e.value for e in expansions if e])
    counts = rng.multinomial(n, np.full(n, 1 / n), REPLICATES) / n
    means = np.einsum("bn,snk->sbk", counts, columns, optimize=True)
    samples = ratio(means.reshape(-1, columns.shape[2])).reshape(sims, -1)
    tails = np.array([1 - LEVEL, 1 + LEVEL]) / 2
    yield "percentile", tuple(np.quantile(samples, tails, axis=1))
    yield "BCa", _bca(samples, adds, value, tails)
    error = adds.std(1, ddof=1) / n**0.5
    again = np.sqrt(np.maximum(adds**2 @ counts.T - (adds @ counts.T) ** 2, 1e-300) / (n - 1))
    t = np.quantile((samples - value[:, None]) / again, tails, axis=1)
    yield "bootstrap-t", (value - t[1] * error, value - t[0] * error)
    z = stats.t(n - 1).ppf(tails[1])
    yield "Student", (value - z * error, value + z * error)
    yield "Fieller", _fieller(columns, z)
    seen = [e for e in expansions if e and not e.flat]
    hall = [[e.value - e.deviation / n**0.5 * iv.untransformed(e, y) for y in (z, -z)] for e in seen]
    if len(hall) == sims:
        yield "Hall alone", tuple(np.array(hall).T)


def _bca(samples: np.ndarray, adds: np.ndarray, value: np.ndarray, tails: np.ndarray) -> Ends:
    """DiCiccio and Efron 1996, equation (2.3)."""
    below = stats.norm.ppf(np.clip((samples < value[:, None]).mean(1), 1e-3, 1 - 1e-3))
    with np.errstate(invalid="ignore"):
        a = np.nan_to_num((adds**3).sum(1) / (adds**2).sum(1) ** 1.5) / 6
    at = [stats.norm.cdf(below + (below + z) / (1 - a * (below + z))) for z in stats.norm.ppf(tails)]
    ranked, number = np.sort(samples, axis=1), samples.shape[1]
    low, high = (ranked[np.arange(len(a)), np.clip((x * number).astype(int), 0, number - 1)] for x in at)
    return low, high


def _fieller(columns: np.ndarray, z: float) -> Ends:
    above, below = columns[:, :, 1] - columns[:, :, 0], columns[:, :, 1] - columns[:, :, 2]
    n, a, b = columns.shape[1], above.mean(1), below.mean(1)
    va, vb = above.var(1, ddof=1) / n, below.var(1, ddof=1) / n
    vab = ((above - a[:, None]) * (below - b[:, None])).sum(1) / (n - 1) / n
    p, q, r = b**2 - z**2 * vb, a * b - z**2 * vab, a**2 - z**2 * va
    root = np.sqrt(np.maximum(q**2 - p * r, 0))
    return (q - root) / p, (q + root) / p


def told(ends: Ends, true: np.ndarray) -> str:
    """Coverage, and how often the interval lies above the true value: a claim at the bar is supported."""
    low, high = ends
    inside = (low <= true + 1e-9) & (high >= true - 1e-9)
    return f"{inside.mean():.3f} / {(low > true + 1e-9).mean():.3f}"


def table(head: list[str], rows: list[list[str]]) -> None:
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    print("\n".join("| " + " | ".join(row) + " |" for row in rows), flush=True)


def candidates(sims: int) -> None:
    """Of `recovered`, no effect of donors, 30 rows."""
    rng, rows = np.random.default_rng(1), list[list[str]]()
    names: list[str] = []
    for name, (columns, (true, _)) in _cases(rng, 30, sims, donors=False):
        found = dict(others(columns[:, :, :3], rng))
        found["scrub"] = chosen(columns[:, :, :3], ratio, name.startswith("share"))
        names = names or [*found]
        rows.append([name, *(told(found[n], true) if n in found else "-" for n in names)])
    table(["30 rows", *names], rows)


def _cases(
    rng: np.random.Generator, rows: int, sims: int, donors: bool
) -> Iterator[tuple[str, tuple[np.ndarray, Ends]]]:
    for name, sigma in ERRORS.items():
        yield name, losses(rng, sigma, rows, sims, donors)
    for share in SHARES:
        yield f"share {share}", hits(rng, share, rows, sims, donors)


def covered(sims: int, statistic: iv.Statistic, which: int) -> None:
    """The chosen interval, by rows and errors, with and without an effect of donors."""
    for donors in (False, True):
        found: dict[str, list[str]] = {}
        for rows in ROWS:
            rng = np.random.default_rng([2, rows, donors])
            for name, (columns, true) in _cases(rng, rows, sims, donors):
                used = columns[:, :, :3] if statistic is ratio else columns
                ends = chosen(used, statistic, name.startswith("share"))
                found.setdefault(name, []).append(told(ends, true[which]))
        what = "recovered" if statistic is ratio else "what a part earns"
        head = f"{what}, donors {'matter' if donors else 'do not matter'}"
        table([head, *map(str, ROWS)], [[name, *cells] for name, cells in found.items()])


def differing() -> dict[str, Callable[[np.random.Generator, int], np.ndarray]]:
    """Differences of equals whose errors are numbers: of mean 0."""
    draws: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        name: (lambda rng, n, s=sigma: errors(rng, s, (n,))) for name, sigma in ERRORS.items()
    }
    draws["heavy tails"] = lambda rng, n: errors(rng, 1.0, (n,)) - errors(rng, 1.0, (n,))
    return draws


def uniform(sims: int) -> None:
    """How often the p-value of equals is at most so much."""
    lines: list[list[str]] = []
    for name, draw in differing().items():
        for rows in (30, 100):
            rng = np.random.default_rng([5, rows])
            p = np.array([p_of_mean(draw(rng, rows)) for _ in range(sims)])
            lines.append([f"{name}, {rows} rows", *(f"{(p <= level).mean():.3f}" for level in LEVELS)])
    table(["p of equals at most", *map(str, LEVELS)], lines)


def sizes(sims: int) -> None:
    """How often equals are told apart at 5 %; in brackets by a sign flip of as many rows."""
    draws = differing()
    for share in (0.05, 0.5, 0.9):
        draws[f"share {share}"] = lambda rng, n, p=share: 1.0 * (rng.random(n) < p) - (rng.random(n) < p)
    lines: list[list[str]] = []
    for name, draw in draws.items():
        cells: list[str] = []
        for rows in ROWS:
            rng = np.random.default_rng([3, rows])
            flips = 1.0 - 2 * rng.integers(0, 2, (999, rows))
            data = [draw(rng, rows) for _ in range(sims)]
            p = np.array([p_of_mean(d) for d in data])
            flipped = np.array([(1 + (abs(flips @ d) >= abs(d.sum()) - 1e-9).sum()) / 1000 for d in data])
            cells.append(f"{(p <= 0.05).mean():.3f} ({(flipped <= 0.05).mean():.3f})")
        lines.append([name, *cells])
    table(["equals told apart", *map(str, ROWS)], lines)


def populations(sims: int) -> None:
    """Coverage of the value of the population: by the interval given the pool, and by the wider one."""
    lines: list[list[str]] = []
    for slots, size in ((0, 0.0), (1, 1.0), (5, 0.4)):
        for name, sigma in list(ERRORS.items())[:2]:
            cells = [_population(np.random.default_rng([4, n]), sigma, n, slots, size, sims) for n in ROWS[1:]]
            lines.append([f"{slots} donors of {size} a call, {name}", *cells])
    table(["of the population", *map(str, ROWS[1:])], lines)


def _population(rng: np.random.Generator, sigma: float, n: int, slots: int, size: float, sims: int) -> str:
    given, wider = np.empty((sims, 2)), np.empty((sims, 2))
    for i in range(sims):
        own, donors = errors(rng, sigma, (n,)), size * errors(rng, sigma, (slots, n))
        at = rng.integers(0, n, (slots, n, DRAWS))
        calls = own[:, None] + 0.5 * rng.standard_normal((n, DRAWS)) + sum(donors[s][at[s]] for s in range(slots))
        found = iv.expand(calls.mean(1)[:, None], lambda c: c[:, 0])
        assert found is not None
        given[i] = iv.corrected(found, LEVEL)
        more = added(calls - found.value, np.arange(n), [Drawing.of(np.zeros(n, int))] * slots,
                     lambda at=at: [Picked(slice(0, n), list(at))])  # fmt: skip
        error = float((found.influence**2).sum()) / n**2
        wider[i] = found.value + np.sqrt(1 + more / error) * (given[i] - found.value)
    share = [((low <= 0) & (high >= 0)).mean() for low, high in (given.T, wider.T)]
    return f"{share[0]:.3f} -> {share[1]:.3f}"


def main(sims: int) -> None:
    candidates(sims)
    covered(sims, ratio, 0)
    covered(sims, lost, 1)
    sizes(sims)
    uniform(4 * sims)
    populations(sims // 2)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
