"""Exact patching of every node: the truth that all other methods estimate, at the price of a pass for each."""

from __future__ import annotations

from scrub.proposals.attribute import Scores
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.patching import PlacedNode, effects


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`L(base run with n at its source value) - L(base run)`, everything downstream computed."""
    found: Scores = {}
    width = batch.columns.shape[2]
    for kind in asked.kinds:
        layers, units = batch.space.extent(kind)
        nodes = batch.space.nodes(kind)
        cases = [frozenset({PlacedNode(node, column)}) for node in nodes for column in range(width)]
        found[kind] = effects(batch, cases, asked.done).T.reshape(len(batch.rows), layers, units, width)
    return found


METHOD = Method("activation patching, one node at a time", "exact", nodes, gradient=False, exact=True, softmax=True)
