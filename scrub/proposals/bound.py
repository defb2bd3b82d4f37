"""What was not patched, and may have been missed: random subsets are patched together, which bounds the rest.

Kramar et al. 2024 (arXiv 2403.00745), algorithm 1 and the diagnostic after it: the mean effect of subsets with a
node minus that of subsets without it estimates the node's effect, if effects add up; a one-sided Welch interval
around it bounds the effect. The bound on the largest of all needs no correction for their number.

What estimates say of a subset is a control variate: it is taken away, as far as it goes with the effects, before
subsets are compared, and what they say of the node is put back. However wrong they are, the bound means the same; the
better they are, the fewer rows it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Bool, Float

from scrub.proposals.cost import SUBSET
from scrub.proposals.patching import PlacedNode, effects
from scrub.proposals.setup import Setup

LEVELS = (0.9, 0.99, 0.999)
UNKNOWN = np.zeros(1)
SHARE = 0.05  # of the nodes, in a subset: effects of few add up better than those of many
ASSUMPTION = (
    "effects of nodes that are patched together are assumed to add up, and the effect bounded is the signed mean "
    "over rows: effects of opposite sign on different rows can hide in it"
)


@frozen
class Bound:
    """With confidence `level`, no node that was not patched has a mean effect above `value`; None: too few draws."""

    level: float
    value: float | None


@frozen
class Bounded:
    """The bounds, how many nodes they are about, and how many random subsets were patched."""

    bounds: tuple[Bound, ...]
    nodes: int
    draws: int


@frozen(eq=False)
class Unpatched:
    """Nodes that were not patched, and what was estimated of them, signed."""

    nodes: Sequence[PlacedNode]
    estimates: Float[np.ndarray, "row node"]


def bound_rest(setup: Setup, rest: Unpatched, draws: int, seed: int, done: Callable[[int], None]) -> Bounded:
    """Bounds on the effects of nodes. `draws` subsets of them, each on a few of the rows, these in turn."""
    count = len(rest.nodes)
    if not count:
        return Bounded(tuple(Bound(level, 0.0) for level in LEVELS), 0, 0)
    if not draws:
        return Bounded((), count, 0)
    rng = np.random.default_rng([seed, count, 0xB0D])
    chosen = rng.random((draws, count)) < SHARE
    found, expected = _effects(setup, rest, chosen, rng, done)
    slope = _slope(expected, found)
    words = differences(chosen, found - slope * expected, slope * rest.estimates.mean(0))
    return Bounded(tuple(Bound(level, largest(words, level)) for level in LEVELS), count, draws)


def _effects(
    setup: Setup, rest: Unpatched, chosen: Bool[np.ndarray, "draw node"], rng: np.random.Generator,
    done: Callable[[int], None],
) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"]]:  # fmt: skip
    """The mean effect of every subset on one of the row groups in turn, and what estimates say of it there."""
    rows = rng.permutation(len(setup.rows))
    # a subset is patched on one group of rows, the next on the next: all rows are seen at the price of one group
    longest = int(setup.experiment.data.lengths[setup.rows].argmax())
    size, together = min(SUBSET, setup.group_size(longest)), setup.together(longest)
    count = max(1, len(rows) // size)
    found, expected = np.zeros(len(chosen)), np.zeros(len(chosen))
    for group in range(min(count, len(chosen))):
        some = np.arange(group, len(chosen), count)
        own = np.sort(rows[group * size : (group + 1) * size])
        cases = [frozenset(rest.nodes[int(i)] for i in np.flatnonzero(chosen[draw])) for draw in some]
        filled = [i for i, case in enumerate(cases) if case]
        parts = [setup.batch(own[i : i + together]) for i in range(0, len(own), together)]
        values = torch.cat([effects(part, [cases[i] for i in filled], done) for part in parts], dim=1).mean(1)
        found[some[filled]] = values.double().cpu().numpy()
        expected[some] = chosen[some] @ rest.estimates[own].mean(0)
    return found, expected


def _slope(x: Float[np.ndarray, " draw"], y: Float[np.ndarray, " draw"]) -> float:
    """Of the least-squares line of y on x; 0 where x has no spread."""
    x = x - x.mean()
    return float(x @ y / (x @ x)) if x.any() else 0.0


Differences = tuple[tuple[float, float, float], ...]  # |difference| of means, its standard error, degrees of freedom


def differences(
    chosen: Bool[np.ndarray, "draw node"], found: Float[np.ndarray, " draw"],
    known: Float[np.ndarray, "#node"] = UNKNOWN,
) -> Differences:  # fmt: skip
    """For every node, subsets with it against subsets without it; `known` is what was taken away for each node."""
    words: list[tuple[float, float, float]] = []
    for inside, own in zip(chosen.T, np.broadcast_to(known, chosen.shape[1]), strict=True):
        a, b = found[inside], found[~inside]
        error, freedom = welch((_sd(a), _sd(b)), (len(a), len(b)))
        words.append((abs(float(own + a.mean() - b.mean())) if len(a) and len(b) else np.inf, error, freedom))
    return tuple(words)


def largest(words: Differences, level: float) -> float | None:
    """The largest |difference| + t * standard error; None where a node was drawn too rarely to tell."""
    from scipy.stats import t

    sizes, errors, freedoms = np.array(words).T
    if not np.isfinite(errors).all():
        return None
    return float((sizes + np.where(errors > 0, t.ppf(level, freedoms) * errors, 0)).max())


def welch(sd: tuple[float, float], n: tuple[int, int]) -> tuple[float, float]:
    """Standard error of a difference of two means and its degrees of freedom (Welch 1947); infinite below two."""
    if min(n) < 2:
        return np.inf, 0.0
    a, b = sd[0] ** 2 / n[0], sd[1] ** 2 / n[1]
    if a + b == 0:
        return 0.0, np.inf
    return float(np.sqrt(a + b)), (a + b) ** 2 / (a * a / (n[0] - 1) + b * b / (n[1] - 1))


def _sd(x: Float[np.ndarray, " n"]) -> float:
    return float(x.std(ddof=1)) if len(x) > 1 else 0.0
