"""How often the passes beside a test's own draws run, counted before anything is run, without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import frozen

from scrub.claims.resolved import Claim
from scrub.engine.draw import Swap, all_swaps
from scrub.engine.unroll import Occurrence

PERMUTATIONS = 20  # of shuffled values, one draw each
SEARCH_ROWS, SEARCH_DRAWS = 64, 4  # on which an adversary searches
APART_DRAWS = 4  # with unclaimed inputs from different rows
DONORS = 5  # of interchange, for each row and variable
CHOICES, MOVED_DRAWS = 5, 4  # of random sites
MODELS, UNTRAINED_DRAWS = 3, 4  # that learnt nothing
TIED_DRAWS = 20  # with the rest of hosts tied to parts, over all sites that hold parts
PART_CHOICES = 20  # of random parts, one draw each
WHOLE_DRAWS = 5  # with whole hosts, which are shown and judge nothing
REFITS, REFIT_DRAWS = 3, 4  # of fitted directions, on permuted values
QUICK_ROWS, QUICK_DRAWS = 64, 4  # on which it is looked for what breaks a claim, at most
LEAST_DRAWS = 2  # of what a part earns
LEAST = 16  # calls of a run: fewer tell nothing
Swaps = Mapping[Swap, tuple[Occurrence, ...]]  # with the occurrences that share each


def with_all_below(swap: Swap, everything: Swaps) -> set[Swap]:
    """A swap and all that are below it in the tree."""
    return {swap} | {other for other in everything if _is_below(other, swap, everything)}


def runs_of(swap: Swap, everything: Swaps) -> int:
    """How many runs a swap's effect takes: it alone, all but it, and where others are below all but these and it."""
    nodes = everything[swap]
    own_rests = any(kind == "rest" and len(sharing) == 1 for (_, kind), sharing in everything.items())
    rest_below = swap[1] == "donor" and own_rests and any(not node.leaf for node in nodes)
    below = rest_below or any(node.children for node in nodes)
    return 2 + (not nodes[0].is_root and below)


def effect_runs(tree: Occurrence, claim: Claim) -> int:
    """How many runs the effects of all swaps take."""
    everything = all_swaps(tree, claim)
    return sum(runs_of(swap, everything) for swap in everything)


def _is_below(swap: Swap, other: Swap, everything: Swaps) -> bool:
    """Whether all that share a swap lie in the branches of another: in the subtrees of the occurrences that share it,
    or, of a donor, at these, as the rest that their calls draw."""
    nodes = everything[other]
    here = {node.path for node in nodes} if (other[1], swap[1]) == ("donor", "rest") else set[str]()
    return all(n.path in here or any(n.path.startswith(f"{o.path}/") for o in nodes) for n in everything[swap])


def apart_calls(claim: Claim, rows: int, draws: int | None) -> int:
    """The calls of a claim whose unclaimed inputs come from different rows, where they can; exact, at most."""
    return rows * min(APART_DRAWS, draws or APART_DRAWS) if claim.separable else 0


def tied_draws(sites: int, draws: int) -> int:
    """The draws of each tied run: together about as many as a claim's own."""
    return min(draws, max(LEAST_DRAWS, TIED_DRAWS // sites))


@frozen
class Budget:
    """What may be spent on what breaks a claim: `chosen` swaps, each of `runs` on `rows` rows x `draws` draws."""

    chosen: tuple[Swap, ...]
    swaps: int
    runs: int
    rows: int
    draws: int

    @property
    def calls(self) -> int:
        return self.runs * self.rows * self.draws

    @classmethod
    def of(cls, everything: Swaps, rows: int, draws: int) -> Budget:
        """At most the calls of a test of so many rows and draws; the swaps nearest the answer where all are too many.

        A run of fewer calls than `LEAST` would tell nothing.
        """
        nearest = sorted(everything, key=lambda swap: swap[0].count("/"))
        needed = np.cumsum([runs_of(swap, everything) for swap in nearest])
        each = max(min(LEAST, rows * draws), rows * draws // max(1, int(needed[-1]) if len(needed) else 1))
        few = min(QUICK_ROWS, rows, each)
        times = min(QUICK_DRAWS, draws, each // few)
        count = int((needed * few * times <= rows * draws).sum())
        return cls(tuple(nearest[:count]), len(nearest), int(needed[count - 1]) if count else 0, few, times)


def few_draws(draws: int) -> int:
    """Of a test's draws, those on which it is asked what each part earns: a quarter, and at least two."""
    return min(draws, max(LEAST_DRAWS, draws // 4))


@frozen
class Spending:
    """What may be spent on what a claim leaves out: in each step a share of what the claim's own draws cost.

    Of the senders that gain most on a few calls so many are `measured`, on `rows` rows x `draws`
    draws (None: all that are asked).
    """

    share: float
    measured: int
    rows: int | None = None
    draws: int | None = None


QUICK = Spending(0.1, 6, QUICK_ROWS, LEAST_DRAWS)  # beside a test
FULL = Spending(2.0, 24)  # of an explanation
