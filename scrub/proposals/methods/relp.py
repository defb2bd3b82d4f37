"""Relevance patching: attribution patching with the gradients of relevance propagation."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, at_base
from scrub.proposals.edges import Edges, at_base_edges
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.rules import RELP


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """`(n(source) - n(base)) . rho(n)`, rho the gradient under the rules."""
    return at_base(batch, asked.kinds, asked.rules)


def edges(batch: PatchBatch, asked: Asked) -> Edges:
    """The same for what one component writes into one channel."""
    return at_base_edges(batch, asked.rules)


METHOD = Method(
    "relevance patching: AtP through a pass whose norms, activations and gates follow rules",
    "Jafari et al. 2025 (arXiv 2508.21258)",
    nodes,
    edges,
    rules=RELP,
    takes=("rules",),
)
