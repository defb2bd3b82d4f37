"""Exact patching in rank order, until a budget is spent or the largest effects stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Float

from scrub.proposals.agreement import over_rows
from scrub.proposals.patching import PlacedNode, effects
from scrub.proposals.setup import Setup


@frozen(eq=False)
class Verified:
    """The exact effects of the nodes that were patched, in the order of patching."""

    nodes: tuple[PlacedNode, ...]
    values: Float[np.ndarray, "row node"]
    stands: bool


@frozen
class PatchBudget:
    """How many nodes are patched at `most`, and of how many the order must stand, by mean or mean of absolutes.

    With None all nodes are patched, whatever stands.
    """

    most: int | None
    top: int
    absolute: bool


def verify(
    setup: Setup, ranked: Sequence[PlacedNode], budget: PatchBudget, done: Callable[[int], None],
    ready: Callable[[Verified], None] = lambda so_far: None,
) -> Verified:  # fmt: skip
    """Patch nodes in rank order. The `top` largest stand when as many further patches leave them as they are.

    `ready` hears, before any is patched and after each step, of those that are.
    """
    every, top = budget.most is None, budget.top
    most = len(ranked) if budget.most is None else min(budget.most, len(ranked))
    values = np.zeros((len(setup.rows), 0))
    patched, stands = 0, False
    ready(Verified((), values, stands))
    while patched < most and (every or not stands):
        # twice at first: the largest stand only once as many again were patched, so fewer could not tell
        some = ranked[patched : min(most, patched + (top if patched else 2 * top))]
        values = np.concatenate([values, exact(setup, some, done)], axis=1)
        patched += len(some)
        stands = _stands(values, top, budget.absolute)
        ready(Verified(tuple(ranked[:patched]), values, stands))
    return Verified(tuple(ranked[:patched]), values, stands or patched == len(ranked))


def exact(setup: Setup, nodes: Sequence[PlacedNode], done: Callable[[int], None]) -> Float[np.ndarray, "row node"]:
    """The effect of every node patched alone, on every row."""
    found = np.zeros((len(setup.rows), len(nodes)))
    for chosen, batch in setup.batches():
        found[chosen] = effects(batch, [frozenset({node}) for node in nodes], done).T.double().cpu().numpy()
    return found


def _stands(values: Float[np.ndarray, "row node"], top: int, absolute: bool) -> bool:
    """Whether none of the last `top` nodes is among the `top` largest."""
    size = np.abs(over_rows(values, absolute))
    largest = np.argsort(-size, kind="stable")[:top]
    return len(size) >= 2 * top and bool((largest < len(size) - top).all())
