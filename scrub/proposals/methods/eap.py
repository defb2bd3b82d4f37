"""Edge attribution patching: a component's difference times the gradient at what a channel reads."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, at_base
from scrub.proposals.edges import Edges, at_base_edges
from scrub.proposals.forward import Batch
from scrub.proposals.methods import Asked, Method


def nodes(batch: Batch, asked: Asked) -> Scores:
    """Attribution patching, signed; with rules, under these."""
    return at_base(batch, asked.kinds, asked.rules)


def edges(batch: Batch, asked: Asked) -> Edges:
    """`(u(source) - u(base)) . dL/d input` for every edge, q, k and v apart."""
    return at_base_edges(batch, asked.rules)


METHOD = Method("first-order effect of every edge", "Syed et al. 2023 (arXiv 2310.10348)", nodes, edges)
