"""Attribution patching: the first-order effect of putting a node's value of the source into the base run."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, at_base
from scrub.proposals.edges import Edges, at_base_edges
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`(n(source) - n(base)) . dL/dn` at the base run."""
    return at_base(batch, asked.kinds)


def edges(batch: PatchBatch, asked: Asked) -> Edges:
    """The same for what one component writes into one channel."""
    return at_base_edges(batch)


METHOD = Method(
    "first-order effect at the base run",
    "Kramar et al. 2024 (arXiv 2403.00745), eq. 4-5",
    nodes,
    edges,
    inside=True,
)
