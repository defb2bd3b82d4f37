"""The faces of values: a row for each kind, saying which function of this room makes its words, HTML, plot and table.

Functions stand here by name, so that showing one value imports what that takes and nothing else. A kind of value
that is to be shown is a new row.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import frozen

Face = Callable[[Any], Any]


@frozen(kw_only=True)
class Faces:
    """`module.function` in this room for each face; None for a face that a kind of value does not have."""

    text: str | None = None
    html: str | None = None
    plot: str | None = None
    frame: str | None = None


FACES = {
    "scrub.claims.basis.Basis": Faces(text="basis.basis_text", html="basis.basis_html"),
    "scrub.claims.dictionaries.learned.LearnedDictionary": Faces(
        text="basis.dictionary_text", html="notebook.words_html"
    ),
    "scrub.claims.check.Checked": Faces(html="notebook.checked_html", frame="frames.problems_frame"),
    "scrub.claims.hypothesis.Hypothesis": Faces(html="notebook.hypothesis_html"),
    "scrub.claims.problems.Problem": Faces(html="notebook.problem_html"),
    "scrub.claims.problems.ClaimProblems": Faces(html="notebook.claim_problems_html"),
    "scrub.claims.published.Published": Faces(html="notebook.published_html"),
    "scrub.claims.published.ClaimDiff": Faces(html="notebook.difference_html", frame="frames.difference_frame"),
    "scrub.engine.unroll.Occurrence": Faces(html="tree.tree_html"),
    "scrub.engine.cost.Plan": Faces(text="plan.plan_text", html="plan.plan_html", frame="frames.plan_frame"),
    "scrub.score.result.Result": Faces(
        text="text.result_text",
        html="notebook.result_html",
        plot="plots.shares.result_plot",
        frame="frames.rows_frame",
    ),
    "scrub.score.skill_matrix.SkillMatrix": Faces(
        text="matrix.matrix_text",
        html="matrix.matrix_html",
        plot="plots.matrix.matrix_plot",
        frame="matrix.matrix_frame",
    ),
    "scrub.score.explain.Explanation": Faces(
        text="explanation.explanation_text", html="notebook.explanation_html", frame="frames.swaps_frame"
    ),
    "scrub.score.revision.Revision": Faces(
        text="revision.revision_text", html="notebook.words_html", frame="revision.steps_frame"
    ),
    "scrub.score.comparison.Comparison": Faces(
        text="comparison.comparison_text",
        html="comparison.comparison_html",
        plot="plots.rivals.comparison_plot",
        frame="frames.rows_frame",
    ),
    "scrub.score.interchange.Interchange": Faces(
        text="interchange.interchange_text",
        html="interchange.interchange_html",
        plot="plots.exchanges.interchange_plot",
        frame="frames.exchanges_frame",
    ),
    "scrub.score.power.Power": Faces(text="power.power_text", html="notebook.words_html", frame="frames.line_frame"),
    "scrub.evidence.views.Views": Faces(
        text="viewed.views_text", html="viewed.views_html", frame="viewed.views_frame"
    ),
    "scrub.circuit.circuit.Circuit": Faces(html="circuit.circuit_html", frame="circuit.circuit_frame"),
    "scrub.circuit.runs.CircuitRun": Faces(text="sweep.run_text", html="sweep.run_html", frame="frames.rows_frame"),
    "scrub.circuit.sweep.Sweep": Faces(
        text="sweep.sweep_text", html="sweep.sweep_html", plot="plots.heat.sweep_plot", frame="frames.effects_frame"
    ),
    "scrub.circuit.criteria.Criteria": Faces(
        text="criteria.criteria_text",
        html="criteria.criteria_html",
        plot="plots.criteria.criteria_plot",
        frame="frames.rows_frame",
    ),
    "scrub.proposals.subspace.RankCurve": Faces(text="curve.curve_text", html="curve.curve_html"),
    "scrub.proposals.proposal.Proposal": Faces(
        text="proposal.proposal_text",
        html="proposal.proposal_html",
        plot="plots.ranking.proposal_plot",
        frame="frames.nodes_frame",
    ),
}


def face_of(value: object, face: str) -> Face:
    """The function that shows a value so."""
    rows = [FACES[name] for name in map(_name, type(value).__mro__) if name in FACES]
    found = next((getattr(row, face) for row in rows), None)
    assert found is not None, f"{type(value).__name__} has no {face}: it needs a row in {__name__}"
    module, _, function = found.rpartition(".")
    return getattr(import_module(f"scrub.report.{module}"), function)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
