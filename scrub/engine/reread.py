"""What a store already has of the rows: programs that ask for no more, codes of parts included, run nothing again."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from attrs import evolve
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.shape import Shape
from scrub.engine.cache import Store
from scrub.engine.needs import Kind, Need
from scrub.model.codes import PartCodes
from scrub.model.weights import Transformer

Slots = Iterable[Slot | None]


def reread(store: Store, model: Transformer, need: Need) -> Store | None:
    """The store with what codes read of its hosts beside it; None where it lacks an array, a slot or a head."""
    codes, arrays, columns = PartCodes(model), dict[Kind, Tensor](), dict[Kind, dict[Slot, int] | None]()
    for kind, slots in need.slots.items():
        if has(store, kind, slots, need.heads[kind]):
            continue
        host = Need()
        if kind in need.parts:
            add_host(host, codes, need.parts[kind], slots)
        if not host.slots or not has_all(store, host):
            return None
        part = codes.of(need.parts[kind])
        arrays[kind], columns[kind] = part.of_array(store.arrays[part.array]), store.columns[part.array]
    heads = {**store.heads, **{kind: list[int]() for kind in arrays}}
    return evolve(store, arrays={**store.arrays, **arrays}, columns={**store.columns, **columns}, heads=heads)


def has(store: Store, kind: Kind, slots: Slots, heads: Iterable[int]) -> bool:
    """Whether an array is there, at some slots (None: at every position) and of some heads."""
    if kind not in store.arrays:
        return False
    columns, held = store.columns[kind], store.heads[kind]
    return (columns is None or set(slots) <= set(columns)) and (not held or set(heads) <= set(held))


def has_all(store: Store, need: Need) -> bool:
    """Whether all arrays that are asked for are there."""
    return all(has(store, kind, slots, need.heads[kind]) for kind, slots in need.slots.items())


def add_host(need: Need, codes: PartCodes, part: Component, slots: Slots) -> None:
    """Asks for what the code of a part reads: then any other part of the host is known too."""
    for slot in slots:
        need.add(codes.of(part).array, slot, _every_head(codes.model.shape, part))


def at_places(store: Store, kind: Kind, slots: Iterable[Slot]) -> list[Tensor]:
    """An array of every row, slot by slot; at `all` of the positions that are no padding."""
    lengths = store.lengths
    rows, longest = torch.arange(len(lengths), device=lengths.device), int(lengths.max())
    real = torch.arange(longest, device=lengths.device) < lengths[:, None]
    return [
        store.whole(kind, rows, longest)[real] if slot in (ALL, OTHER) else store.at(kind, slot, rows)
        for slot in sorted(slots)
    ]


def _every_head(shape: Shape, part: Component) -> range:
    """The heads of the array of a host, none where it has none."""
    if not part.traits.by_unit or part.traits.scalar:
        return range(0)
    return range(shape.n_kv_heads if part.kind in ("k", "v") else shape.n_heads)
