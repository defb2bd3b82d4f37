"""A result as a plot: what is recovered beside its controls, and the metric row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scrub.report.plots.canvas import (
    CLAIM,
    CONTROL,
    HARM,
    between,
    marked,
    panels,
    plotly,
    rows_high,
    whiskers,
    with_unit,
)
from scrub.report.text import short_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.score.result import Result

Mark = tuple[str, float | None, float | None, float | None, str]


def result_plot(result: Result) -> Figure:
    """On the left the share with its controls and the bar; on the right every row, model against scrubbed."""
    marks = _marks(result)
    name = short_name(result.hypothesis)
    figure = panels(
        ["share recovered", "row by row"], [0.55, 0.45], max(420, rows_high(len(marks))), f"{name}: {result.verdict}"
    )
    figure.add_trace(_shares(marks), row=1, col=1)
    marked(figure, result.bar, 1, f"bar {result.bar:.2f}")
    figure.update_xaxes(title_text="share of the model's metric recovered", row=1, col=1)
    figure.update_yaxes(autorange="reversed", row=1, col=1)
    for trace in _rows(result):
        figure.add_trace(trace, row=1, col=2)
    metric = with_unit(result.metric.name)
    figure.update_xaxes(title_text=f"model's {metric}", row=1, col=2)
    figure.update_yaxes(title_text=f"scrubbed {metric}", row=1, col=2)
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 1, "xanchor": "right"})
    return figure


def _marks(result: Result) -> list[Mark]:
    """Name, value, ends and colour of the claim, of every control, and of the adversary's swaps."""
    r = result.recovered
    found: list[Mark] = [("the claim", r.value, r.low, r.high, CLAIM)]
    found += [(c.name, c.value, c.low, c.high, CONTROL) for c in result.controls]
    if result.adversary is not None:
        share = result.adversary.share
        found.append(("some of its swaps", share.value, share.low, share.high, HARM))
    return found


def _shares(marks: Sequence[Mark]) -> Any:
    names, values, lows, highs, colours = zip(*marks, strict=True)
    words = [f"{n}: {_value(v)} {between(low, high)}" for n, v, low, high, _ in marks]
    return plotly().Scatter(
        x=values, y=names, mode="markers", marker={"color": colours, "size": 11},
        error_x=whiskers(values, lows, highs), text=words, hoverinfo="text", name="recovered", showlegend=False,
    )  # fmt: skip


def _rows(result: Result) -> list[Any]:
    """Everything replaced, then the claim, then the line on which nothing is lost."""
    go, table = plotly(), {name: [float(x) for x in column] for name, column in result.table.items() if name != "row"}
    rows = [int(row) for row in result.table.get("row", ())]
    model = table.get("model", [])
    if not model:
        return []
    found: list[Any] = []
    for name, label, colour, symbol in (
        ("random", "everything replaced", CONTROL, "circle-open"),
        ("scrubbed", "scrubbed", CLAIM, "circle"),
    ):
        words = [f"row {r}: model {m:.3f}, {label} {y:.3f}" for r, m, y in zip(rows, model, table[name], strict=True)]
        marker = {"color": colour, "symbol": symbol, "size": 6, "opacity": 0.75}
        found.append(
            go.Scatter(
                x=model, y=table[name], mode="markers", marker=marker, text=words, hoverinfo="text", name=label
            )
        )
    ends = [min(model), max(model)]
    line = {"color": "#1f2328", "dash": "dot", "width": 1}
    found.append(go.Scatter(x=ends, y=ends, mode="lines", line=line, name="as the model", hoverinfo="skip"))
    return found


def _value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
