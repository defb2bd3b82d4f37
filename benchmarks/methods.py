"""How well each method ranks the nodes of the zoo's models: every node is patched, and the table is put into a page.

python benchmarks/methods.py            # about two minutes; writes the tables of docs/proposals.md
python benchmarks/methods.py --print    # writes nothing
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch

import scrub
from scrub.claims.collect import collect
from scrub.proposals.agreement import agreement, recall_costs
from scrub.proposals.methods import names
from scrub.proposals.proposal import Proposal
from scrub.proposals.search import WHOLE

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "proposals.md"
CLAIMS = ("names", "induction", "brackets", "compose", "either")
METHODS = ("recommended", *(name for name in names() if name != "exact"))


def proposal_of(claim: str, method: str, direction: str) -> Proposal:
    """Every head, its q, k, v, every MLP and attention layer, each at all positions at once; nothing is verified."""
    hypothesis = next(h for h in collect([str(ROOT / "hypotheses" / f"{claim}.py")]).hypotheses if not h.foil_reason)
    return scrub.propose(
        hypothesis, method=method, direction=direction, absolute=False, verify=0, draws=0, edges=False
    )


def line_of(found: Proposal, exact: Proposal) -> tuple[str, ...]:
    """A node that a method says nothing about has the estimate 0: it is missed, not left out."""
    scores = {node.node: node.score for node in found.nodes}
    nodes = [node for node in exact.nodes if node.kind not in WHOLE]
    estimates = np.array([scores.get(node.node, 0.0) for node in nodes])
    magnitudes = found.aggregate != exact.aggregate
    effects = np.array([node.absolute if magnitudes else node.signed for node in nodes])
    said = agreement(estimates, effects)
    costs = dict(recall_costs(np.argsort(-np.abs(estimates), kind="stable"), effects, 10))
    patches = " / ".join(str(costs.get(k, "-")) for k in (1, 5, 10))
    numbers = ("-" if x is None else f"{x:z.2f}" for x in (said.pearson, said.spearman, said.sign, said.slope))
    return f"{said.live} of {said.nodes}", *numbers, str(said.false_negatives), patches


def tables() -> list[str]:
    lines: list[str] = []
    for claim in CLAIMS:
        for direction in ("noising", "denoising"):
            exact = proposal_of(claim, "exact", direction)
            lines += ["", f"`{claim}`, {direction}:", ""]
            lines += ["| method | live | Pearson | Spearman | sign | slope | missed | patches for 1 / 5 / 10 |"]
            lines += ["|---|---|---|---|---|---|---|---|"]
            for method in METHODS:
                lines.append(f"| {method} | {' | '.join(line_of(proposal_of(claim, method, direction), exact))} |")
    return lines


def main() -> None:
    torch.set_num_threads(1)
    found = "\n".join(tables())
    print(found)
    if "--print" not in sys.argv:
        head, _, rest = PAGE.read_text().partition("<!-- table -->")
        tail = rest.partition("<!-- end -->")[2]
        PAGE.write_text(head + "<!-- table -->" + found + "\n<!-- end -->" + tail)


if __name__ == "__main__":
    main()
