"""Inputs that are noise, and what they leave: no claim recovers more than remains when only they are redrawn.

The scale of `recovered` then ends not at the model's metric but at that of the model whose noise comes from another
row, a rest row of the stratum (the one that the answer's rest is, so that what noise does to both is no difference),
everything else being the reference row's. What the model answers is then what it
answers over these redraws: the mean of numbers, else the answer that is given most often.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.anatomy.names import Component
from scrub.anatomy.tolerances import WEIGHT_DIGITS
from scrub.claims.content import alike
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.engine.draw import Draws
from scrub.model.computation import Computation
from scrub.score.metrics import finite
from scrub.score.patched import Patch, PatchedGraph
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Samples, chunks
from scrub.score.spoken import Ceiling
from scrub.score.statistics import interval

OfCalls = Int[np.ndarray, " call"]


@frozen(eq=False)
class Redraws:
    """The model on rows with the noise of others: call i is the row `rows[i]` with that of a donor, weighted."""

    rows: OfCalls
    outputs: Sequence[Any]
    weights: Float[np.ndarray, " call"]

    def mean(self, values: Float[np.ndarray, " call"], rows: Int[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
        """The mean over the redraws of each row."""
        total = np.bincount(self.rows, weights=values * self.weights, minlength=int(rows.max()) + 1)
        return total[rows] / np.bincount(self.rows, weights=self.weights)[rows]

    def commonest(self, values: Sequence[Any], keys: Sequence[Hashable], rows: Int[np.ndarray, " row"]) -> list[Any]:
        """The value that has the most weight among the redraws of each row, the first among equals."""
        weight: dict[int, dict[Hashable, float]] = {int(row): {} for row in rows}
        named = dict(zip(reversed(keys), reversed(values), strict=True))
        for row, name, one in zip(self.rows.tolist(), keys, self.weights.tolist(), strict=True):
            weight[row][name] = weight[row].get(name, 0.0) + one
        return [named[max(weight[int(row)], key=lambda k: round(weight[int(row)][k], WEIGHT_DIGITS))] for row in rows]


def redraws(bench: ClaimBench, rows: Int[np.ndarray, " row"], draws: int | None, seed: int) -> Redraws:
    """The model's outputs on rows with their noise redrawn so many times; with None, every noise there is."""
    claim = bench.claim
    assert isinstance(claim.graph, Computation)
    if draws is None:
        calls, donors, weights = _every(claim, rows)
    else:
        (pairs,) = chunks(rows, draws, max(1, len(rows) * draws))
        calls, donors = (
            pairs.reference,
            Draws(claim, seed).resampled(pairs, pairs.reference),
        )  # the answer's own rests
        weights = np.ones(len(calls))
    sites = (Site(tuple(map(Component.for_node, claim.options.noise))),)
    return Redraws(calls, PatchedGraph(claim, claim.graph).outputs(calls, [Patch(sites, donors)]), weights)


def _every(claim: Claim, rows: Int[np.ndarray, " row"]) -> tuple[OfCalls, OfCalls, Float[np.ndarray, " call"]]:
    """Every row with each distinct noise of its stratum's rest rows, and how often that is met."""
    met: dict[int, dict[str, list[int]]] = {}
    for donor in np.flatnonzero(claim.rest_from).tolist():
        noise = alike(tuple(claim.data.rows[donor].columns[name] for name in claim.options.noise))
        met.setdefault(int(claim.stratum[donor]), {}).setdefault(noise, []).append(donor)
    found = [
        (row, donors[0], float(len(donors)))
        for row in rows.tolist()
        for donors in (met.get(int(claim.stratum[row])) or {"": [row]}).values()
    ]
    calls, donors, weights = zip(*found, strict=True)
    return np.array(calls), np.array(donors), np.array(weights)


def with_ceiling(bench: ClaimBench, samples: Samples, draws: int | None, seed: int) -> Samples:
    """Samples whose scale ends where noise lets it, of a claim that names noise; others stay as they are."""
    if not bench.claim.options.noise:
        return samples
    made = redraws(bench, samples.references, draws, seed)
    scores = finite(bench.measured.of(made.outputs, made.rows), made.rows, "with the noise redrawn")
    return evolve(samples, ceiling=made.mean(scores, samples.references))


def on_own_scale(bench: ClaimBench, samples: Samples, result: Result) -> Result:
    """A result that also says what is recovered on the model's own scale, noise included."""
    if samples.ceiling is None:
        return result
    plain = interval(evolve(samples, ceiling=None).columns, ratio, result.seed, samples.design)
    return evolve(result, ceiling=Ceiling(bench.claim.options.noise, float(samples.ceiling.mean()), plain))
