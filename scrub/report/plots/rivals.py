"""A comparison as a plot: shares against bits with the controls, and the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scrub.report.plots.canvas import CLAIM, CONTROL, between, marked, panels, plotly, rows_high, whiskers
from scrub.score.comparison import CLAIM as IS_CLAIM

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.score.comparison import Comparison, Difference, ParetoPoint


def comparison_plot(c: Comparison) -> Figure:
    """On the left few bits and a large share are better; on the right each pair's difference with its interval."""
    draws = "every draw" if c.draws is None else f"{c.draws} draws"
    title = f"{len(c.hypotheses)} claims on {c.metric}, {c.rows} rows x {draws}"
    titles = ["share against bits", "paired differences of recovered"]
    high = max(440, rows_high(len(c.differences)))
    figure = panels(titles, [0.55, 0.45], high, title, [_pair(c, d) for d in c.differences])
    claims = [p for p in c.pareto if p.kind == IS_CLAIM]
    controls = [p for p in c.pareto if p.kind != IS_CLAIM]
    for name, points, colour, symbol in (
        ("claims", claims, CLAIM, "circle"),
        ("controls", controls, CONTROL, "square"),
    ):
        figure.add_trace(_points(c, points, name, colour, symbol), row=1, col=1)
    figure.update_xaxes(title_text="bits kept", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="share of the model's metric recovered", row=1, col=1)
    figure.add_trace(_differences(c), row=1, col=2)
    marked(figure, 0, 2)
    figure.update_xaxes(title_text="share recovered more by the first", row=1, col=2)
    figure.update_yaxes(autorange="reversed", row=1, col=2)
    figure.update_layout(legend={"orientation": "h", "y": -0.2})
    return figure


def _points(c: Comparison, points: Sequence[ParetoPoint], name: str, colour: str, symbol: str) -> Any:
    """Hollow where another point keeps no more bits and recovers no less."""
    labels, spans = c.labels, {h.hypothesis: h.recovered for h in c.hypotheses}
    ends = [spans.get(p.hypothesis) if p.kind == IS_CLAIM else None for p in points]
    values = [p.recovered for p in points]
    lows, highs = [e and e.low for e in ends], [e and e.high for e in ends]
    words: list[str] = []
    for p, low, high in zip(points, lows, highs, strict=True):
        share = "undefined" if p.recovered is None else f"{p.recovered:.3f}"
        by = f"<br>dominated by {labels.get(p.dominated_by, p.dominated_by)}" if p.dominated_by else ""
        spread = f" {between(low, high)}" if p.kind == IS_CLAIM else ""
        words.append(f"{labels.get(p.hypothesis, p.hypothesis)}: {share}{spread}, {p.bits:.1f} bits{by}")
    marker = {
        "color": colour, "size": 11, "symbol": [f"{symbol}-open" if p.dominated_by else symbol for p in points],
    }  # fmt: skip
    return plotly().Scatter(
        x=[p.bits for p in points], y=values, mode="markers+text", marker=marker, name=name,
        text=[labels[p.hypothesis] if p.kind == IS_CLAIM else "" for p in points], textposition="top center",
        error_y=whiskers(values, lows, highs), hovertext=words, hoverinfo="text",
    )  # fmt: skip


def _pair(c: Comparison, d: Difference) -> str:
    return f"{c.labels[d.a]} - {c.labels[d.b]}"


def _adjusted(c: Comparison, d: Difference) -> str:
    return f", p (Holm) = {_p(d.adjusted)}" if len(c.differences) > 1 else ""


def _p(p: float | None) -> str:
    return "undefined" if p is None else f"{p:.4f}"


def _differences(c: Comparison) -> Any:
    names = [_pair(c, d) for d in c.differences]
    words = [
        f"{name}: {'undefined' if d.share.value is None else f'{d.share.value:.3f}'} "
        f"{between(d.share.low, d.share.high)}<br>p = {_p(d.p)}{_adjusted(c, d)}<br>{d.verdict}"
        for name, d in zip(names, c.differences, strict=True)
    ]
    values = [d.share.value for d in c.differences]
    spread = whiskers(values, [d.share.low for d in c.differences], [d.share.high for d in c.differences])
    return plotly().Scatter(
        x=values, y=names, mode="markers", marker={"color": CLAIM, "size": 11}, error_x=spread, text=words,
        hoverinfo="text", name="difference", showlegend=False,
    )  # fmt: skip
