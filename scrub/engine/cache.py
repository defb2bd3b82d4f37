"""The row cache: every row is run once, and of each the arrays that the program needs are kept.

Arrays are `[row, slot or position, ...]` and contiguous, so that contexts are gathered by one `index_select`.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.anatomy.table import TABLE, attention_time, stream_at
from scrub.claims.dataset import Dataset
from scrub.engine.needs import Kind, Need
from scrub.model.bytes import SizedModel, pass_bytes, row_bytes
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.kept import Tokens
from scrub.model.memory import Piece
from scrub.model.places import beside, place
from scrub.model.trace import Record, trace
from scrub.model.upload import some
from scrub.model.weights import Transformer
from scrub.model.workers import Sent, Task, received, sent_form

ROWS_AT_ONCE = 16  # at most: on a CPU larger batches leave its caches and are slower
# Shares of the memory: rows that are kept, beside them a slice of those that are run, or a block. Where layers run
# one at a time, a part of that is for the streams of all rows.
STORED, PASS, BETWEEN = 0.5, 0.5, 0.25
EMBEDDED = {row.array for row in TABLE.values() if row.given}  # arrays that are told before the first layer
EVERYTHING = 2**27  # bytes of all that passes compute, up to which all of it is kept for other claims


@frozen(eq=False)
class Store:
    """Arrays by kind. `columns` says which slot is which column, None for an array of every position.

    `index` maps a row of the pool to a row of the arrays (the mean of a stratum serves all its rows);
    `positions` maps slots to indices in every row; `heads` says which heads an array holds. An array lies where its
    layer does; what is read of it comes to where the rows are told.
    """

    arrays: dict[Kind, Tensor]
    columns: dict[Kind, dict[Slot, int] | None]
    heads: dict[Kind, list[int]]
    index: Int[Tensor, " row"]
    positions: dict[Slot, Int[Tensor, " row"]]
    lengths: Int[Tensor, " row"]

    def at(
        self, kind: Kind, slot: Slot, rows: Int[Tensor, " n"], heads: Sequence[int] | None = None
    ) -> Float[Tensor, " n *rest"]:
        """The array of each row at a slot, cut to some heads."""
        array, columns = self.arrays[kind], self.columns[kind]
        width = array.shape[1]
        column = self.positions[slot][rows] if columns is None else columns[slot]
        # One gather of whole vectors: on a CPU it takes half the time of indexing by two tensors.
        flat = array.flatten(0, 1).index_select(0, beside(array, self.index[rows] * width + column))
        return beside(rows, self._cut(flat, kind, heads))

    def at_each(self, kinds: Sequence[Kind], slot: Slot, rows: Int[Tensor, " n"]) -> list[Float[Tensor, " n *rest"]]:
        """Several arrays of each row at a slot, in full: where they lie alike, it is found once."""
        known, found = dict[tuple[int, int | None], Tensor](), list[Tensor]()
        for kind in kinds:
            array, columns = self.arrays[kind], self.columns[kind]
            width, column = array.shape[1], None if columns is None else columns[slot]
            if (width, column) not in known:
                at = self.positions[slot][rows] if column is None else column
                known[width, column] = self.index[rows] * width + at
            found.append(beside(rows, array.flatten(0, 1).index_select(0, beside(array, known[width, column]))))
        return found

    def whole(
        self, kind: Kind, rows: Int[Tensor, " n"], length: int, heads: Sequence[int] | None = None
    ) -> Float[Tensor, "n t *rest"]:
        """The array of each row at its first `length` positions, cut to some heads."""
        array = self.arrays[kind]
        found = array.index_select(0, beside(array, self.index[rows]))[:, :length]
        return beside(rows, self._cut(found, kind, heads))

    def _cut(self, array: Tensor, kind: Kind, heads: Sequence[int] | None) -> Tensor:
        held = self.heads[kind]
        if heads is None or list(heads) == held:
            return array
        return some(array, [held.index(head) for head in heads], -2)


def tensors(data: Dataset, device: torch.device) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
    """Right-padded tokens and lengths."""
    longest = int(data.lengths.max())
    padded = np.zeros((len(data), longest), dtype=np.int64)
    for number, row in enumerate(data.rows):
        padded[number, : len(row.tokens)] = row.tokens
    return torch.from_numpy(padded).to(device), torch.from_numpy(data.lengths.copy()).to(device)


def located(data: Dataset, slots: Sequence[Slot], device: torch.device) -> dict[Slot, Int[Tensor, " row"]]:
    return {slot: torch.from_numpy(data.locate(slot).copy()).to(device) for slot in slots}


def rows_at_once(model: SizedModel, longest: int) -> int:
    """How many rows are run together."""
    return model.fit(row_piece(model, longest), ROWS_AT_ONCE)


def row_piece(model: SizedModel, longest: int) -> Piece:
    """The longest row, run."""
    part = PASS - BETWEEN if model.streamed else PASS
    return Piece(f"one row of {longest} tokens", row_bytes(model, longest), part)


Note = Callable[[Kind, Tensor, Tensor], None]  # kind, array, rows
Telling = Callable[[Tensor, str, int, Tensor], None]  # rows, kind, layer, array


def run_pool(
    model: Transformer, data: Dataset, need: Need, note: Note, done: Callable[[int], None]
) -> None:  # fmt: skip
    """Run every row once, rows of similar length together; tell the arrays that are needed, cut to their heads.

    Which rows are run together depends on all of them alone: a slice that the model's `passes` know is read and not
    run, and the others are what they are without. `done(n)` is told how many rows were run or read.
    """
    codes, taken = PartCodes(model), dict[Kind, list[CodedPart]]()
    for part in need.parts.values():
        taken.setdefault(codes.of(part).array, []).append(codes.of(part))

    def record(rows: Tensor, kind: str, layer: int, value: Tensor) -> None:
        if (kind, layer) in need.slots:
            heads = sorted(need.heads[kind, layer])
            note((kind, layer), value[..., heads, :] if heads else value, rows)
        for part in taken.get((kind, layer), ()):
            note(part.component.array, part.of_array(value), rows)

    for rows in _Asked(model, data, {*need.slots, *taken}).told(record):
        done(len(rows))


@frozen(eq=False, slots=False)
class _Asked:
    """Rows of the data whose arrays are asked for."""

    model: Transformer
    data: Dataset
    kinds: set[Kind]

    @cached_property
    def padded(self) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
        return tensors(self.data, self.model.device)

    def told(self, record: Telling) -> Iterator[Int[Tensor, " n"]]:
        """Slices of the rows whose arrays were told, one after the other: what is summed over them has one order."""
        lengths = self.padded[1]
        # Rows of similar length together: padding is computed like anything else.
        slices = torch.argsort(lengths, stable=True).split(rows_at_once(self.model, int(lengths.max())))
        known = [self._known(rows) for rows in slices]
        listed = [*zip(slices, known, strict=True)]
        return self._each(listed, record) if self.model.lending is None else self._by_layers(listed, record)

    def _known(self, rows: Int[Tensor, " n"]) -> bool:
        passes = self.model.passes
        return passes is not None and passes.known(self.model, self._tokens(rows), self.kinds)

    def _tokens(self, rows: Int[Tensor, " n"]) -> list[Tokens]:
        return [tuple(self.data.rows[row].tokens) for row in rows.tolist()]

    def _each(self, slices: Sequence[tuple[Tensor, bool]], record: Telling) -> Iterator[Tensor]:
        """Read, or run by this process as they come, or by workers that send what they found: the same passes."""
        workers, missing = self.model.workers, [rows for rows, known in slices if not known]
        sent = workers.each(Task(self, _sent, (sent_form(rows),)) for rows in missing) if workers.number > 1 else None
        for rows, known in slices:
            if known:
                self._read(rows, self.kinds, record)
            elif sent is None:
                self._keep(rows, self.computed(rows, partial(record, rows)))
            else:
                found = {kind: received(value, self.model.device) for kind, value in next(sent).items()}
                for kind in (kind for kind in found if kind in self.kinds):
                    record(rows, kind[0], kind[1], found[kind])
                self._keep(rows, found)
            yield rows

    def _by_layers(self, slices: Sequence[tuple[Tensor, bool]], record: Telling) -> Iterator[Tensor]:
        """Every layer once, with all rows: where layers are taken from files, this is what takes time.

        It is done by this process, whoever else computes: each worker would read every layer.
        """
        bound, shape = self.model.memory.share(BETWEEN), (*self.padded[0].shape, self.model.shape.d_model)
        streams = zeros(self.model.W_E.new_empty(0, dtype=self.model.dtype), shape, bound)
        for layer in range(-1, len(self.model.blocks)):  # -1: the embeddings
            for rows, known in slices:
                if known:
                    self._read(rows, {kind for kind in self.kinds if self._turn(kind) == layer}, record)
                else:
                    self._keep(rows, self._layer(layer, streams, rows, partial(record, rows)))
                if layer + 1 == len(self.model.blocks):
                    yield rows

    def _turn(self, kind: Kind) -> int:
        """The layer with which an array is told, where layers run one at a time."""
        return -1 if kind[0] in EMBEDDED else min(kind[1], len(self.model.blocks) - 1)

    def _layer(
        self, layer: int, streams: Float[Tensor, "row t d"], rows: Int[Tensor, " n"], tell: Record
    ) -> dict[Kind, Tensor]:
        """The same as `computed` for one layer; what lies between two is told, and kept, with the second."""
        (tokens, lengths), between = self._tensors(rows), stream_at(attention_time(layer + 1))
        found, heard = self._hearing(tell)

        def once(kind: str, at: int, value: Tensor) -> None:
            if layer + 1 == len(self.model.blocks) or (kind, at) != between:
                heard(kind, at, value)

        start = None if layer < 0 else (layer, streams[rows, : tokens.shape[1]])
        streams[rows, : tokens.shape[1]] = trace(self.model, tokens, lengths, once, start, layer + 1)
        return found

    def computed(self, rows: Int[Tensor, " n"], tell: Record | None = None) -> dict[Kind, Tensor]:
        """The arrays of rows that are to be kept, or without `tell` those that are asked for too; it hears of all."""
        found, heard = self._hearing(tell)
        trace(self.model, *self._tensors(rows), heard)
        return found

    def _tensors(self, rows: Int[Tensor, " n"]) -> tuple[Int[Tensor, "n t"], Int[Tensor, " n"]]:
        tokens, lengths = self.padded
        return tokens[rows, : int(lengths[rows].max())], lengths[rows]

    def _hearing(self, tell: Record | None) -> tuple[dict[Kind, Tensor], Record]:
        """The arrays to be kept, and who gathers them."""
        found, passes = dict[Kind, Tensor](), self.model.passes

        def heard(kind: str, layer: int, value: Tensor) -> None:
            asked = (kind, layer) in self.kinds
            value = value.contiguous() if asked else value  # as it lies where it is read
            if (asked and (passes is not None or tell is None)) or (passes is not None and self.everything):
                found[kind, layer] = value
            if tell is not None:
                tell(kind, layer, value)

        return found, heard

    def _keep(self, rows: Int[Tensor, " n"], found: dict[Kind, Tensor]) -> None:
        if self.model.passes is not None and found:
            self.model.passes.keep(self.model, self._tokens(rows), found)

    def _read(self, rows: Int[Tensor, " n"], kinds: set[Kind], record: Telling) -> None:
        """Tell arrays of a slice that is known."""
        assert self.model.passes is not None
        for kind, layer in sorted(kinds):
            found = self.model.passes.read(self.model, self._tokens(rows), (kind, layer))
            record(rows, kind, layer, found.to(place(self.model, layer)))

    @cached_property
    def everything(self) -> bool:
        """Whether the rows are so small that all that a pass computes is kept: any other claim finds it then."""
        every = sum(pass_bytes(self.model, len(row.tokens)) for row in self.data.rows)
        return every <= EVERYTHING


def _sent(asked: _Asked, rows: Sent) -> dict[Kind, Sent]:
    """What a worker sends of some rows; an array that has two names is sent once."""
    with torch.no_grad():
        found = asked.computed(received(rows, asked.model.device))
    forms = dict[object, Sent]()
    for value in found.values():
        forms.setdefault(_place(value), sent_form(value))
    return {kind: forms[_place(value)] for kind, value in found.items()}


def _place(value: Tensor) -> object:
    return value.data_ptr(), value.shape, value.stride()


@frozen(eq=False)
class Keeper:
    """Fills the arrays of a store batch by batch: those that `bound` does not hold lie in files."""

    need: Need
    positions: dict[Slot, Int[Tensor, " row"]]
    shape: tuple[int, int]  # rows, longest
    bound: int  # bytes
    arrays: dict[Kind, Tensor] = field(factory=dict[Kind, Tensor])

    def columns(self, kind: Kind) -> dict[Slot, int] | None:
        if self.need.whole(kind):
            return None
        return {slot: i for i, slot in enumerate(sorted(s for s in self.need.slots[kind] if s is not None))}

    def keep(self, kind: Kind, value: Tensor, rows: Int[Tensor, " n"]) -> None:
        columns = self.columns(kind)
        if columns is not None:
            index = beside(value, torch.stack([self.positions[slot][rows] for slot in columns], dim=1))
            value = value[torch.arange(len(rows), device=value.device)[:, None], index]
        if kind not in self.arrays:
            width = self.shape[1] if columns is None else len(columns)
            self.arrays[kind] = self._zeros(value, (self.shape[0], width, *value.shape[2:]))
        self.arrays[kind][beside(value, rows), : value.shape[1]] = value

    def _zeros(self, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        return zeros(like, shape, self.bound - sum(array.nbytes for array in self.arrays.values()))


def zeros(like: Tensor, shape: tuple[int, ...], bound: int) -> Tensor:
    """Zeros in memory, or, where they are more than a bound of bytes, in a file."""
    if like.device.type == "cpu" and math.prod(shape) * like.element_size() > bound:
        try:
            return _mapped(like.dtype, shape)
        except (OSError, AttributeError):  # a full disk, or a system without the call: memory may do
            pass
    return like.new_zeros(shape)


def _mapped(dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Zeros in a file that nobody else sees, and that is gone with them. Raises OSError where there is no place."""
    with tempfile.NamedTemporaryFile(prefix="scrub-rows-") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, math.prod(shape) * dtype.itemsize))
        return torch.from_file(file.name, shared=True, size=math.prod(shape), dtype=dtype).view(shape)


def row_store(
    model: Transformer, data: Dataset, need: Need, positions: dict[Slot, Int[Tensor, " row"]],
    done: Callable[[int], None],
) -> Store:  # fmt: skip
    """Run every row once and keep what is needed."""
    _, lengths = tensors(data, model.device)
    keeper = Keeper(need, positions, (len(data), int(data.lengths.max())), model.memory.share(STORED))
    run_pool(model, data, need, keeper.keep, done)
    everyone = torch.arange(len(data), device=model.device)
    return Store(
        keeper.arrays,
        {kind: keeper.columns(kind) for kind in keeper.arrays},
        {kind: sorted(heads) for kind, heads in need.heads.items()},
        everyone,
        positions,
        lengths,
    )
