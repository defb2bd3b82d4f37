"""The circuits of sub-skills as a heat map: a line for each circuit, a column for the rows of each skill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrub.report.plots.canvas import between, dressed, plotly, rows_high
from scrub.report.plots.heat import COLOURS
from scrub.report.skills import specific

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.score.skill_matrix import SkillCell, SkillMatrix


def matrix_plot(matrix: SkillMatrix) -> Figure:
    """White at 0, blue where a circuit recovers what the model does; intervals in the hover texts."""
    lines = [circuit for circuit in matrix.circuits if circuit.cells]
    heat = plotly().Heatmap(
        x=list(matrix.skills), y=[c.skill for c in lines], z=[[cell.share.value for cell in c.cells] for c in lines],
        text=[[_told(c.skill, cell) for cell in c.cells] for c in lines], hoverinfo="text", zmin=-1, zmax=1,
        colorscale=COLOURS, xgap=1, ygap=1, colorbar={"title": {"text": "recovered"}},
    )  # fmt: skip
    figure = plotly().Figure(heat)
    figure.update_xaxes(title_text="on rows of", type="category")
    figure.update_yaxes(title_text="circuit of", type="category", autorange="reversed")
    return dressed(figure, "<br>".join(specific(matrix.to_dict())) or "Circuits of sub-skills", rows_high(len(lines)))


def _told(circuit: str, cell: SkillCell) -> str:
    interval = between(cell.share.low, cell.share.high)
    return f"circuit of {circuit} on {cell.rows} rows of {cell.skill}: {cell.share.value} {interval}"
