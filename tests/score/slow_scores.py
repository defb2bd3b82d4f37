"""Comparison, controls and the adversary once more: slow, obvious, from the text of docs/ alone.

`run(answer, x)` is the oracle's; of the scores that are tested no line is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from attrs import evolve
from scipy import stats
from scipy.optimize import brentq
from torch.autograd.functional import hessian, jacobian

from reference import Model, Oracle, _world, baseline, scrubbed
from reference_worlds import Frame, Values
from score.slow_interchange import Intervened
from scrub.claims.metric import Metric
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.values import key

Swap = tuple[str, str]  # (path, "rest" or "donor")
Columns = np.ndarray  # a line for each reference row


def metric_of(claim: Claim, model: Model, output: Any, row: int) -> float:
    """The metric of an answer for a reference row."""
    columns, metric = claim.data.rows[row].columns, claim.metric
    if isinstance(metric, Metric):
        return float(metric.function(output, claim.data.rows[row]))
    logs = torch.log_softmax(output, 0)
    tokens = [columns[name] for name in metric.columns]
    first, *second = [sorted({*t}) if isinstance(t, tuple) else [t] for t in tokens] or [[]]
    match metric.kind:
        case "kl":
            own = torch.log_softmax(Intervened(claim, model).output(row, {}), 0)
            return float((own.exp() * (own - logs)).sum())
        case "accuracy":
            return float(int(output.argmax()) in first)
        case "loss":
            return -float(torch.logsumexp(logs[first], 0))
        case "logit_diff":
            return float(torch.logsumexp(output[first], 0) - torch.logsumexp(output[second[0]], 0))
        case _:
            return float(logs[first].exp().sum() - logs[second[0]].exp().sum())


def table(
    claim: Claim, model: Model, rows: Iterable[int], draws: int, value: Callable[[int, int], Any]
) -> np.ndarray:
    """The metric of `value(row, draw)`, `[row, draw]`."""
    return np.array([[metric_of(claim, model, value(x, k), x) for k in range(draws)] for x in rows])


def columns(claim: Claim, model: Model, rows: Sequence[int], draws: int, seed: int) -> Columns:
    """By row, the mean metric scrubbed, random and of the model."""
    s = table(claim, model, rows, draws, lambda x, k: scrubbed(claim, model, seed, x, k))
    r = table(claim, model, rows, draws, lambda x, k: baseline(claim, model, seed, x, k))
    own = Intervened(claim, model)
    m = table(claim, model, rows, 1, lambda x, k: own.output(x, {}))
    return np.stack([s.mean(1), r.mean(1), m[:, 0]], axis=1)


def more_recovered(c: Columns) -> float:
    """(L_b - L_a) / (L_random - L_model) of columns (a, b, random of a, random of b, model): the scale is of both."""
    a, b, random_a, random_b, model = c.mean(0)
    return (b - a) / ((random_a + random_b) / 2 - model)


def recovered(c: Columns) -> float:
    """(L_random - L_scrubbed) / (L_random - L_model) of columns (scrubbed, random, model, ...)."""
    s, r, m = c.mean(0)[:3]
    return (r - s) / (r - m)


def interval_of(c: Columns, statistic: Callable[[Any], Any]) -> tuple[float, float]:
    """The interval of a statistic that is no share: each end Student's or Hall's, the farther.

    Derivatives are exact here, by torch.
    """
    n, means = len(c), torch.tensor(c.mean(0), dtype=torch.float64)
    value, g = float(statistic(means[None])), jacobian(lambda m: statistic(m[None]), means).numpy()
    h = hessian(lambda m: statistic(m[None]), means).numpy()
    adds = [float((row - c.mean(0)) @ g) for row in c]
    second, third = (sum(a**power for a in adds) / n for power in (2, 3))
    if second < 1e-18:
        return value, value
    s, se = second**0.5, (second / (n - 1)) ** 0.5
    cov = np.cov(c.T, bias=True)
    skew = third / s**3 * (n * (n - 1)) ** 0.5 / (n - 2)
    bend, bias = g @ cov @ h @ cov @ g / s**3, np.trace(h @ cov) / (2 * s)
    wide = np.trace(h @ cov @ h @ cov) / (2 * n * second)
    z = float(stats.t(n - 1).ppf(0.975))
    skew *= 1 + 10 / n
    a, b = (2 * skew + 3 * bend) / 6 / n**0.5, (skew / 6 + bend / 2 - bias) / n**0.5
    error = se / (1 - z * z * wide) ** 0.5
    roots = [brentq(lambda t, y=y: t + a * t * t + a * a * t**3 / 3 + b - y, -1e4, 1e4) for y in (z, -z)]
    return value - error * max(z, roots[0]), value + error * max(z, -roots[1])


def p_of_no_difference(differences: Sequence[float]) -> float:
    """The larger two-sided p of Student's t and of Hall's transformation of it."""
    d = np.array(differences)
    if not d.any():
        return 1.0
    if np.ptp(d) < 1e-12:
        return max(1e-4, 2.0 ** (1 - len(d)))
    n, t = len(d), float(stats.ttest_1samp(d, 0).statistic)
    skew = float(stats.skew(d, bias=False)) / n**0.5
    transformed = t + skew * t * t / 3 + skew**2 * t**3 / 27 + skew / 6
    return max(1e-4, *(2 * float(stats.t(n - 1).sf(abs(x))) for x in (t, transformed)))


def stepped_down(p: Sequence[float]) -> list[float]:
    """Holm (1979): the k-th smallest of n times n - k + 1, never below one that is smaller, at most 1."""
    n = len(p)
    order = sorted(range(n), key=lambda i: p[i])
    times = [p[i] * (n - k) for k, i in enumerate(order)]
    return [min(1.0, max(times[: order.index(i) + 1])) for i in range(n)]


def bits_kept(claim: Claim) -> float:
    """The claim's bits, entropies by counting."""
    everything = float(np.log2(len(claim.data)))
    placed = claim.placement.placed

    def entropy(names: Sequence[str]) -> float:
        count = Counter(zip(*([key(v) for v in claim.values[name]] for name in names), strict=True))
        return -sum(n / len(claim.data) * np.log2(n / len(claim.data)) for n in count.values()) if names else 0.0

    def kept(name: str, own: Callable[[list[str]], float]) -> float:
        parents = sorted({p for site in placed[name].sites for p in site.parents()})
        below = sum(kept(parent, lambda _, p=parent: entropy([p])) for parent in parents)
        return own(parents) if placed[name].leaf else min(own(parents), below)

    if claim.options.rest == "keep":
        return everything
    return min(kept(claim.placement.output, entropy), everything)


def permuted(claim: Claim, source: Sequence[int]) -> Claim:
    """The claim with every variable but the output valued as on another row."""
    output = claim.placement.output
    moved = {name: tuple(values[i] for i in source) for name, values in claim.values.items() if name != output}
    return evolve(claim, values={**claim.values, **moved})


class Partial(Oracle):
    """The oracle with some of its draws alone: where one is left out, the calling row is used by all who share it.

    The calling row of the one r of a whole tree is the reference row.
    """

    made_only: Collection[Swap] | None = None

    def run(self, name: str, placed: PlacedSite, row: int, path: str) -> Values:
        self.rows[path] = row
        return super().run(name, placed, row, path)

    def frame(self, rest: str, row: int, path: str) -> Frame:
        if rest not in ("resample", "paired") or self.makes(path, "rest"):
            return super().frame(rest, row, path)
        one = (rest, self.claim.options.rest_scope) == ("resample", "draw")
        row = self.reference if one else row
        return Frame(row, self.world.plain(row))

    def draw(self, kind: str, path: str, candidates: list[int]) -> int:
        found = super().draw(kind, path, candidates)
        return found if kind == "rest" or self.makes(path, kind) else self.rows[path.rsplit("/", 1)[0]]

    def makes(self, path: str, kind: str) -> bool:
        return self.made_only is None or (path, kind) in self.made_only


def partly(
    claim: Claim, model: Model, seed: int, row: int, draw: int, made: Collection[Swap] | None
) -> tuple[Any, float]:
    """run(answer, x) with some swaps alone; and the share of donors that are the calling row (1 without donors)."""
    oracle = Partial(claim, _world(claim, model), seed, row, draw, [])
    oracle.__dict__.update(made_only=made, rows={})
    output = claim.placement.output
    (value,) = oracle.run(output, claim.placement.placed[output].sites[0], row, "answer").values()
    rows: dict[str, int] = oracle.__dict__["rows"]
    same = [rows[path] == rows[path.rsplit("/", 1)[0]] for path in rows if path != "answer"]
    return value, float(np.mean(same)) if same else 1.0


def drawn(claim: Claim, model: Model) -> set[Swap]:
    """Every swap of a claim that resamples: whatever the oracle draws, each path of a kind once."""
    made: list[tuple[str, str, int]] = []
    scrubbed(claim, model, 0, 0, 0, made)
    return {(path, kind) for kind, path, _ in made}


def subsets(swaps: Sequence[Swap]) -> list[frozenset[Swap]]:
    return [frozenset(some) for n in range(len(swaps) + 1) for some in combinations(swaps, n)]
