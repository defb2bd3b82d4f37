"""A wiring on a transformer: every channel reads its own stream, and norms, patterns and MLPs are recomputed on it.

A stream is the frozen one plus, for each copy that is read, what the copy writes beyond its frozen value. The
streams of one layer are made by one matrix product, one for each distinct column.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.circuit.values import Values
from scrub.circuit.wiring import Column, Copy, Outside, Where, Wiring, slots_of
from scrub.claims.positions import Slot
from scrub.model.layers import CHANNELS, attend, kv_head, mlp, norm, project, visible, write
from scrub.model.weights import Attn, Block, Transformer


@frozen(eq=False)
class Places:
    """The batch: which frozen row each element is, its length, and where its named positions are."""

    row: Int[Tensor, " b"]
    lengths: Int[Tensor, " b"]
    answer: Int[Tensor, " b"]
    slots: dict[Slot, Int[Tensor, " b"]]
    longest: int

    @property
    def size(self) -> int:
        return len(self.row)


@frozen(eq=False)
class Deltas:
    """What copies write beyond their frozen values: of some at every position, of the others at the answer."""

    places: Places
    everywhere: list[bool]
    whole: Float[Tensor, "copy b t d"]
    last: Float[Tensor, "copy b d"]
    kind: Int[Tensor, "b t"]  # which of the wiring's slots lie at a position, as bits
    kinds: list[int]
    slots: tuple[Slot, ...]
    index: list[int]

    @classmethod
    def of(cls, wiring: Wiring, everywhere: list[bool], places: Places, like: Tensor) -> Deltas:
        count, size = sum(everywhere), (places.size, places.longest)
        whole = like.new_empty(count, *size, like.shape[-1])
        last = like.new_empty(len(everywhere) - count, places.size, like.shape[-1])
        kind = torch.zeros(size, dtype=torch.int64, device=like.device)
        for bit, slot in enumerate(wiring.slots):
            kind[torch.arange(places.size, device=like.device), places.slots[slot]] += 1 << bit
        index, counts = list[int](), [0, 0]
        for wanted in everywhere:
            index.append(counts[wanted])
            counts[wanted] += 1
        kinds = sorted(set(kind.flatten().tolist()))
        return cls(places, everywhere, whole, last, kind, kinds, wiring.slots, index)

    def put(self, number: int, value: Tensor) -> None:
        (self.whole if self.everywhere[number] else self.last)[self.index[number]] = value

    def _weights(self, columns: Sequence[Column], kind: int, wanted: bool, before: int) -> Float[Tensor, "column copy"]:
        """1 where a column reads a copy at positions of a kind; `before` many copies are known by now."""
        found = self.whole.new_zeros(len(columns), before)
        for row, column in enumerate(columns):
            for number, where in column:
                if self.everywhere[number] == wanted and self._covers(where, kind):
                    found[row, self.index[number]] = 1
        return found

    def _covers(self, where: Where, kind: int) -> bool:
        present = any(kind >> self.slots.index(slot) & 1 for slot in slots_of(where))
        return where is None or present != isinstance(where, Outside)

    def _before(self, columns: Sequence[Column], wanted: bool) -> int:
        read = [self.index[n] for column in columns for n, _ in column if self.everywhere[n] == wanted]
        return max(read, default=-1) + 1

    def streams(self, columns: Sequence[Column], base: Float[Tensor, "row t d"]) -> Float[Tensor, "column b t d"]:
        """The stream that each column reads, at every position."""
        n, width = self._before(columns, True), base.shape[-1]
        known = self.whole[:n].flatten(1, 2)
        if len(self.kinds) == 1:
            made = self._weights(columns, self.kinds[0], True, n) @ known.flatten(1)
            made = made.view(len(columns), -1, width)
        else:
            made = base.new_zeros(len(columns), known.shape[1], width)
            for kind in self.kinds:
                where = torch.nonzero(self.kind.flatten() == kind).flatten()
                weight = self._weights(columns, kind, True, n)
                made[:, where] = (weight @ known[:, where].flatten(1)).view(len(columns), -1, width)
        found = made.view(len(columns), *self.kind.shape, width)
        if self._before(columns, False):
            batch = torch.arange(self.places.size, device=base.device)
            found[:, batch, self.places.answer] += self._at_answer(columns, False)
        return found.add_(base[self.places.row])

    def answers(self, columns: Sequence[Column], base: Float[Tensor, "row t d"]) -> Float[Tensor, "column b d"]:
        """The stream that each column reads where the answer is read."""
        here = base[self.places.row, self.places.answer]
        return here + self._at_answer(columns, True) + self._at_answer(columns, False)

    def _at_answer(self, columns: Sequence[Column], wanted: bool) -> Float[Tensor, "column b d"]:
        n, batch = self._before(columns, wanted), torch.arange(self.places.size, device=self.whole.device)
        known = self.whole[:n, batch, self.places.answer] if wanted else self.last[:n]
        kinds, made = self.kind[batch, self.places.answer], known.new_zeros(len(columns), *known.shape[1:])
        for kind in self.kinds:
            where = torch.nonzero(kinds == kind).flatten()
            if len(where):
                weight = self._weights(columns, kind, wanted, n)
                made[:, where] = (weight @ known[:, where].flatten(1)).view(len(columns), -1, known.shape[-1])
        return made


@frozen(eq=False)
class Run:
    """One evaluation of a wiring. `leaves` are the values of its leaves, by number."""

    model: Transformer
    wiring: Wiring
    frozen: Values
    places: Places
    leaves: dict[int, Tensor]
    everywhere: list[bool]
    deltas: Deltas
    positions: Int[Tensor, "b t"]
    _known: dict[tuple[int, str, Column, bool], Tensor] = field(factory=dict, init=False)

    def final(self) -> Float[Tensor, "b d"]:
        base = self.frozen.start
        for number, value in self.leaves.items():
            self.deltas.put(number, value)
        for layer, block in enumerate(self.model.blocks):
            self._attention(layer, block, base)
            after = base + write(block.attn, self.frozen.z[layer])
            after = after if block.attn.b_O is None else after + block.attn.b_O
            self._mlps(layer, block, base if block.parallel else after)
            base = after + self.frozen.mlp[layer]
        return self.deltas.answers([self.wiring.final[0][1]], base)[0]

    def _at(self, layer: int, kind: str) -> list[int]:
        found = enumerate(self.wiring.copies)
        return [n for n, c in found if c.component.kind == kind and c.component.layer == layer and not c.leaf]

    def _attention(self, layer: int, block: Block, base: Tensor) -> None:
        """All copies of heads in a layer; those needed at every position apart from those needed at the answer."""
        for everywhere in (True, False):
            copies = [n for n in self._at(layer, "head") if self.everywhere[n] == everywhere]
            if copies:
                self._attend(layer, block, base, copies, everywhere)

    def _attend(self, layer: int, block: Block, base: Tensor, copies: list[int], everywhere: bool) -> None:
        attn = block.attn
        listed = [self.wiring.copies[n] for n in copies]
        q, k, v = (self._channel(c, block, base, listed, everywhere or c != "q") for c in CHANNELS)
        at = self.positions if everywhere else self.places.answer[:, None]
        mask = visible(attn, at, self.positions, self.places.lengths)
        z = attend(q, k, v, mask, attn.scale)
        where = (self.places.row, slice(None)) if everywhere else (self.places.row, self.places.answer)
        first = 0
        for number, copy in zip(copies, listed, strict=True):
            heads, mine = list(copy.heads), z[..., first : first + len(copy.heads), :]
            old = self.frozen.z[layer][..., heads, :][where] if everywhere else self.frozen.z[layer][where][:, None, heads]
            made = write(attn, mine - old, heads)
            self.deltas.put(number, made if everywhere else made[:, 0])
            first += len(heads)

    def _channel(self, channel: str, block: Block, base: Tensor, copies: list[Copy], whole: bool) -> Tensor:
        """Queries, keys or values of all heads of some copies, in their order; each distinct stream is read once."""
        columns = [dict(copy.reads)[channel] for copy in copies]
        wanted: dict[Column, list[int]] = {}
        for copy, column in zip(copies, columns, strict=True):
            wanted.setdefault(column, []).extend(copy.heads)
        made = self._projected(channel, block, base, wanted, whole)
        taken: dict[Column, int] = dict.fromkeys(wanted, 0)
        parts: list[Tensor] = []
        for copy, column in zip(copies, columns, strict=True):
            first = taken[column]
            parts.append(made[column][..., first : first + len(copy.heads), :])
            taken[column] = first + len(copy.heads)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)

    def _projected(
        self, channel: str, block: Block, base: Tensor, wanted: dict[Column, list[int]], whole: bool
    ) -> dict[Column, Tensor]:
        attn, found = block.attn, dict[Column, Tensor]()
        columns = [column for column in wanted if column]
        positions = self.positions if whole else self.places.answer[:, None]
        streams = self._streams(columns, base, whole) if columns else ()
        for column, x in zip(columns, streams, strict=True):
            found[column] = _of_heads(attn, channel, norm(block.ln1, x), wanted[column], positions)
        if frozenset() in wanted:  # the frozen stream is the same for all elements of a row
            rows = torch.arange(base.shape[1], device=base.device).expand(base.shape[:2])
            made = _of_heads(attn, channel, norm(block.ln1, base), wanted[frozenset()], rows)
            where = (self.places.row,) if whole else (self.places.row[:, None], self.places.answer[:, None])
            found[frozenset()] = made[where]
        return found

    def _streams(self, columns: list[Column], base: Tensor, whole: bool) -> Tensor:
        return self.deltas.streams(columns, base) if whole else self.deltas.answers(columns, base)[:, :, None]

    def _mlps(self, layer: int, block: Block, mid: Tensor) -> None:
        for everywhere in (True, False):
            copies = [n for n in self._at(layer, "mlp") if self.everywhere[n] == everywhere]
            if not copies:
                continue
            assert block.mlp is not None
            columns = list(dict.fromkeys(self.wiring.copies[n].reads[0][1] for n in copies))
            streams = self._streams(columns, mid, everywhere)
            row, answer = self.places.row, self.places.answer
            old = self.frozen.mlp[layer][row] if everywhere else self.frozen.mlp[layer][row, answer][:, None]
            for column, x in zip(columns, streams, strict=True):
                made = mlp(block.mlp, x if block.ln2 is None else norm(block.ln2, x)) - old
                for number in copies:
                    if self.wiring.copies[number].reads[0][1] == column:
                        self.deltas.put(number, made if everywhere else made[:, 0])


def _of_heads(attn: Attn, channel: str, x: Tensor, heads: Sequence[int], positions: Tensor) -> Tensor:
    """A channel of query heads; keys and values of a shared head are projected once and repeated."""
    if channel == "q":
        return project(attn, "q", x, heads, positions)
    groups = [kv_head(attn, head) for head in heads]
    distinct = sorted(set(groups))
    made = project(attn, channel, x, distinct, positions)
    return made if distinct == groups else made[..., [distinct.index(group) for group in groups], :]


def run_wiring(
    model: Transformer, wiring: Wiring, frozen: Values, leaves: dict[int, Tensor], places: Places,
    answer: Slot | None,
) -> Float[Tensor, "b d"]:  # fmt: skip
    """The final stream at the answer. `leaves[n]` is what leaf n writes beyond its frozen value: `[b, t, d]`, or
    `[b, d]` where it is needed at the answer alone.

    Exact: every channel's norm, pattern and MLP is recomputed on the stream that it reads.
    """
    everywhere = wiring.everywhere(answer)
    deltas = Deltas.of(wiring, everywhere, places, frozen.embed)
    positions = torch.arange(places.longest, device=places.row.device).expand(places.size, -1)
    with torch.no_grad():
        return Run(model, wiring, frozen, places, leaves, everywhere, deltas, positions).final()
