"""The control of random sites: the same claim on heads of the same layers and positions that it does not name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from attrs import evolve

from scrub.anatomy.names import Component, heads_of
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place, Site
from scrub.engine.draw import all_swaps
from scrub.errors import ClaimError, MetricError, ModelError
from scrub.score.control import RANDOM, Control
from scrub.score.cost import CHOICES
from scrub.score.cost import MOVED_DRAWS as DRAWS
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Resampling, Samples, resample_only
from scrub.score.statistics import interval


def random_sites(
    bench: ClaimBench, samples: Samples, result: Result, bench_of: Callable[[Hypothesis], ClaimBench],
    done: Callable[[int], None] = lambda _: None,
) -> Result:  # fmt: skip
    """A result with what the claim recovers, on average, with its heads moved to others; five seeded choices.

    `bench_of` sets a claim up on the same model. Where there is nothing to move, the control says why.
    """
    try:
        found = _measured(bench, samples, result.seed, bench_of, done)
    except (ClaimError, MetricError, ModelError) as error:
        found = Control(RANDOM, None, None, None, None, str(error))
    return evolve(result, controls=(*result.controls, found))


def _measured(
    bench: ClaimBench, samples: Samples, seed: int, bench_of: Callable[[Hypothesis], ClaimBench],
    done: Callable[[int], None],
) -> Control:  # fmt: skip
    tables: list[np.ndarray] = []
    for number in range(CHOICES):
        other = bench_of(moved(bench.claim.hypothesis, bench.claim, seed, number))
        every = all_swaps(other.tree, other.claim)
        tables.append(resample_only(other, Resampling(samples.references, DRAWS, seed), every))
        done(1)
    columns = np.column_stack([np.concatenate(tables, axis=1).mean(1), samples.columns[:, 1:3]])
    share = interval(columns, ratio, seed)
    return Control(RANDOM, share.value, share.low, share.high, None, f"{CHOICES} choices of unclaimed heads")


def moved(hypothesis: Hypothesis, claim: Claim, seed: int, number: int) -> Hypothesis:
    """The claim with every head moved to an unclaimed one of its layer. Raises ClaimError where there are too few."""
    places = hypothesis.correspondence()
    claimed = {c for place in places.values() for site in _sites(place) for c in site.components if c.traits.is_head}
    claimed = {c.whole for c in claimed}
    if not claimed or not isinstance(claim.graph, TransformerGraph):
        raise ClaimError("the claim names no heads that could be moved.")
    rng = np.random.default_rng([seed, number, 0xE15E])
    to: dict[Component, Component] = {}
    for layer in sorted({c.layer or 0 for c in claimed}):
        own = sorted(c for c in claimed if c.layer == layer)
        every = heads_of(layer, claim.graph.shape)
        free = [c for c in every if c not in claimed]
        if len(free) < len(own):
            raise ClaimError(f"layer {layer} has {len(free)} unclaimed heads for {len(own)} claimed ones.")
        chosen = rng.permutation(len(free))[: len(own)].tolist()
        to |= {old: free[i] for old, i in zip(own, chosen, strict=True)}
    return hypothesis.but(**{name: _moved(place, to) for name, place in places.items()})


def _moved(place: Place, to: dict[Component, Component]) -> Place:
    made = tuple(
        evolve(site, components=tuple(evolve(to.get(c.whole, c.whole), part=c.part) for c in site.components))
        for site in _sites(place)
    )
    if isinstance(place, Site):
        return made[0]
    return made or place


def _sites(place: Place) -> Iterable[Site]:
    if isinstance(place, Site):
        return (place,)
    return place if isinstance(place, tuple) else ()
