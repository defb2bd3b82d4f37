"""The model with the values of other rows at some sites, everything downstream recomputed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.engine.cache import Store, located, row_piece, row_store, tensors
from scrub.engine.needs import Kind, Need, add_written
from scrub.engine.on_graph import GraphRows
from scrub.model.bytes import SizedModel, logits_bytes, row_bytes
from scrub.model.codes import PartCodes
from scrub.model.computation import Computation
from scrub.model.layers import unembed
from scrub.model.memory import Piece
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from scrub.model.workers import Sent, Task, received, sent_form
from scrub.score.patched_parts import PartPatches

CALLS_AT_ONCE = 32  # at most: on a CPU larger batches leave its caches and are slower
RUN, ANSWERS = 0.5, 0.5  # shares of the memory: a batch that runs, and the logits that are read at once
MOST = 2**16  # calls whose outputs are held at once, at most
Rows = Int[np.ndarray, " call"]


def patched_row(model: SizedModel, longest: int) -> Piece:
    """A row that runs: arrays are copied where values are put into them."""
    return Piece(f"one row of {longest} tokens, patched,", 2 * row_bytes(model, longest), RUN)


def patched_answer(model: SizedModel) -> Piece:
    """The logits of a row, once in parts and once joined."""
    return Piece("the logits of one row", logits_bytes(model, 2), ANSWERS)


def patched_pieces(claim: Claim, model: SizedModel) -> Iterator[Piece]:
    """What is not cut any further: rows of the pool, those that are patched, and what is read of these."""
    lengths = claim.data.lengths
    yield row_piece(model, int(lengths.max()))
    yield patched_row(model, int(lengths[claim.scored].max(initial=1)))
    yield patched_answer(model)


@frozen
class Patch:
    """Sites that take their values from another row: `donors[i]` for call i."""

    sites: tuple[Site, ...]
    donors: Rows


@frozen(eq=False, slots=False)
class PatchedGraph:
    """A computation graph; outputs are the values of its output node."""

    claim: Claim
    model: Computation

    @property
    def together(self) -> int:
        """Of how many calls the values are held at once."""
        return MOST

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return GraphRows(self.claim, self.model).rows

    def outputs(self, rows: Rows, patches: Sequence[Patch] = ()) -> list[Any]:
        """The output of each call. Raises ModelError when a function takes no such mixture of values."""
        found: list[Any] = []
        for call, row in enumerate(rows.tolist()):
            known = dict[str, Any]()
            for patch in patches:
                names = [c.name for site in patch.sites for c in site.components]
                known.update({name: self.rows[int(patch.donors[call])][name] for name in names})
            for node in self.model.nodes.values():
                if node.name not in known:
                    known[node.name] = self.rows[row][node.name] if node.function is None else node.value(known)
            found.append(known[self.claim.answer.components[0].name])
        return found


@frozen(eq=False)
class _Calls:
    """Calls that run together: their numbers in the batch, their rows, and the rows that lend to them."""

    donors: Int[Tensor, " call"]
    rows: Int[Tensor, " call"]
    numbers: Int[Tensor, " call"]


@frozen(eq=False, slots=False)
class PatchedTransformer:
    """A transformer; outputs are its logits at the answer's position."""

    claim: Claim
    model: Transformer

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        placed = self.claim.placement.placed
        names = [name for name in placed if name != self.claim.placement.output]
        return tuple(site.site for name in names for site in placed[name].sites)

    @cached_property
    def store(self) -> Store:
        """What every claimed component writes at its positions, on every row of the pool."""
        graph, data, need = self.claim.graph, self.claim.data, Need()
        assert isinstance(graph, TransformerGraph)
        for site in self.sites:
            for component in site.components:
                for slot in site.at:
                    add_written(need, graph, component, slot)
        slots = sorted({slot for site in (*self.sites, self.claim.answer) for slot in site.at if slot != ALL})
        with torch.no_grad():
            return row_store(self.model, data, need, located(data, slots, self.model.device), lambda _: None)

    @cached_property
    def codes(self) -> PartCodes:
        return PartCodes(self.model)

    @cached_property
    def tokens(self) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
        return tensors(self.claim.data, self.model.device)

    def outputs(self, rows: Rows, patches: Sequence[Patch] = ()) -> Float[Tensor, "call v"]:
        """The logits of each call, in pieces of rows of similar length."""
        order, size = np.argsort(self.claim.data.lengths[rows], kind="stable"), self._at_once(rows)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        asked = ((rows[part], [Patch(p.sites, p.donors[part]) for p in patches]) for part in parts)
        if self.model.workers.number == 1:
            found = [self._some(*some) for some in asked]
        else:
            _ = self.store, self.tokens  # workers that are copies have them then
            sent = self.model.workers.each(Task(self, _sent, some) for some in asked)
            found = [received(logits, self.model.device) for logits in sent]
        back = torch.from_numpy(np.argsort(order)).to(self.model.device)
        return torch.cat(found)[back]

    @property
    def together(self) -> int:
        """Of how many calls the logits are held at once."""
        return self.model.memory.fit(patched_answer(self.model), MOST)

    def _at_once(self, rows: Rows) -> int:
        longest = int(self.claim.data.lengths[rows].max(initial=1))
        return self.model.fit(patched_row(self.model, longest), CALLS_AT_ONCE)

    @torch.no_grad()
    def _some(self, rows: Rows, patches: Sequence[Patch]) -> Float[Tensor, "call v"]:
        tokens, lengths = self.tokens
        index = torch.from_numpy(rows).to(self.model.device)
        own, n = lengths[index], torch.arange(len(rows), device=self.model.device)
        parts = PartPatches.of(self.codes, self.store, index, [(p.sites, p.donors) for p in patches])
        kinds = parts.kinds.union(c.array for patch in patches for site in patch.sites for c in site.components)

        def record(kind: str, layer: int, value: Tensor) -> Tensor | None:
            if (kind, layer) not in kinds:
                return None
            changed = value = value.to(index.device)
            for patch in patches:
                changed = self._landed(changed, (kind, layer), patch, index, n)
            changed = parts.put((kind, layer), changed)
            return None if changed is value else changed

        x = trace(self.model, tokens[index, : int(own.max())], own, record)
        return unembed(self.model, x[n, self.store.positions[self.claim.answer.at[0]][index]])

    def _landed(
        self, value: Float[Tensor, "call t *rest"], kind: Kind, patch: Patch, index: Tensor, n: Tensor
    ) -> Float[Tensor, "call t *rest"]:
        """An array of the run with the donors' values in it, at the positions of the same name."""
        calls = _Calls(torch.from_numpy(patch.donors).to(index.device), index, n)
        for site in patch.sites:
            for component in site.components:
                if component.is_part or component.array != kind:
                    continue
                heads = component.taken
                for slot in site.at:
                    value = self._put(value.clone(), kind, slot, heads, calls)
        return value

    def _put(self, value: Tensor, kind: Kind, slot: Slot, heads: list[int] | None, calls: _Calls) -> Tensor:
        if slot == ALL:  # rows of a stratum are equally long
            new, place = self.store.whole(kind, calls.donors, value.shape[1], heads), (slice(None),)
        else:
            new = self.store.at(kind, slot, calls.donors, heads)
            place = (calls.numbers, self.store.positions[slot][calls.rows])
        if heads is None:
            value[place] = new
        elif slot == ALL:
            value[:, :, heads[0]] = new[..., 0, :]
        else:
            value[(*place, heads[0])] = new[..., 0, :]
        return value


def _sent(model: PatchedTransformer, rows: Rows, patches: Sequence[Patch]) -> Sent:
    return sent_form(model._some(rows, patches))  # pyright: ignore[reportPrivateUsage]


Patched = PatchedGraph | PatchedTransformer
