"""What hosts of parts compute over the pool: the vectors that their codes read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.resolved import Claim
from scrub.engine.cache import located, run_pool
from scrub.engine.needs import Kind, Need
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.weights import Transformer


def host_vectors(
    claim: Claim, model: Transformer, parts: Mapping[Component, Iterable[Slot]]
) -> dict[Component, Tensor]:
    """For each part what its code reads of its host at some slots of every row of the pool, `[n, width]`.

    Of neurons these are all activations of their MLP, of a query the query of its head, of others vectors of the
    stream. At `all` every position that is no padding counts.
    """
    need, coded = Need(), PartCodes(model)
    for part in parts:
        need.add(coded.of(part).array, None)
    slots = sorted({slot for where in parts.values() for slot in where} - {ALL})
    positions = located(claim.data, slots, model.device)
    lengths = torch.from_numpy(claim.data.lengths.copy()).to(model.device)
    found: dict[Component, list[Tensor]] = {part: [] for part in parts}

    def note(kind: Kind, value: Tensor, rows: Tensor) -> None:
        for part, where in parts.items():
            if coded.of(part).array == kind:
                read = _read(coded.of(part), value)
                for slot in where:
                    shown = torch.arange(read.shape[1], device=read.device)
                    at = shown < lengths[rows][:, None] if slot == ALL else shown == positions[slot][rows][:, None]
                    found[part].append(read[at])

    with torch.no_grad():
        run_pool(model, claim.data, need, note, lambda _: None)
    return {part: torch.cat(vectors).double().cpu() for part, vectors in found.items()}


def _read(part: CodedPart, array: Tensor) -> Tensor:
    return array if part.component.traits.scalar else part.reads(part.host(array))
