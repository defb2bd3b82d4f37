"""Values as pandas tables: one line a row, a swap, an effect, a node, a variable, a problem or a fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from attrs import asdict

if TYPE_CHECKING:
    from scrub.circuit.criteria import Criteria
    from scrub.circuit.runs import CircuitRun
    from scrub.circuit.sweep import Sweep
    from scrub.claims.check import Checked
    from scrub.claims.published import ClaimDiff
    from scrub.engine.cost import Plan
    from scrub.proposals.proposal import Proposal
    from scrub.score.comparison import Comparison
    from scrub.score.explain import Explanation
    from scrub.score.interchange import Interchange
    from scrub.score.power import Power
    from scrub.score.result import Result


def rows_frame(value: Result | Comparison | Criteria | CircuitRun) -> pd.DataFrame:
    """The metrics of every reference row."""
    return pd.DataFrame(value.table)


def line_frame(value: Power) -> pd.DataFrame:
    """One line, so that several stand below each other."""
    return pd.json_normalize(value.to_dict())


def plan_frame(plan: Plan) -> pd.DataFrame:
    return pd.json_normalize(plan.to_dict()).drop(columns=["program", "verbs"])


def problems_frame(checked: Checked) -> pd.DataFrame:
    columns = ["file", "line", "variable", "found", "nearest", "fix"]
    return pd.DataFrame(checked.to_dict()["problems"], columns=columns)


def difference_frame(difference: ClaimDiff) -> pd.DataFrame:
    lines = [(difference.a, fact) for fact in difference.removed] + [
        (difference.b, fact) for fact in difference.added
    ]
    return pd.DataFrame(lines, columns=["only_in", "fact"])


def swaps_frame(explanation: Explanation) -> pd.DataFrame:
    return pd.DataFrame([asdict(effect) for effect in explanation.swaps])


def exchanges_frame(interchange: Interchange) -> pd.DataFrame:
    return pd.json_normalize([exchange.to_dict() for exchange in interchange.exchanges])


def effects_frame(sweep: Sweep) -> pd.DataFrame:
    return pd.DataFrame(sweep.to_dict()["effects"])


def nodes_frame(proposal: Proposal) -> pd.DataFrame:
    lines: list[dict[str, Any]] = proposal.to_dict()["nodes"]
    scores = [{f"score ({m})": s for m, s in node.companions.items()} for node in proposal.nodes]
    table = [line | more for line, more in zip(lines, scores, strict=True)]
    return pd.DataFrame(table).drop(columns="companions")
