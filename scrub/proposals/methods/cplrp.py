"""CP-LRP as a rule set: the attention pattern is constant, so queries and keys have no estimate but 0."""

from __future__ import annotations

from scrub.proposals.methods import Method
from scrub.proposals.methods.relp import edges, nodes
from scrub.proposals.rules import RELP

METHOD = Method(
    "AtP with the rules of CP-LRP: the attention pattern is constant",
    "Ali et al. 2022 (arXiv 2202.07304)",
    nodes,
    edges,
    rules=(*RELP, "attention"),
)
