"""How many circuits of a size do as well as one: its parts are exchanged for others, all ways or a sample of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations, product
from math import comb

import numpy as np

from scrub.anatomy.names import Component
from scrub.score.earned import WORTH
from scrub.score.skill_matrix import AsGood
from scrub.score.statistics import LEVEL

MOST_EXCHANGED = 3  # parts: of more there are too many ways for a sample to tell
TRIED = 192  # circuits, shared evenly among the numbers of exchanged parts
Parts = frozenset[Component]
OfParts = Callable[[Sequence[Collection[Component]]], np.ndarray]


def as_good(share: OfParts, own: Parts, candidates: Collection[Component], seed: int) -> AsGood | None:
    """The count, with its interval, of circuits that lose less than 0.01; None where no part can be exchanged."""
    others = sorted(set(candidates) - own)
    most = min(MOST_EXCHANGED, len(own), len(others))
    if not most:
        return None
    least, total = share([own])[0] - WORTH, [0, 0]
    bounds = np.zeros(3)
    for exchanged in range(1, most + 1):
        every = comb(len(own), exchanged) * comb(len(others), exchanged)
        tried = list(_exchanged(own, others, exchanged, TRIED // most, seed))
        good = int((share(tried) >= least).sum())
        bounds += _counted(good, len(tried), every, 1 - (1 - LEVEL) / most)
        total = [total[0] + every, total[1] + len(tried)]
    count, low, high = bounds.tolist()
    return AsGood(count, low, high, most, *total)


def _counted(good: int, tried: int, every: int, level: float) -> np.ndarray:
    """How many of all are good, with its interval: exact where all were tried."""
    from scipy.stats import binomtest  # late, as everywhere: to import it takes a second

    if tried == every:
        return np.full(3, float(good))
    ends = binomtest(good, tried).proportion_ci(level, method="exact")
    return every * np.array([good / tried, ends.low, ends.high])


def _exchanged(own: Parts, others: Sequence[Component], exchanged: int, most: int, seed: int) -> Iterator[Parts]:
    """Circuits with so many of their parts exchanged: all, or as many different ones as `most` says."""
    kept = sorted(own)
    if comb(len(kept), exchanged) * comb(len(others), exchanged) <= most:
        for gone, new in product(combinations(kept, exchanged), combinations(others, exchanged)):
            yield own.difference(gone).union(new)
        return
    rng, seen = np.random.default_rng([seed, exchanged, 0xE8C]), set[Parts]()
    while len(seen) < most:
        gone = [kept[i] for i in rng.choice(len(kept), exchanged, replace=False)]
        new = [others[i] for i in rng.choice(len(others), exchanged, replace=False)]
        made = own.difference(gone).union(new)
        if made not in seen:
            seen.add(made)
            yield made
