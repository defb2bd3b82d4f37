"""AttnLRP as a rule set: RelP's rules, heads' own norms included, and half of attention for its pattern."""

from __future__ import annotations

from scrub.proposals.methods import Method
from scrub.proposals.methods.relp import edges, nodes
from scrub.proposals.rules import RELP

METHOD = Method(
    "AtP with the rules of AttnLRP",
    "Achtibat et al. 2024 (arXiv 2402.05602)",
    nodes,
    edges,
    rules=(*RELP, "qknorm", "split"),
    takes=("rules",),
)
