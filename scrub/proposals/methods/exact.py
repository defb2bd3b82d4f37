"""Exact patching of every node: the truth that all other methods estimate, at the price of a pass for each."""

from __future__ import annotations

from scrub.proposals.attribute import Scores
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.nodes import WHOLE
from scrub.proposals.patching import PlacedNode, effects


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`L(base run with n at its source value) - L(base run)`, everything downstream computed.

    A stream, or the embedding, at every position is the whole run: that of the source.
    """
    found: Scores = {}
    width = batch.columns.shape[2]
    for kind in asked.kinds:
        layers, units = batch.space.extent(kind)
        if batch.summed and kind in WHOLE:
            base, source = batch.ends()
            found[kind] = (source - base)[:, None, None, None].expand(-1, layers, units, width)
            continue
        nodes = batch.space.nodes(kind)
        cases = [frozenset({PlacedNode(node, column)}) for node in nodes for column in range(width)]
        found[kind] = effects(batch, cases, asked.done).T.reshape(len(batch.rows), layers, units, width)
    return found


METHOD = Method("activation patching, one node at a time", "exact", nodes, gradient=False, exact=True, softmax=True)
