"""Apart: does the claim hold when unclaimed inputs come from different rows?

One rest row is shared by all that an occurrence leaves unclaimed, so that inputs which cancel one another do so in
every draw, and nothing is seen of them: y = x + u - w with u = w. The control is the same claim with an r for each
input (`rest_scope="input"`).
On a transformer rows would have to be mixed by index, so that there it is left to the author.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from attrs import evolve
from jaxtyping import Float

from scrub.anatomy.tolerances import ROUNDING
from scrub.claims.content import alike
from scrub.claims.resolved import Claim
from scrub.engine.draw import all_swaps
from scrub.engine.on_graph import GraphRows
from scrub.engine.unroll import Occurrence
from scrub.errors import MetricError, ModelError
from scrub.score.control import APART, Control
from scrub.score.cost import APART_DRAWS
from scrub.score.demand import doubted
from scrub.score.design import sampled_draws
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Resampling, Samples, enumerate_exactly, resample_only
from scrub.score.statistics import interval
from scrub.score.verdict import REFUTED, UNDEFINED

MOST = 20_000  # combinations of inputs that are enumerated for a site, rather than drawn
Done = Callable[[int], None]


def apart_claim(claim: Claim) -> Claim:
    """The same claim, every unclaimed input with a rest of its own."""
    options = evolve(claim.options, rest_scope="input")
    return evolve(claim, hypothesis=evolve(claim.hypothesis, options=options))


def apart(
    bench: ClaimBench, samples: Samples, result: Result, bench_of: Callable[[Claim], ClaimBench],
    done: Done = lambda _: None,
) -> Result:  # fmt: skip
    """A result with what the claim recovers with inputs apart; where that is refuted, a supported one is doubted.

    `bench_of` sets a claim up on the same model. A refuted claim is not asked.
    """
    if result.verdict in (UNDEFINED, REFUTED) or not bench.claim.separable:
        return result
    try:
        table, design = _table(bench_of(apart_claim(bench.claim)), samples, result, done)
    except (MetricError, ModelError) as error:  # values that never meet may be more than a model's functions take
        failed = Control(APART, None, None, None, None, f"could not be run: {error}")
        return evolve(result, controls=(*result.controls, failed))
    share = interval(np.column_stack([table.mean(1), samples.columns[:, 1:3]]), ratio, result.seed, design)
    result = evolve(result, controls=(*result.controls, Control(APART, share.value, share.low, share.high)))
    if share.high is None or share.high >= result.bar - ROUNDING:
        return result
    why = "holds only while unclaimed inputs come from one row: they may cancel"
    return doubted(result, f"{why} (apart, {share} is recovered, below {result.bar:.2f}).")


def _table(
    bench: ClaimBench, samples: Samples, result: Result, done: Done
) -> tuple[Float[np.ndarray, "row draw"], str]:
    """The scrubbed metric, enumerated where the test was and the combinations are not too many; and the design."""
    if result.draws is None and _combinations(bench) <= MOST:
        return enumerate_exactly(bench, samples.references, result.seed, done).scrubbed, samples.design
    draws = APART_DRAWS if result.draws is None else min(APART_DRAWS, result.draws)
    every = all_swaps(bench.tree, bench.claim)
    asked = Resampling(samples.references, draws, result.seed)
    return resample_only(bench, asked, every, done), sampled_draws(samples.design)


def _combinations(bench: ClaimBench) -> int:
    """How many combinations of unclaimed inputs any one component may read, at most."""
    assert isinstance(bench.rows, GraphRows)
    rows = bench.rows.rows
    distinct = {name: len({alike(row[name]) for row in rows}) for name in bench.rows.model.nodes}

    def read(node: Occurrence) -> int:
        claimed = {channel for child in node.children for channel in child.channels}
        components = node.placed.site.components
        inputs = [set(bench.claim.graph.channels(c)) - claimed for c in components]
        return max(prod(distinct[name] for name in names) for names in inputs)

    return max(read(node) for node in bench.tree.walk() if not node.leaf)
