"""Integrated gradients of one node kind of one layer at a time, between its values on base and source."""

from __future__ import annotations

from torch import Tensor

from scrub.proposals.attribute import Scores, over_positions, stacked
from scrub.proposals.forward import Edit, PatchBatch
from scrub.proposals.methods import Asked, Method
from scrub.proposals.rules import steps_of

POINTS = {"left": 0.0, "midpoint": 0.5, "right": 1.0}  # within a step; the left end of a path is the source's


def nodes(batch: PatchBatch, asked: Asked) -> Scores:
    """The difference times the mean gradient at points of the straight line between base and source (midpoints).

    All nodes of a kind in a layer move together, so their estimates sum to the effect of patching them jointly; all
    latents of a dictionary with its error.
    """
    found: Scores = {}
    for kind in asked.kinds:
        layers = range(batch.space.extent(kind)[0])
        found[kind] = stacked(over_positions(batch, _layer(batch, kind, layer, asked)) for layer in layers)
    return found


def toward_base(points: str, steps: int) -> list[float]:
    """Shares of the way from source (0) to base (1), one in each of equal steps."""
    return [(k + POINTS[points]) / steps for k in range(steps)]


def _layer(batch: PatchBatch, kind: str, layer: int, asked: Asked) -> Tensor:
    space = batch.space
    mean: Tensor | float = 0.0
    place = space.place(kind, layer)
    for share in toward_base(asked.points or "midpoint", asked.steps):
        run = batch.forward(steps_of(asked.rules), edit=moved(batch, *place, share))
        mean = mean + run.gradients([place])[place] / asked.steps
    assert isinstance(mean, Tensor)
    return space.product((kind, layer), batch.base_values, batch.source_values, mean)


def moved(batch: PatchBatch, kind: str, layer: int, toward_base: float) -> Edit:
    """Puts one kind of node of one layer between its values on source (0) and base (1)."""
    base, source = batch.base_values[kind, layer], batch.source_values[kind, layer]
    between = source + toward_base * (base - source)

    def edit(there: str, at: int, value: Tensor) -> Tensor | None:
        return between.detach().requires_grad_() if (there, at) == (kind, layer) else None

    return edit


METHOD = Method(
    "integrated gradients at the node, midpoint rule",
    "Marks et al. 2024 (arXiv 2403.19647), node by node; the midpoint rule is ours",
    nodes,
    elsewhere=True,
    takes=("steps", "points"),
)
