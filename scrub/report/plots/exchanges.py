"""Interchange interventions as a plot: how often the model follows the story, beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.report.plots.canvas import CLAIM, CONTROL, RISE, between, plotly, rows_high, single, whiskers
from scrub.report.text import short_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.score.interchange import Interchange, Share


def interchange_plot(found: Interchange) -> Figure:
    """A line for each variable: on all rows, where model and story agree, and what chance gives."""
    names = [e.variable for e in found.exchanges]
    title = f"{short_name(found.hypothesis)}: interchange interventions, {found.rows} rows x {found.draws} donors"
    figure = single(rows_high(len(names)), title)
    all_rows, agreeing = [e.moved for e in found.exchanges], [e.moved_agreeing for e in found.exchanges]
    stayed = [e.stayed for e in found.exchanges]
    figure.add_trace(_shares("answers what the story says", names, all_rows, CLAIM, "circle"))
    figure.add_trace(_shares("where model and story agree", names, agreeing, CLAIM, "circle-open"))
    figure.add_trace(_shares("does not move where it should not", names, stayed, RISE, "diamond-open"))
    chance = [share.chance for share in all_rows]
    words = [
        f"{n}: {'no chance level' if c is None else f'{c:.3f} by chance'}" for n, c in zip(names, chance, strict=True)
    ]
    marker = {"color": CONTROL, "symbol": "line-ns-open", "size": 16}
    figure.add_trace(
        plotly().Scatter(
            x=chance, y=names, mode="markers", marker=marker, text=words, hoverinfo="text", name="chance"
        )
    )
    figure.update_xaxes(title_text="share of calls", range=[-0.03, 1.03])
    figure.update_yaxes(
        title_text="variable exchanged", type="category", categoryorder="array", categoryarray=names[::-1]
    )
    figure.update_layout(legend={"orientation": "h", "y": -0.25})
    return figure


def _shares(title: str, names: list[str], shares: list[Share], colour: str, symbol: str) -> Any:
    values = [s.share.value for s in shares]
    words = [
        f"{name}, {title}: {'undefined' if s.share.value is None else f'{s.share.value:.3f}'} "
        f"{between(s.share.low, s.share.high)}, {s.rows} rows"
        for name, s in zip(names, shares, strict=True)
    ]
    spread = whiskers(values, [s.share.low for s in shares], [s.share.high for s in shares])
    marker = {"color": colour, "symbol": symbol, "size": 10}
    return plotly().Scatter(
        x=values, y=names, mode="markers", marker=marker, error_x=spread, text=words, hoverinfo="text", name=title
    )
