"""An adversary: is there a subset of the licensed swaps that the model does not survive?

Scrubbing makes all licensed swaps at once, so errors of two of them can cancel. A claim says that every swap is
allowed, hence any subset is; what the claim ties together (a `together` group, with `rest_scope="draw"` all rests) is
one swap. The search is greedy, on one half of the reference rows; what it finds is measured on
the other half, so that its interval owes nothing to the search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import evolve
from jaxtyping import Float, Int

from scrub.anatomy.tolerances import ROUNDING
from scrub.engine.draw import Swap, all_swaps
from scrub.engine.unroll import Occurrence
from scrub.score.control import Adversary
from scrub.score.cost import SEARCH_DRAWS, SEARCH_ROWS
from scrub.score.demand import doubted
from scrub.score.effect import swap_words, swapped_at
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Resampling, Samples, resample_only
from scrub.score.statistics import interval
from scrub.score.verdict import REFUTED, UNDEFINED

WORTH_IT = 0.002  # of what is recovered: a step that harms less ends the search
Rows = Int[np.ndarray, " row"]


def attack(
    bench: ClaimBench, samples: Samples, draws: int, seed: int, done: Callable[[int], None] = lambda _: None
) -> Adversary:
    """Search on the even reference rows (in the order of digests), measure on the odd ones."""
    swaps = all_swaps(bench.tree, bench.claim)
    even = np.arange(0, len(samples.references), 2)[:SEARCH_ROWS]
    odd = np.arange(1, len(samples.references), 2)
    scale = float(samples.random.mean() - samples.top.mean())  # of all rows: that of a few may be nothing
    tried: dict[frozenset[Swap], float] = {}

    def columns_of(at: Rows, draws: int, made: frozenset[Swap]) -> Float[np.ndarray, "row column"]:
        """Row means of (scrubbed, random, top) with some swaps made, on some of the reference rows."""
        table = resample_only(bench, Resampling(samples.references[at], draws, seed), made)
        return np.stack([table.mean(1), samples.random[at].mean(1), samples.top[at]], axis=1)

    def harm(made: frozenset[Swap]) -> float:
        if made not in tried:
            scrubbed, random, _ = columns_of(even, min(draws, SEARCH_DRAWS), made).mean(0)
            tried[made] = float(scrubbed - random) / scale
            done(1)
        return tried[made]

    made = _greedy(list(swaps), harm)
    columns = columns_of(odd, draws, made)
    everything = samples.columns[odd, :3]  # what was found on other rows is not to be milder than all swaps on these
    if ratio(everything.mean(0)[None])[0] < ratio(columns.mean(0)[None])[0]:
        made, columns = frozenset(swaps), everything
    share = interval(columns, ratio, seed)
    named = _named(swaps)
    chosen = tuple(named[swap] for swap in swaps if swap in made)
    return Adversary(chosen, tuple(named[swap] for swap in swaps if swap not in made), share, len(odd))


def _named(swaps: Mapping[Swap, Sequence[Occurrence]]) -> dict[Swap, str]:
    """Swaps in words; those of a variable that occurs several times at one site also say by which path."""
    named = {swap: swap_words(swap[1], *swapped_at(swap, nodes)) for swap, nodes in swaps.items()}
    count = Counter(named.values())
    return {swap: name if count[name] == 1 else f"{name} by {swap[0]}" for swap, name in named.items()}


def _greedy(swaps: list[Swap], harm: Callable[[frozenset[Swap]], float]) -> frozenset[Swap]:
    """From all swaps, and from none: each step adds or takes away the swap that harms most; the worse end wins."""
    ends: list[frozenset[Swap]] = []
    for start in (frozenset(swaps), frozenset[Swap]()):
        made, worst = start, harm(start)
        while True:
            steps = [(harm(made ^ {swap}), -i) for i, swap in enumerate(swaps)]
            best = max(steps, default=(-np.inf, 0))
            if best[0] <= worst + WORTH_IT:
                break
            made, worst = made ^ {swaps[-best[1]]}, best[0]
        ends.append(made)
    return max(ends, key=harm)


def challenge(
    bench: ClaimBench,
    samples: Samples,
    result: Result,
    draws: int,
    done: Callable[[int], None] = lambda _: None,
) -> Result:
    """With its adversary, where the expectation asks for one. It judges as the share of all swaps is judged.

    A supported claim stays so where the adversary's whole interval lies at or above the bar; where it lies below, any
    claim is refuted; else, and where there are too few rows to tell, a supported claim is inconclusive.
    """
    expect = bench.claim.hypothesis.expect
    if expect is None or not expect.any_swaps or result.verdict == UNDEFINED:
        return result
    found = attack(bench, samples, draws, result.seed, done)
    result = evolve(result, adversary=found)
    if result.verdict == REFUTED:
        return result
    low, high = found.share.low, found.share.high
    if low is None or high is None:
        few = f"any_swaps: {found.rows} rows for the adversary's interval are too few."
        return doubted(result, f"{result.reason} {few}")
    only = ", ".join(found.subset) or "none"
    if high < result.bar - ROUNDING:
        reason = f"with these swaps alone, {found.share} is recovered, below {result.bar:.2f}: {only}."
        return evolve(result, verdict=REFUTED, reason=reason)
    if low < result.bar - ROUNDING:
        worst = (
            f"with these swaps alone, {found.share} is recovered, which contains the bar, {result.bar:.2f}: {only}."
        )
        return doubted(result, worst)
    return result
