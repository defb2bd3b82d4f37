"""The controls of a claim with parts, made with every test: tied, random parts, whole.

*Tied*, one run for each site that holds parts: there the rest of the host takes the site's donor too, which the
claim allows; parts that other sites hold keep theirs. A part that works only while the rest of its host stays on
another row takes a pathway that the model does not use: it adds a direction that the host never writes to one that
nothing reads (A. Makelov, G. Lange and N. Nanda, "Is This the Subspace You Are Looking for?", 2023). *Random parts*
of the same size say whether any would do. *Whole* is the same claim with whole hosts.

All share the claim's draws, and its run of the pool (`part_needs`); mean and zero rows are made for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float

from scrub.anatomy.tolerances import ROUNDING
from scrub.claims.holds import Where
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Draws, all_swaps
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.unroll import Occurrence
from scrub.errors import ClaimError, MetricError, ModelError
from scrub.score.control import RANDOM_PARTS, TIED, WHOLE, Control
from scrub.score.controls import beyond_shuffled, of_shuffled
from scrub.score.cost import PART_CHOICES, WHOLE_DRAWS, tied_draws
from scrub.score.demand import doubted
from scrub.score.random_parts import DrawnParts
from scrub.score.replaced import (
    Components,
    leaves_something,
    replaced,
    retold,
    sites_with_parts,
    tied,
    whole_of,
    wholes,
)
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Resampling, Samples, at_once, resample_only
from scrub.score.statistics import Interval, interval
from scrub.score.verdict import REFUTED, UNDEFINED

Benches = Callable[[Sequence[tuple[Claim, Occurrence]]], list[ClaimBench]]


def part_controls(
    bench: ClaimBench, samples: Samples, result: Result, alike: Benches, done: Callable[[int], None] = lambda _: None
) -> Result:
    """A result with the controls of its parts; as it is where it has none, or no verdict.

    `alike` sets up claims that differ in the components of their sites alone. A tied run that is refuted refutes the
    claim; parts that recover no more than random ones make a supported claim inconclusive; parts that recover more
    than their whole hosts are told of. A control that cannot be made says why, and moves nothing.
    """
    sites = sites_with_parts(bench.claim)
    if result.verdict == UNDEFINED or not sites:
        return result
    asked = _Asked(bench, samples, result.seed, alike, done)
    for where in sites:
        result = _tied(asked, result, where)
    return _whole(asked, _random(asked, result))


@frozen(eq=False)
class _Asked:
    """A sampled claim, whose controls share its draws."""

    bench: ClaimBench
    samples: Samples
    seed: int
    alike: Benches
    done: Callable[[int], None]

    def benches(self, changes: Sequence[Mapping[Where, Components]]) -> list[ClaimBench]:
        """The claim with other components in some sites, in each of several ways."""
        claims = [replaced(self.bench.claim, change) for change in changes]
        return self.alike([(claim, retold(self.bench.tree, self.bench.claim, claim)) for claim in claims])

    def drawn(self, bench: ClaimBench, draws: int) -> Float[np.ndarray, "row 3"]:
        """Row means of (scrubbed, random, top) of another claim, over the first of the draws."""
        every = all_swaps(bench.tree, bench.claim)
        table = resample_only(bench, Resampling(self.samples.references, draws, self.seed), every, self.done)
        return np.column_stack([table.mean(1), self.samples.columns[:, 1:3]])

    def random_draws(self, drawn: DrawnParts) -> Iterator[Float[np.ndarray, " row"]]:
        """One draw of every row with each choice of random parts.

        A choice is set up when its turn comes: parts of a topk dictionary hold an encoder each. Where mean or zero
        rows are made for them, these are made once for all.
        """
        numbers = range(PART_CHOICES)
        drawn = drawn.reading(self.seed, numbers)
        for some in [numbers] if self.bench.claim.options.pseudo else [[number] for number in numbers]:
            benches = self.benches([drawn.choice(self.seed, number) for number in some])
            yield from map(self.one_draw, benches, some)

    def one_draw(self, bench: ClaimBench, number: int) -> Float[np.ndarray, " row"]:
        """The scrubbed metric of one draw of every row."""
        calls = Calls(self.samples.references, np.full(len(self.samples.references), number))
        return self._of(bench, calls)

    def _of(self, bench: ClaimBench, calls: Calls) -> Float[np.ndarray, " call"]:
        size = at_once(bench)
        pieces = [slice(i, i + size) for i in range(0, len(calls.reference), size)]
        cut = [Calls(calls.reference[piece], calls.draw[piece]) for piece in pieces]
        made = Draws(bench.claim, self.seed)
        blocks = (bench.alone(some, made.tree(bench.tree, some)) for some in cut)
        return bench.gathered(blocks, self.done)["scrubbed"]


def _tied(asked: _Asked, result: Result, where: Where) -> Result:
    """With one site tied; where that is refuted at the bar, so is the claim."""
    claim, sites = asked.bench.claim, sites_with_parts(asked.bench.claim)
    parts = [c for c in sites[where].site.components if leaves_something(c)]
    hosts = ", ".join(map(str, sorted({whole_of(c) for c in parts})))
    name = f"{TIED} {sites[where].site}"
    try:
        (bench,) = asked.benches([tied(claim, where)])
        share = interval(
            asked.drawn(bench, tied_draws(len(sites), asked.samples.scrubbed.shape[1])), ratio, asked.seed
        )
    except (ClaimError, MetricError, ModelError) as error:
        return _with(result, Control(name, None, None, None, None, f"could not be run: {error}"))
    note = f"the rest of {hosts} takes the donor of {where[0]} too"
    result = _with(result, Control(name, share.value, share.low, share.high, None, note))
    if result.verdict == REFUTED or share.high is None or share.high >= result.bar - ROUNDING:
        return result
    why = f"holds only while the rest of {hosts} stays on another row, as a dormant pathway does"
    return evolve(
        result, verdict=REFUTED, reason=f"{why}: tied, {share} is recovered, which lies below {result.bar:.2f}."
    )


def _random(asked: _Asked, result: Result) -> Result:
    """With what random parts recover on average; a supported claim that recovers no more than they is doubted."""
    rows = asked.bench.rows
    assert isinstance(rows, TransformerRows)
    try:
        drawn = DrawnParts.of(rows)
        table = np.column_stack(list(asked.random_draws(drawn)))
    except (ClaimError, MetricError, ModelError) as error:
        return _with(result, Control(RANDOM_PARTS, None, None, None, None, f"could not be run: {error}"))
    columns = np.column_stack([asked.samples.columns[:, :3], table.mean(1)])
    share = interval(columns, of_shuffled, asked.seed)
    note = f"{PART_CHOICES} choices of parts of the same size"
    result = _with(result, Control(RANDOM_PARTS, share.value, share.low, share.high, None, note))
    more = interval(columns, beyond_shuffled, asked.seed)
    if more.low is not None and more.low > ROUNDING:
        return result
    return doubted(
        result, f"any part of this size does as well: what is recovered beyond random parts {_seen(more)}."
    )


def _seen(more: Interval) -> str:
    return "has no interval" if more.low is None else f"is {more}, which does not lie above 0"


def _whole(asked: _Asked, result: Result) -> Result:
    """With what the claim recovers with whole hosts; it is told where its parts recover more than these."""
    try:
        (bench,) = asked.benches([wholes(asked.bench.claim)])
        columns = asked.drawn(bench, min(WHOLE_DRAWS, asked.samples.scrubbed.shape[1]))
    except (ClaimError, MetricError, ModelError) as error:
        return _with(result, Control(WHOLE, None, None, None, None, f"could not be run: {error}"))
    share = interval(columns, ratio, asked.seed)
    result = _with(
        result, Control(WHOLE, share.value, share.low, share.high, None, "the same claim with whole hosts")
    )
    more = interval(np.column_stack([asked.samples.columns[:, :3], columns[:, 0]]), beyond_shuffled, asked.seed)
    if more.low is None or more.low <= ROUNDING:
        return result
    told = f"the parts recover {more} more than their whole hosts: what the hosts do beside them undoes some of it."
    return evolve(result, warnings=(*result.warnings, told))


def _with(result: Result, control: Control) -> Result:
    return evolve(result, controls=(*result.controls, control))
