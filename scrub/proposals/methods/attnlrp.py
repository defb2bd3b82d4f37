"""AttnLRP as a rule set: RelP's rules, and half of what attention passes on goes to the pattern."""

from __future__ import annotations

from scrub.proposals.attribute import Scores, at_base
from scrub.proposals.edges import Edges, at_base_edges
from scrub.proposals.forward import Batch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.rules import RELP


def nodes(batch: Batch, asked: Asked) -> Scores:
    """`(n(source) - n(base)) . rho(n)`, rho the gradient under the rules."""
    return at_base(batch, asked.kinds, asked.rules)


def edges(batch: Batch, asked: Asked) -> Edges:
    """The same for what one component writes into one channel."""
    return at_base_edges(batch, asked.rules)


METHOD = Method(
    "AtP with the rules of AttnLRP",
    "Achtibat et al. 2024 (arXiv 2402.05602)",
    nodes,
    edges,
    rules=(*RELP, "split"),
)
