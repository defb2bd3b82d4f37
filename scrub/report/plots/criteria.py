"""The three criteria as a plot: the metric of model, circuit and ablated run, what sets and single parts do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.errors import ScrubError
from scrub.report.criteria import headline
from scrub.report.plots.canvas import CLAIM, CONTROL, RISE, panels, plotly, rows_high, with_unit

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.circuit.completeness import Completeness
    from scrub.circuit.criteria import Criteria

NAMED = 6  # parts of a set that a hover text names


def criteria_plot(result: Criteria) -> Figure:
    """Faithfulness, completeness and minimality, each a panel; bars of parts shown to be needed are filled."""
    if result.completeness is None:
        raise ScrubError("criteria that were broken off have no plot: run them to their end.")
    high = max(420, rows_high(max(len(result.minimality), 3 + len(result.completeness.by_variable))))
    titles = ["faithfulness: F", "completeness: gap", "minimality: effect of a part"]
    labels = ["worst of 20 random", *(n.part for n in result.minimality)]
    figure = panels(titles, [0.24, 0.34, 0.42], high, headline(result), labels)
    metric = with_unit(result.metric)
    for column, (trace, axis) in enumerate(
        [
            (_faithfulness(result), f"mean {metric}"),
            (_completeness(result.completeness), metric),
            (_minimality(result), metric),
        ],
        1,
    ):
        figure.add_trace(trace, row=1, col=column)
        if column == 1:
            figure.update_yaxes(title_text=axis, row=1, col=column)
        else:
            figure.update_xaxes(title_text=axis, row=1, col=column)
            figure.update_yaxes(autorange="reversed", row=1, col=column)
    figure.update_layout(showlegend=False)
    return figure


def _faithfulness(result: Criteria) -> Any:
    f = result.faithfulness
    names, values = ["model", "circuit", "all ablated"], [f.model, f.circuit, f.ablated]
    words = [f"F({n}) = {v:.4g}" for n, v in zip(names, values, strict=True)]
    return plotly().Bar(
        x=names, y=values, marker={"color": [RISE, CLAIM, CONTROL]}, hovertext=words, hoverinfo="text", name="F"
    )


def _completeness(c: Completeness) -> Any:
    """|F(C without K) - F(M without K)| for the worst K, the worst of the random ones, and each variable's parts."""
    found = [("worst found", c.worst.gap, c.worst.parts)]
    found += [(f"worst of {len(c.random)} random", max(c.random), ())] if c.random else []
    found += [(gap.variable or "", gap.gap, gap.parts) for gap in c.by_variable]
    words = [f"K = {_some(parts) or 'random sets'}: gap {gap:.4g}" for _, gap, parts in found]
    return plotly().Bar(
        y=[name for name, _, _ in found], x=[gap for _, gap, _ in found], orientation="h",
        marker={"color": CONTROL}, hovertext=words, hoverinfo="text", name="gap",
    )  # fmt: skip


def _minimality(result: Criteria) -> Any:
    words: list[str] = []
    for n in result.minimality:
        needed = f"{'' if n.minimal else 'not '}shown to be needed"
        after = "" if n.most is None else f", stopped after {n.n} of {n.most}"
        p = "not tested" if n.adjusted is None else f"adjusted p = {n.adjusted:.3g}{after}<br>{needed}"
        words.append(f"{n.part}: effect {n.effect:.4g}, {p}; context {_some(n.context) or 'none'}")
    fill = [CLAIM if n.minimal else "#ffffff" for n in result.minimality]
    return plotly().Bar(
        y=[n.part for n in result.minimality], x=[n.effect for n in result.minimality], orientation="h",
        marker={"color": fill, "line": {"color": CLAIM, "width": 1.5}}, hovertext=words, hoverinfo="text",
        name="effect",
    )  # fmt: skip


def _some(parts: tuple[str, ...]) -> str:
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return ", ".join(parts[:NAMED]) + more
