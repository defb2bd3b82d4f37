"""A proposal as a plot: the strongest nodes, the estimate of each beside the effect that patching it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.report.plots.canvas import CLAIM, CONTROL, plotly, rows_high, single, with_unit
from scrub.report.ranked import clean, is_absolute, listed, name
from scrub.report.text import short_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.proposals.proposal import Proposal, Ranked

NODES = 20  # that are shown


def proposal_plot(p: Proposal) -> Figure:
    """The strongest nodes, by what is known best of them: filled where patched, hollow where estimated."""
    nodes = [node for _, node in listed(p)[:NODES]]
    for_what = "" if p.hypothesis is None else f" for {name(short_name(p.hypothesis))}"
    title = f"Proposal{for_what}: {clean(p.method)}, {p.direction}, {p.rows} rows"
    figure = single(rows_high(len(nodes)), title)
    labels = [_label(node) for node in nodes]
    go = plotly()
    for a, b, label in zip(nodes, (n.exact for n in nodes), labels, strict=True):
        if b is not None:  # how far off the estimate is
            line = {"color": "#d0d7de", "width": 2}
            figure.add_trace(
                go.Scatter(x=[a.score, b], y=[label] * 2, mode="lines", line=line, hoverinfo="skip", showlegend=False)
            )
    figure.add_trace(_marks("estimate", [n.score for n in nodes], nodes, CONTROL, "circle-open"))
    exact = [(n.exact, n) for n in nodes if n.exact is not None]
    figure.add_trace(_marks("patched", [e for e, _ in exact], [n for _, n in exact], CLAIM, "circle"))
    of = "mean |effect|" if is_absolute(p) else "mean effect"
    figure.update_xaxes(title_text=f"{of} on {with_unit(clean(p.metric))}")
    figure.update_yaxes(title_text="node", type="category", categoryorder="array", categoryarray=labels[::-1])
    return figure


def _label(node: Ranked) -> str:
    return clean(node.node if node.position is None else f"{node.node} @ {node.position}")


def _marks(title: str, values: list[float], nodes: list[Ranked], colour: str, symbol: str) -> Any:
    labels = [_label(node) for node in nodes]
    words = [
        f"{label}<br>estimate {n.score:+.4g} by {clean(n.method)}<br>"
        + ("not patched" if n.exact is None else f"patched {n.exact:+.4g}")
        + f"<br>signed mean {n.signed:+.4g}"
        for label, n in zip(labels, nodes, strict=True)
    ]
    marker = {"color": colour, "symbol": symbol, "size": 10}
    return plotly().Scatter(
        x=values, y=labels, mode="markers", marker=marker, text=words, hoverinfo="text", name=title
    )
