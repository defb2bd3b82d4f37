"""Parts of components patched in a run of the model: `write(new) - write(old)` more, old being the run's own.

Everything downstream is recomputed, and the remainder of the host is what the run makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.table import MLP_INPUT
from scrub.claims.sites import Site
from scrub.engine.cache import Store
from scrub.errors import ModelError
from scrub.model.codes import Kind, PartCodes
from scrub.model.layers import angled


@frozen(eq=False)
class PartPatch:
    """One part at one slot, with its value on each donor, `[call, k]` (at `all` `[call, t, k]`)."""

    component: Component
    slot: Slot
    donors: Int[Tensor, " call"]


@frozen(eq=False)
class PartPatches:
    """The parts that a run takes from donors. `_own` keeps arrays of the run until they are put to use."""

    codes: PartCodes
    store: Store
    rows: Int[Tensor, " call"]
    listed: tuple[PartPatch, ...]
    # kept by the array's kind, of one run
    _own: dict[Kind, Tensor] = field(factory=dict, init=False)

    @classmethod
    def of(
        cls, codes: PartCodes, store: Store, rows: Int[Tensor, " call"],
        patches: Sequence[tuple[tuple[Site, ...], Int[np.ndarray, " call"]]],
    ) -> PartPatches:  # fmt: skip
        """Raises ModelError for a part of a layer's attention where that is normed before it is added."""
        found = tuple(
            PartPatch(component, slot, torch.from_numpy(donors).to(rows.device))
            for sites, donors in patches for site in sites for component in site.components if component.is_part
            for slot in site.at
        )  # fmt: skip
        for patch in found:
            allowed(codes, patch.component)
        return cls(codes, store, rows, found)

    @property
    def kinds(self) -> set[Kind]:
        """The arrays of a run that are read, or that something is put in."""
        read = [(patch.component, self.codes.of(patch.component).array) for patch in self.listed]
        return {kind for component, array in read for kind in (array, _lands(component, array))}

    def put(self, kind: Kind, value: Tensor) -> Tensor:
        """An array of the run with the parts that are put in there."""
        for patch in self.listed:
            coded = self.codes.of(patch.component)
            lands = _lands(patch.component, coded.array)
            if kind == coded.array and kind != lands:
                self._own[kind] = value
            if kind == lands:
                value = self._landed(patch, value, self._own.get(coded.array, value))
        return value

    def _landed(self, patch: PartPatch, value: Tensor, own: Tensor) -> Tensor:
        coded, value = self.codes.of(patch.component), value.clone()
        where = self._where(patch.slot)
        moved = self._new(patch, own.shape[1]) - coded.of_array(own)[where]
        component, more = patch.component, coded.code.write(moved)
        if component.traits.scalar:
            value[(*where, component.unit or 0)] += moved[..., 0]
        elif component.kind == "q":
            value[(*where, component.unit or 0)] += more
        elif component.traits.is_channel:
            value[(*where, component.unit or 0)] = self._turned(patch, coded.host(own)[where] + more)
        else:
            value[where] += more
        return value

    def _turned(self, patch: PartPatch, before: Tensor) -> Tensor:
        """Keys with their angles, `[call, e]` or at `all` `[call, t, e]`."""
        attn = self.codes.model.blocks[patch.component.layer or 0].attn
        everywhere = patch.slot == ALL
        x = before if everywhere else before[:, None]
        at = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        at = at if everywhere else self.store.positions[patch.slot][self.rows][:, None]
        made = angled(attn, patch.component.kind, x[:, :, None], at)[:, :, 0]
        return made if everywhere else made[:, 0]

    def _where(self, slot: Slot) -> tuple[Tensor | slice, ...]:
        if slot == ALL:
            return (slice(None), slice(None))
        return torch.arange(len(self.rows), device=self.rows.device), self.store.positions[slot][self.rows]

    def _new(self, patch: PartPatch, length: int) -> Tensor:
        kind = patch.component.array
        if patch.slot == ALL:
            return self.store.whole(kind, patch.donors, length)
        return self.store.at(kind, patch.slot, patch.donors)


def _lands(component: Component, array: Kind) -> Kind:
    """The array into which a part is put: of a head, what all heads write; of keys, those that a head reads.

    Of a transcoder, what the MLP writes.
    """
    traits, layer = component.traits, array[1]
    if array[0] == MLP_INPUT:
        return traits.array, layer
    if traits.is_channel and component.kind != "q":
        return f"{component.kind}_read", layer
    return ("attn_out", layer) if traits.attends else array


def allowed(codes: PartCodes, component: Component) -> None:
    """Raises ModelError for a part of a layer's attention where that is normed before it is added."""
    normed = codes.model.blocks[component.layer or 0].post_attn if component.traits.attends else None
    if normed is not None and not component.traits.by_unit:
        raise ModelError(
            f"no swap can take {component}: {codes.model.name} norms what its heads write together before it "
            "is added. Claim parts of single heads, or of the stream behind the layer."
        )
