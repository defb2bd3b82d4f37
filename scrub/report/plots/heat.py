"""A sweep as heat maps: layers by heads, or senders by positions; blue where the metric rises, red where it falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.report.heat import Grid
from scrub.report.plots.canvas import between, dressed, plotly, with_unit
from scrub.report.sweep import grids

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from scrub.circuit.sweep import Effect, Sweep

COLOURS = [[0.0, "rgb(178,24,43)"], [0.5, "rgb(255,255,255)"], [1.0, "rgb(33,102,172)"]]
CELL = 30  # pixels


def sweep_plot(sweep: Sweep) -> Figure:
    """One map for what has layers, layers up, one for the rest; all on one scale."""
    plotly()
    from plotly.subplots import make_subplots

    maps = grids(sweep.effects)
    heights = [max(3, len(grid.rows)) for grid in maps]
    figure = make_subplots(len(maps), 1, row_heights=heights)
    most = max((abs(e.effect) for e in sweep.effects), default=0.0) or 1.0
    for number, grid in enumerate(maps, 1):
        figure.add_trace(_map(grid, sweep, most, number == 1), row=number, col=1)
        layers = grid.corner.startswith("layer")
        figure.update_xaxes(title_text="head or block" if layers else "position", type="category", row=number, col=1)
        upward = True if layers else "reversed"
        figure.update_yaxes(title_text=grid.corner, type="category", autorange=upward, row=number, col=1)
    title = f"Patching towards {sweep.to}: {sweep.ablation} ablation, {sweep.direction}, {sweep.rows} rows"
    return dressed(figure, title, 220 * len(maps) + CELL * sum(heights))


def _map(grid: Grid[Effect], sweep: Sweep, most: float, scale: bool) -> Any:
    cells = [[grid.cells.get((row, column)) for column in grid.columns] for row in grid.rows]
    return plotly().Heatmap(
        x=list(grid.columns), y=list(grid.rows), z=[[c and c.effect for c in row] for row in cells],
        text=[[_told(c) for c in row] for row in cells], hoverinfo="text", zmin=-most, zmax=most, xgap=1, ygap=1,
        colorscale=COLOURS, showscale=scale, colorbar={"title": {"text": f"change of<br>{with_unit(sweep.metric)}"}},
    )  # fmt: skip


def _told(effect: Effect | None) -> str:
    if effect is None:
        return ""
    at = f" @ {effect.at}" if effect.at else ""
    return f"{effect.sender}{at}: {effect.effect:+.4g} {between(effect.low, effect.high)}"
