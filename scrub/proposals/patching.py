"""Exact patching: nodes take their values of the source, everything downstream is computed, many cases at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from attrs import field, frozen
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import MLP_INPUT, TABLE
from scrub.model.block import after_embedding
from scrub.model.places import plus
from scrub.model.trace import trace
from scrub.model.workers import Sent, Task, received, sent_form
from scrub.proposals.forward import PASSES, Key, PatchBatch, case_bytes
from scrub.proposals.nodes import TOLD

TOKENS = 4096  # of cases times rows, run at once at most: on a CPU more leave its caches


@frozen
class PlacedNode:
    """A node at one column of positions; a case is a set of these, patched together."""

    node: Component
    column: int = 0


Case = frozenset[PlacedNode]


def effects(batch: PatchBatch, cases: Sequence[Case], done: Callable[[int], None]) -> Float[Tensor, "case row"]:
    """How the metric changes from the base run when the nodes of each case take their values of the source.

    Nodes of one layer and kind are patched in one pass that starts at the first layer that changes.
    """
    found = torch.zeros(len(cases), len(batch.rows), dtype=batch.model.dtype, device=batch.model.device)
    if not cases:
        return found
    n, t = batch.base.shape
    order = sorted(range(len(cases)), key=lambda i: _first(cases[i]))
    room = batch.model.memory.share(1 - PASSES) // (n * case_bytes(batch.model, t))
    at_once = max(1, min(TOKENS // (n * t), room))
    _ = batch.base_values, batch.source_values  # workers that are copies have them then
    pieces = [order[start : start + at_once] for start in range(0, len(order), at_once)]
    changed = batch.model.workers.each(Task(batch, _changed, ([cases[i] for i in piece],)) for piece in pieces)
    for piece, sent in zip(pieces, changed, strict=True):
        found[piece] = received(sent, found.device)
        layers = len(batch.model.blocks)
        first = min(_first(cases[i]) for i in piece)
        batch.passes.add("forward", len(piece) * n * (layers - first) / layers)
        done(len(piece) * n)
    return found


@torch.no_grad()
def _changed(batch: PatchBatch, cases: Sequence[Case]) -> Sent:
    own = batch.score(batch.at_answer(batch.base_values["resid", len(batch.model.blocks)]))
    return sent_form(_patched(batch, cases) - own)


@frozen(eq=False)
class PatchedCases:
    """What is put into the runs of some cases, where `masks` say; `_read` keeps what transcoders read in these."""

    batch: PatchBatch
    count: int
    masks: Mapping[Key, Tensor]
    # kept by the array's kind and layer, of one run
    _read: dict[Key, Tensor] = field(factory=dict, init=False)

    @property
    def embeds(self) -> bool:
        """Whether some case patches the embedding, or latents of it."""
        return ("embed", 0) in (self.batch.space.place(kind, layer) for kind, layer in self.masks)

    def put(self, traced: str, at: int, value: Tensor) -> Tensor:
        """An array of the runs with the nodes that are patched in there, components first, then latents of them."""
        key, value = (TOLD.get(traced, ""), at), value if traced not in TOLD else value.to(self.batch.base.device)
        if key in self.masks:
            value = torch.where(self.masks[key], self._all(self.batch.source_values[key]), value)
        if traced == MLP_INPUT:
            self._read[key] = value
        for kind, found in self.batch.dictionaries.items():
            if found.place == key and (kind, 0) in self.masks:
                source = self.batch.source_values
                new, error = map(self._all, found.split(source))
                value = found.patched(value, self._read.get(found.read, value), (new, error), self.masks[kind, 0])
        return value

    def _all(self, x: Tensor) -> Tensor:
        return x.repeat(self.count, *[1] * (x.ndim - 1))


def _patched(batch: PatchBatch, cases: Sequence[Case]) -> Float[Tensor, "case row"]:
    count, n = len(cases), len(batch.rows)
    layer = min(_first(case) for case in cases)
    patched = PatchedCases(batch, count, _masks(batch, cases))
    start = batch.base_values["resid", layer].repeat(count, 1, 1)
    if layer == 0 and patched.embeds:  # `trace` starts after the embedding
        embedded = batch.base_values["embed", 0].repeat(count, 1, 1)
        change = patched.put("embed", 0, embedded) - embedded
        start = start + change if batch.model.stream_embed is None else _embedded(batch, change)

    x = trace(batch.model, batch.base.repeat(count, 1), batch.lengths.repeat(count), patched.put, (layer, start))
    ends = x[torch.arange(count * n, device=x.device), batch.answer.repeat(count)]
    return torch.stack([batch.score(part) for part in ends.split(n)])


def _embedded(batch: PatchBatch, change: Float[Tensor, "case_row t d"]) -> Float[Tensor, "case_row t d"]:
    """The stream before the first layer of a model that norms it, the embeddings changed."""
    (n, t), model = batch.base.shape, batch.model
    x = batch.base_values["embed", 0].repeat(len(change) // n, 1, 1) + change
    return after_embedding(model, x if model.W_pos is None else plus(x, model.W_pos[:t]))


def _first(case: Case) -> int:
    """The first layer that has to be computed anew."""
    return min(placed.node.layer or 0 for placed in case)


def _masks(batch: PatchBatch, cases: Sequence[Case]) -> dict[Key, Bool[Tensor, "case_row t ..."]]:
    """Where each case patches: over rows and positions, and over units where a kind has them."""
    count, (n, t) = len(cases), batch.base.shape
    found: dict[Key, Tensor] = {}
    places = batch.columns.bool()
    for number, case in enumerate(cases):
        for placed in case:
            key, unit = batch.space.index(placed.node)
            if key not in found:
                units = _units(batch, key)
                found[key] = torch.zeros(count, n, t, units, dtype=torch.bool, device=batch.base.device)
            found[key][number, :, :, unit] |= places[:, :, placed.column]
    return {
        key: mask.flatten(0, 1).unsqueeze(-1) if key[0] in TABLE and TABLE[key[0]].vectors else mask.flatten(0, 1)
        for key, mask in found.items()
    }


def _units(batch: PatchBatch, key: Key) -> int:
    """How many nodes of a kind a layer holds: of heads' queries as many as heads, whatever the groups."""
    if key[0] in batch.dictionaries:
        return batch.dictionaries[key[0]].units
    value = batch.base_values[key]
    return value.shape[2] if TABLE[key[0]].by_unit else 1
