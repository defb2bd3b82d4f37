"""What all plots share: plotly itself, imported late, colours, names of axes, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scrub.claims.wording import METRICS
from scrub.errors import ScrubError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CLAIM, CONTROL, HARM, RISE = "#2166ac", "#6e7781", "#b2182b", "#1b7837"
BAR = 34  # pixels of a line of a plot
SPACE, LETTER, MOST = 0.08, 0.0065, 0.3  # of a figure's width: between panels, for a letter there, at most


def plotly() -> Any:
    """The module `plotly.graph_objects`. Raises ScrubError where plotly is not installed."""
    try:
        import plotly.graph_objects as found
    except ImportError:
        raise ScrubError("plots need plotly, which is not installed: pip install 'causal-scrub[plot]'.") from None
    return found


def panels(
    titles: Sequence[str], widths: Sequence[float], height: int, title: str, labels: Sequence[str] = ()
) -> Figure:
    """An empty figure of one row of panels, with room between them for labels that stand left of the later ones."""
    plotly()
    from plotly.subplots import make_subplots

    figure = make_subplots(
        1, len(titles), subplot_titles=list(titles), column_widths=list(widths),
        horizontal_spacing=min(MOST, SPACE + LETTER * max(map(len, labels), default=0)),
    )  # fmt: skip
    return dressed(figure, title, height)


def single(height: int, title: str) -> Figure:
    """An empty figure of one panel."""
    return dressed(plotly().Figure(), title, height)


def dressed(figure: Figure, title: str, height: int) -> Figure:
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 15}}, height=height,
        template="plotly_white", margin={"l": 60, "r": 20, "t": 80, "b": 60}, hoverlabel={"align": "left"},
    )  # fmt: skip
    return figure


def marked(figure: Any, x: float, column: int, note: str = "") -> None:
    """A dashed vertical line in one panel. plotly's own types of its arguments are wrong, hence Any."""
    figure.add_vline(
        x,
        line_dash="dash",
        line_color="#1f2328",
        annotation_text=note,
        annotation_position="bottom right",
        row=1,
        col=column,
    )


def with_unit(metric: str) -> str:
    """`logit_diff(io, s1) (logits)`: a metric as an axis names it; one of a user's own has no unit that is known."""
    name = metric.partition("(")[0]
    unit = METRICS.said(name).unit if name in METRICS.names() else ""
    return f"{metric} ({unit})" if unit else metric


def whiskers(
    values: Sequence[float | None], lows: Sequence[float | None], highs: Sequence[float | None]
) -> dict[str, Any]:
    """Error bars from the ends of intervals; none where an end is undefined."""
    up = [None if v is None or h is None else h - v for v, h in zip(values, highs, strict=True)]
    down = [None if v is None or low is None else v - low for v, low in zip(values, lows, strict=True)]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down}


def between(low: float | None, high: float | None) -> str:
    """`[0.12, 0.34]`, as hover texts have it."""
    return "no interval" if low is None or high is None else f"[{low:.3g}, {high:.3g}]"


def rows_high(count: int) -> int:
    """The height of a figure with a line for each of so many things."""
    return 190 + BAR * max(count, 3)
