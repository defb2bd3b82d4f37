"""Circuits of components on a transformer: one stream, in which writers outside the circuit take frozen values.

Many circuits are run at once: arrays are `[circuit, row, t, ...]`, and a mask says where a writer is live.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from attrs import frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.names import EMBED, POS, Component
from scrub.anatomy.positions import Slot
from scrub.circuit.values import Values
from scrub.model.block import after_embedding
from scrub.model.trace import run_layers
from scrub.model.weights import Transformer

EXCHANGED = ("z", "resid_pre", "attn_out", "mlp_out")  # arrays of a pass in which values are put


@frozen(eq=False)
class Masks:
    """Where each writer is live: where its circuit has it, or (`inverted`) where it has not; `passed` ones always.

    `held` ones have, where they are live, the value of the run that the circuits start on.
    """

    kept: dict[Component, list[tuple[Slot | None, Bool[Tensor, " circuit"]]]]
    slots: dict[Slot, Bool[Tensor, "row t"]]
    passed: frozenset[Component]
    inverted: bool
    circuits: int
    shape: tuple[int, int]
    device: torch.device
    held: frozenset[tuple[Component, Slot | None]] = frozenset()

    def of(self, component: Component) -> Bool[Tensor, "circuit row t"]:
        found = self.named(component)
        if component in self.passed:
            return torch.ones_like(found)
        return ~found if self.inverted else found

    def named(self, component: Component) -> Bool[Tensor, "circuit row t"]:
        """Where circuits have a component."""
        found = torch.zeros(self.circuits, *self.shape, dtype=torch.bool, device=self.device)
        for slot, circuits in self.kept.get(component, ()):
            chosen = circuits[:, None, None]
            found |= chosen if slot is None else chosen & self.slots[slot]
        return found

    def heads(self, layer: int, count: int) -> Bool[Tensor, "circuit row t h"]:
        return torch.stack([self.of(Component.for_head(layer, head)) for head in range(count)], dim=-1)

    def taken(
        self, component: Component, computed: Float[Tensor, "circuit row t x"], start: Tensor, fixed: Tensor
    ) -> Float[Tensor, "circuit row t x"]:
        """What a component writes: computed where it is live, or as at the start where it is held; else fixed."""
        return torch.where(self.of(component)[..., None], self.as_held(component, computed, start), fixed)

    def as_held(
        self, component: Component, computed: Float[Tensor, "circuit row t x"], start: Tensor
    ) -> Float[Tensor, "circuit row t x"]:
        """What was computed, or as at the start where it is held."""
        for own, slot in self.held:
            if own == component:
                there = torch.ones_like(computed[0, :, :, 0], dtype=torch.bool) if slot is None else self.slots[slot]
                computed = torch.where(there[..., None], start, computed)
        return computed

    def always(self, component: Component) -> bool:
        """Whether a component is live everywhere, in every circuit."""
        if component in self.passed:
            return True
        kept = self.kept.get(component, ())
        return not kept if self.inverted else any(slot is None and bool(c.all()) for slot, c in kept)


@runtime_checkable
class Hosted(Protocol):
    """Parts of components beside these: they hear what a run computes, and change what it goes on with."""

    def first(self, otherwise: int) -> int: ...
    def heard(self, kind: str, layer: int, computed: Tensor) -> None: ...
    def put(self, kind: str, layer: int, written: Tensor) -> Tensor: ...


def first_frozen(masks: Masks, writers: Sequence[Component], layers: int) -> int:
    """The first layer in which some writer is not live throughout; 0 where an embedding is not."""
    found = [component.layer or 0 for component in writers if not masks.always(component)]
    return min(found, default=layers)


@frozen(eq=False)
class MaskedRun:
    """Circuits of components, each a stream of its own. `start` gives the embeddings of the run, or its stream before
    layer `first`.

    Exact: norms, patterns and MLPs are recomputed on the one stream of each circuit.
    """

    model: Transformer
    masks: Masks
    start: Values
    frozen: Values
    lengths: Int[Tensor, " row"]
    answer: Int[Tensor, " row"]
    parts: Hosted
    first: int = 0

    @property
    def size(self) -> tuple[int, int, int]:
        return self.masks.circuits, *self.masks.shape

    def begin(self) -> Float[Tensor, "circuit row t d"]:
        # Layers before the first that anything is ablated in are the same for every circuit: their stream is given.
        if self.first:
            return self.start.resid[self.first].expand(*self.size, -1)
        embed = torch.where(self.masks.of(EMBED)[..., None], self.start.embed, self.frozen.embed)
        pos = torch.where(self.masks.of(POS)[..., None], self.start.pos, self.frozen.pos)
        return after_embedding(self.model, self.parts.put("embed", 0, embed) + self.parts.put("pos", 0, pos))

    def through(self, x: Float[Tensor, "circuit row t d"], first: int, last: int) -> Float[Tensor, "circuit row t d"]:
        if max(first, self.first) >= last and last < len(self.model.blocks):
            return x

        def record(kind: str, layer: int, value: Tensor) -> Tensor | None:
            between = (kind, layer) == ("resid_pre", last) and last < len(self.model.blocks)  # told by what goes on
            return None if between else self._exchanged(kind, layer, value)

        lengths = self.lengths.repeat(self.masks.circuits)
        found = run_layers(self.model, x.flatten(0, 1), lengths, record, max(first, self.first), last)
        return found.view(*self.size, -1)

    def final(self, x: Float[Tensor, "circuit row t d"]) -> Float[Tensor, "circuit row d"]:
        """The final stream at the answer."""
        return x[:, torch.arange(self.size[1], device=self.model.device), self.answer]

    def _exchanged(self, kind: str, layer: int, value: Tensor) -> Tensor | None:
        """What goes on in place of what the heads and the MLP of a layer have made."""
        self.parts.heard(kind, layer, value)
        if kind not in EXCHANGED:
            return None
        value, size = value.to(self.model.device), self.size
        if kind == "z":
            heads = value.view(*size, *value.shape[2:])
            return _heads(layer, heads, self.masks, self.start, self.frozen).flatten(0, 1)
        written = value.view(*size, -1)
        if kind == "mlp_out":
            own, fixed = self.start.mlp[layer] if self.masks.held else written, self.frozen.mlp[layer]
            written = self.masks.taken(Component.for_mlp(layer), written, own, fixed)
        return self.parts.put(kind, layer, written).flatten(0, 1)


def _heads(
    layer: int, z: Float[Tensor, "circuit row t h dh"], masks: Masks, start: Values, frozen: Values
) -> Float[Tensor, "circuit row t h dh"]:
    # All heads in one `where`; head by head only where one holds its start's value.
    if not any(component.layer == layer for component, _ in masks.held):
        return torch.where(masks.heads(layer, z.shape[-2])[..., None], z, frozen.z[layer])
    found = [
        masks.taken(Component.for_head(layer, h), z[..., h, :], start.z[layer][..., h, :], frozen.z[layer][..., h, :])
        for h in range(z.shape[-2])
    ]
    return torch.stack(found, dim=-2)
