"""CP-LRP as a rule set: patterns and gates are constant, so queries and keys have no estimate but 0."""

from __future__ import annotations

from scrub.proposals.methods import Method
from scrub.proposals.methods.relp import edges, nodes

METHOD = Method(
    "AtP with the rules of CP-LRP: patterns and gates are constant",
    "Ali et al. 2022 (arXiv 2202.07304); gates as in LXT, Achtibat et al. 2024",
    nodes,
    edges,
    rules=("ln", "identity", "gate", "attention"),
    takes=("rules",),
)
