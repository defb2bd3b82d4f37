"""Hosts of latents as they are where the latents land: the frame's own vector, and what landed values write more.

An engine that is not asked for it computes nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from attrs import define, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.part import LATENTS
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.geometry import named_slots
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store, located, row_store
from scrub.engine.needs import Need, add_written
from scrub.engine.plan import Landing
from scrub.engine.pseudo import pseudo_store
from scrub.engine.reread import at_places, reread
from scrub.engine.written import in_full, width_of
from scrub.model.weights import Transformer

Change = tuple[Landing, Float[Tensor, "n ... d"]]  # what a landing writes more than its frame


@frozen(eq=False)
class HostRows:
    """What hosts write on rows, at the slots at which their latents are claimed."""

    store: Store
    full: Mapping[Component, Component]  # a host, and the part that is all of it
    slots: Mapping[Component, frozenset[Slot]]

    @classmethod
    def of(cls, claim: Claim, model: Transformer, pseudo: bool, known: Store | None = None) -> HostRows:
        """Of the rows of the pool, of which a store may be known, or of the `pseudo` rows that are frames instead."""
        slots, graph, need = latent_slots(claim), claim.graph, Need()
        assert isinstance(graph, TransformerGraph)
        full = {host: in_full(host, width_of(host, graph)) for host in slots}
        for host, where in slots.items():
            for slot in where:
                add_written(need, graph, full[host], slot)
        positions = located(claim.data, named_slots(claim.placement, claim.data), model.device)
        with torch.no_grad():
            made = pseudo_store(model, claim, need, positions, _silent) if pseudo else None
            made = reread(known, model, need) if made is None and known is not None else made
            store = made or row_store(model, claim.data, need, positions, _silent)
        return cls(store, full, slots)

    def at(self, host: Component, slot: Slot, rows: Int[Tensor, " n"], length: int) -> Float[Tensor, "n *t d"]:
        kind = self.full[host].array
        return self.store.whole(kind, rows, length) if slot in (ALL, OTHER) else self.store.at(kind, slot, rows)

    def everything(self, host: Component) -> Float[Tensor, "n d"]:
        """All vectors of a host, row after row; at `all` the positions that are no padding."""
        return torch.cat(at_places(self.store, self.full[host].array, self.slots[host]))

    def real(self, x: Float[Tensor, "n *t d"], rows: Int[Tensor, " n"]) -> Float[Tensor, "m d"]:
        """Without padding."""
        if x.ndim == 2:
            return x
        return x[torch.arange(x.shape[1], device=x.device) < self.store.lengths[rows][:, None]]


@define(eq=False)
class LandedHosts:
    """Keeps the vectors of hosts where latents of theirs landed, those of the remainder and other parts added.

    What of a host is passed through beside them is not in it.
    """

    frames: HostRows
    found: dict[Component, list[Float[Tensor, "m d"]]] = field(factory=dict[Component, "list[Tensor]"])

    def hear(self, rows: Int[Tensor, " n"], changes: Sequence[Change]) -> None:
        """Values landed in frames: `changes` are those of one moment, at the slots at which they landed."""
        for host, slot in sorted({(landing.component.whole, landing.slot) for landing, _ in _of_latents(changes)}):
            assert slot is not None
            more = [x for landing, x in changes if (landing.component.whole, landing.slot) == (host, slot)]
            own = self.frames.at(host, slot, rows, more[0].shape[1])
            self.found.setdefault(host, []).append(self.frames.real(own + torch.stack(more).sum(0), rows))


def _silent(_: int) -> None:
    """Nobody counts the rows."""


def is_latents(component: Component) -> bool:
    """Whether it is latents of what its host writes: those of a transcoder leave its error as it is."""
    part = component.part
    return part is not None and part.code == LATENTS and not part.setting("reads")


def _of_latents(changes: Iterable[Change]) -> list[Change]:
    return [(landing, x) for landing, x in changes if is_latents(landing.component)]


def latent_slots(claim: Claim) -> dict[Component, frozenset[Slot]]:
    """The hosts of whose dictionaries latents are claimed, and at which slots."""
    found: dict[Component, set[Slot]] = {}
    for component, slot in claim.claimed:
        if slot is not None and is_latents(component):
            found.setdefault(component.whole, set()).add(slot)
    return {host: frozenset(slots) for host, slots in found.items()}
