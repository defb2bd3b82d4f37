"""What a component writes on rows: the vector that its code would read, whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import evolve
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.part import DIRECTIONS, HostPart, array_digest
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store, located, row_store
from scrub.engine.needs import Need, add_written
from scrub.model.weights import Transformer

Written = tuple[Component, Slot]  # a component, `in_full`, and where it is read


def in_full(component: Component, width: int) -> Component:
    """A component as the part that is all of it: its code reads the vector that the component writes."""
    held = {"basis": np.eye(width)}
    return evolve(component.whole, part=HostPart(DIRECTIONS, array_digest(held), name="all", arrays=held))


def width_of(component: Component, graph: TransformerGraph) -> int:
    """How many numbers a component writes: d_head for a query, key or value, else d_model."""
    return graph.shape.d_head if component.traits.is_channel else graph.shape.d_model


def written_store(model: Transformer, claim: Claim, places: Sequence[Written], done: Callable[[int], None]) -> Store:
    """Every row of a claim's data run once, and of each what is written at some places."""
    graph, need = claim.graph, Need()
    assert isinstance(graph, TransformerGraph)
    for component, slot in places:
        add_written(need, graph, component, slot)
    slots = sorted({claim.answer.at[0], *(slot for _, slot in places)})
    with torch.no_grad():
        return row_store(model, claim.data, need, located(claim.data, slots, model.device), done)


def written(store: Store, component: Component, slot: Slot) -> Float[Tensor, "row d"]:
    """What it writes there on every row."""
    rows = torch.arange(len(store.lengths), device=store.lengths.device)
    return store.at(component.array, slot, rows)
