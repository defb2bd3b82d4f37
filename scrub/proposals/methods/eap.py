"""Edge attribution patching: a component's difference times the gradient at what a channel reads."""

from __future__ import annotations

from scrub.proposals.methods import Method
from scrub.proposals.methods.relp import edges, nodes

METHOD = Method(
    "first-order effect of every edge",
    "Syed et al. 2023 (arXiv 2310.10348)",
    nodes,
    edges,
    takes=("rules",),
)
