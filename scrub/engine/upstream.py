"""Which rows give a site the same inputs: such rows share a leaf's value, and a swap between them is idle."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import networkx as nx
import numpy as np
from jaxtyping import Int

from scrub.anatomy.names import EMBED, POS, Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.content import alike
from scrub.claims.resolved import Claim
from scrub.claims.values import codes
from scrub.model.computation import Computation


def representatives(claim: Claim, components: Sequence[Component], slots: Sequence[Slot]) -> Int[np.ndarray, " row"]:
    """For every row the first row whose inputs upstream of the site are the same."""
    same = upstream_classes(claim, components, slots)
    first = np.full(int(same.max()) + 1, -1, dtype=np.int64)
    for row in range(len(same) - 1, -1, -1):
        first[same[row]] = row
    return first[same]


def upstream_classes(claim: Claim, components: Sequence[Component], slots: Sequence[Slot]) -> Int[np.ndarray, " row"]:
    """Classes of rows that are equal in all that the components at the slots depend on.

    An embedding depends on its token, a position embedding on its index, any other component on the tokens up
    to its slot (on all tokens without a causal mask), a node of a graph on the inputs before it.
    """
    if isinstance(claim.graph, Computation):
        return codes(_graph_inputs(claim, claim.graph, components))
    kinds = {c.kind: c.whole for c in components}
    seen = [_seen(claim, kinds[kind], slot) for kind in sorted(kinds) for slot in slots]
    return codes(zip(*seen, strict=True))


def _seen(claim: Claim, host: Component, slot: Slot) -> list[Hashable]:
    """What a component at a slot depends on, row by row."""
    tokens = [row.tokens for row in claim.data.rows]
    if slot == ALL:
        return [len(some) for some in tokens] if host == POS else list(tokens)
    at = claim.data.locate(slot).tolist()
    if host == EMBED:
        return [some[index] for some, index in zip(tokens, at, strict=True)]
    if host == POS:
        return at
    if claim.graph.causal:
        return [some[: index + 1] for some, index in zip(tokens, at, strict=True)]
    return list(zip(at, tokens, strict=True))


def _graph_inputs(claim: Claim, model: Computation, components: Sequence[Component]) -> list[Hashable]:
    edges = [(a, node.name) for node in model.nodes.values() for a in node.arguments]
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(model.nodes)
    before = {c.name for c in components}.union(*(nx.ancestors(graph, c.name) for c in components))
    inputs = [name for name in model.inputs() if name in before]
    return [tuple(alike(row.columns.get(name)) for name in inputs) for row in claim.data.rows]
