"""Exact patching: nodes take their values of the source, everything downstream is computed, many cases at once.

A case is computed from the first layer that it changes on, at the positions that it can change and the answer can
see, and behind the last layer's keys where the answer is read alone: all else is the base run's. What is patched and
who is patched with it change no number beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import torch
from attrs import field, frozen
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import MLP_INPUT, TABLE
from scrub.model.block import Stretch, after_embedding
from scrub.model.block import layer as run_layer
from scrub.model.places import beside, plus
from scrub.model.workers import Sent, Task, received, sent_form
from scrub.proposals.forward import KEPT, PASSES, Key, PatchBatch, case_bytes
from scrub.proposals.nodes import TOLD

TOKENS = 4096  # of cases times rows, run at once at most: on a CPU more leave its caches
THROUGHOUT = ("embed", "resid", "k", "v")  # what the last layer has at every position, whatever is read of it


@frozen
class PlacedNode:
    """A node at one column of positions; a case is a set of these, patched together."""

    node: Component
    column: int = 0


Case = frozenset[PlacedNode]


@frozen
class _Piece:
    """Cases that are run together, by number; the first position that they change, and where each enters."""

    cases: tuple[int, ...]
    start: int
    entries: tuple[int, ...]


def effects(batch: PatchBatch, cases: Sequence[Case], done: Callable[[int], None]) -> Float[Tensor, "case row"]:
    """How the metric changes from the base run when the nodes of each case take their values of the source."""
    found = torch.zeros(len(cases), len(batch.rows), dtype=batch.model.dtype, device=batch.model.device)
    if not cases:
        return found
    n, layers = len(batch.rows), len(batch.model.blocks)
    _ = batch.base_values, batch.source_values  # workers that are copies have them then
    pieces = list(_pieces(batch, cases))
    tasks = (Task(batch, _changed, ([cases[i] for i in piece.cases], piece)) for piece in pieces)
    for piece, sent in zip(pieces, batch.model.workers.each(tasks), strict=True):
        numbers = list(piece.cases)
        found[numbers] = received(sent, found.device)
        computed = sum(layers - entry for entry in piece.entries) / layers
        batch.passes.add("forward", n * computed * (_stop(batch) - piece.start) / batch.base.shape[1])
        done(len(numbers) * n)
    return found


def _pieces(batch: PatchBatch, cases: Sequence[Case]) -> Iterator[_Piece]:
    """Cases that change the same positions, those that enter at one layer together."""
    n, t = batch.base.shape
    starts = _starts(batch)
    keys = [(min(starts[placed.column] for placed in case), _entry(batch, case)) for case in cases]
    room = batch.model.memory.share(1 - PASSES - KEPT) // (n * case_bytes(batch.model, t))
    for start, alike in groupby(sorted(range(len(cases)), key=keys.__getitem__), key=lambda i: keys[i][0]):
        listed, tokens = list(alike), n * (_stop(batch) - start)
        at_once = max(1, min(batch.model.at_most(TOKENS // tokens), room))
        for first in range(0, len(listed), at_once):
            some = tuple(listed[first : first + at_once])
            yield _Piece(some, start, tuple(keys[i][1] for i in some))


def _starts(batch: PatchBatch) -> list[int]:
    """The first position, of each column, that some row has otherwise on the source: none before it can change."""
    if not batch.model.shape.causal:
        return [0] * batch.columns.shape[2]
    changed = ((batch.base != batch.source).cumsum(1) > 0).unsqueeze(-1) & batch.columns.bool()
    changed[:, int(batch.answer.min())] = True  # every answer is among what is computed
    return changed.any(0).int().argmax(0).tolist()


def _stop(batch: PatchBatch) -> int:
    """The position from which on the answers of all rows see nothing."""
    return int(batch.answer.max()) + 1 if batch.model.shape.causal else batch.base.shape[1]


def _entry(batch: PatchBatch, case: Case) -> int:
    """The first layer that has to be computed anew: behind the MLPs that are all that is patched in the first."""
    first = min(placed.node.layer or 0 for placed in case)
    nodes = [placed.node for placed in case if (placed.node.layer or 0) == first]
    added = first < len(batch.model.blocks) and batch.model.blocks[first].stream_mlp is None
    return first + (added and all(node.traits.local and not node.part for node in nodes))


@torch.no_grad()
def _changed(batch: PatchBatch, cases: Sequence[Case], piece: _Piece) -> Sent:
    own = batch.score(batch.at_answer(batch.base_values["resid", len(batch.model.blocks)]))
    patched = PatchedCases(batch, _masks(batch, cases), slice(piece.start, _stop(batch)), piece.entries)
    return sent_form(patched.scores() - own)


@frozen(eq=False)
class PatchedCases:
    """Runs of some cases with what is put into them where `masks` say, at the positions of a `span`.

    Each enters before the layer that `entries` name, which do not fall. `_read` keeps what transcoders read.
    """

    batch: PatchBatch
    masks: Mapping[Key, Tensor]
    span: slice
    entries: Sequence[int]
    # kept by the array's kind and layer, of one run
    _read: dict[Key, Tensor] = field(factory=dict, init=False)

    def scores(self) -> Float[Tensor, "case row"]:
        """The metric of every case."""
        batch, blocks = self.batch, self.batch.model.blocks
        x = self._entering(self.entries[0])
        for layer in range(self.entries[0], len(blocks)):
            x = beside(blocks[layer].attn.W_Q, self.put("resid_pre", layer, x))

            def tap(kind: str, value: Tensor, layer: int = layer) -> Tensor:
                return beside(value, self.put(kind, layer, value))

            x = run_layer(blocks[layer], x, self._stretch(len(x), layer).beside(x), tap)
            x = torch.cat([x.to(batch.base.device), self._entering(layer + 1)])
        x = self.put("resid_pre", len(blocks), x)
        return torch.stack([batch.score(part) for part in x[:, 0].split(len(batch.rows))])

    def put(self, traced: str, at: int, value: Tensor) -> Tensor:
        """An array of the runs with the nodes that are patched in there, components first, then latents of them."""
        key, value = (TOLD.get(traced, ""), at), value if traced not in TOLD else value.to(self.batch.base.device)
        if key in self.masks:
            value = self._where(key, self._own(self.batch.source_values, key), value)
        if traced == MLP_INPUT:
            self._read[key] = value
        for kind, found in self.batch.dictionaries.items():
            if found.place == key and (kind, 0) in self.masks:
                source = {place: self._own(self.batch.source_values, place) for place in {key, found.read}}
                new, error = (part.repeat(len(value) // len(part), 1, 1) for part in found.split(source))
                mask = self._mask((kind, 0), key)[: len(value)]
                value = found.patched(value, self._read.get(found.read, value), (new, error), mask)
        if key[0] in ("k", "v") and self.span.start:
            before = self.batch.base_values[key][:, : self.span.start]
            value = torch.cat([before.repeat(len(value) // len(before), 1, 1, 1), value], dim=1)
        return value

    def _entering(self, layer: int) -> Float[Tensor, "case_row t d"]:
        """The streams before a layer of the cases that enter there: the base's, and what was patched just before."""
        count, base = self.entries.count(layer), self.batch.base_values
        found = self._own(base, ("resid", layer)).repeat(count, 1, 1)
        if layer == 0 and count and any(self.batch.space.place(*key) == ("embed", 0) for key in self.masks):
            return self._embedded(found)
        if (key := ("mlp", layer - 1)) in self.masks:
            place, first = ("resid", layer), self.entries.index(layer) * len(base[key]) if count else 0
            change = self._own(self.batch.source_values, key, place) - self._own(base, key, place)
            mask = self._mask(key, place)[first : first + len(found)]
            found = found + torch.where(mask, change.repeat(count, 1, 1), 0)
        return found

    def _embedded(self, found: Float[Tensor, "case_row t d"]) -> Float[Tensor, "case_row t d"]:
        """The streams before the first layer, of which these are the base's, with what is patched of embeddings."""
        model, base = self.batch.model, self._own(self.batch.base_values, ("embed", 0))
        old = base.repeat(len(found) // len(base), 1, 1)
        new = self.put("embed", 0, old)
        if model.stream_embed is None:
            return found + (new - old)
        return after_embedding(model, new if model.W_pos is None else plus(new, model.W_pos[self.span]))

    def _stretch(self, size: int, layer: int) -> Stretch:
        batch, first = self.batch, self.span.start
        times, device = size // len(batch.rows), batch.base.device
        at = torch.arange(first, self.span.stop, device=device).expand(size, -1)
        ends = (batch.answer - first).repeat(times)[:, None] if layer == len(batch.model.blocks) - 1 else None
        return Stretch(batch.lengths.repeat(times), at, ends)

    def _at_answer(self, key: Key) -> bool:
        """Whether runs have an array where the answer is read alone."""
        last = len(self.batch.model.blocks) - 1
        return key[1] > last or (key[1] == last and key[0] not in THROUGHOUT)

    def _own(self, values: Mapping[Key, Tensor], key: Key, like: Key | None = None) -> Tensor:
        """An array of a run of the batch, where the runs of cases have it, or another."""
        value = values[key]
        if not self._at_answer(like or key):
            return value[:, self.span]
        return self.batch.at_answer(value)[:, None]

    def _mask(self, key: Key, like: Key) -> Tensor:
        """Where each case patches an array, where the runs have it, or another."""
        mask, batch = self.masks[key], self.batch
        if not self._at_answer(like):
            return mask[:, self.span]
        at = batch.answer.repeat(len(mask) // len(batch.rows))
        return mask[torch.arange(len(mask), device=mask.device), at][:, None]

    def _where(self, key: Key, source: Tensor, value: Tensor) -> Tensor:
        each = (-1, len(source))
        mask = self._mask(key, key)[: len(value)].unflatten(0, each)
        return torch.where(mask, source, value.unflatten(0, each)).flatten(0, 1)


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
