"""What hosts of parts compute over the pool: the vectors that their codes read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.engine.cache import Store, located, row_store
from scrub.engine.needs import Need
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.reread import add_host, at_places, has_all
from scrub.model.codes import CodedPart, PartCodes


def host_vectors(rows: TransformerRows, parts: Mapping[Component, Iterable[Slot]]) -> dict[Component, Tensor]:
    """For each part what its code reads of its host at some slots of every row of the pool, `[n, width]`.

    Of neurons these are all activations of their MLP, of a query the query of its head, of others vectors of the
    stream. At `all` every position that is no padding counts. The pool is run where the rows do not have it.
    """
    need, codes = Need(), PartCodes(rows.model)
    for part, where in parts.items():
        add_host(need, codes, part, where)
    store = rows.store if has_all(rows.store, need) else _run(rows, need)
    found = {part: at_places(store, codes.of(part).array, where) for part, where in parts.items()}
    return {part: torch.cat([_read(codes.of(part), x) for x in read]).double().cpu() for part, read in found.items()}


def _run(rows: TransformerRows, need: Need) -> Store:
    slots = {slot for where in need.slots.values() for slot in where if slot is not None}
    positions = located(rows.claim.data, sorted(slots), rows.model.device)
    with torch.no_grad():
        return row_store(rows.model, rows.claim.data, need, positions, lambda _: None)


def _read(part: CodedPart, array: Tensor) -> Tensor:
    return array if part.component.traits.scalar else part.reads(part.host(array))
