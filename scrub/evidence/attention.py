"""Where claimed heads look from their positions, beside where the claim says that they read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.engine.cache import Store
from scrub.engine.needs import Need
from scrub.evidence.scene import FIRST, Locus, Scene, Unseen, reading_heads
from scrub.model.block import as_read, held_by, positions_of, scoring
from scrub.model.layers import pattern, visible


@frozen
class SlotShare:
    """The share of a head's attention that goes to a slot: a mean over rows. `at` None: to all other positions."""

    at: str | None
    share: float


@frozen
class HeadLooks:
    """Where a head looks from `at`; `reads` are the slots of the parents that the claim reads through k or v.

    `share` goes to these together; `most` is the commonest position of the largest weight, by name (None: one
    without), and `most_rows` on which share of the rows. `rows` are the weights of the rows that are shown.
    """

    variable: str
    head: Component
    at: str
    reads: tuple[str, ...]
    share: float | None
    most: str | None
    most_rows: float
    looks: tuple[SlotShare, ...]
    rows: tuple[tuple[float, ...], ...]


@frozen
class Attention:
    """Attention patterns of claimed heads (Elhage et al. 2021), a softmax over the positions that a query sees."""

    heads: tuple[HeadLooks, ...]


def asks(scene: Scene, need: Need) -> None:
    """Queries at the slots of claimed heads, and all of their keys."""
    found = reading_heads(scene)
    if not found:
        raise Unseen("attention: the claim names no head at a position that every row has.")
    for locus, heads in found:
        asks_pattern(scene, need, locus.host.layer or 0, heads, locus.at)


def asks_pattern(scene: Scene, need: Need, layer: int, heads: Sequence[int], at: Slot) -> None:
    need.add(("q", layer), at, heads)
    need.add(("k", layer), None, held_by(scene.model.blocks[layer].attn, "k", heads))


def weights_at(
    scene: Scene, store: Store, layer: int, heads: Sequence[int], at: Slot
) -> Float[Tensor, "row heads t"]:
    """The attention of some heads of a layer from a slot of every row to each of its positions."""
    attn, longest = scene.model.blocks[layer].attn, int(store.lengths.max())
    q = store.at(("q", layer), at, scene.rows, heads)[:, None]
    k = as_read(attn, "k", heads, lambda held: store.whole(("k", layer), scene.rows, longest, held))
    place, keys = store.positions[at][:, None], positions_of(k)
    seen = visible(attn, place, keys, store.lengths)
    return pattern(q, k, seen, scoring(attn, place, keys, heads))[:, :, 0]


def look(scene: Scene, store: Store) -> Attention:
    found: list[HeadLooks] = []
    for locus, heads in reading_heads(scene):
        layer = locus.host.layer or 0
        weights = weights_at(scene, store, layer, heads, locus.at)
        for i, head in enumerate(heads):
            found.append(_looks(scene, locus, Component.for_head(layer, head), weights[:, i].double().cpu()))
    return Attention(tuple(found))


def _looks(scene: Scene, locus: Locus, head: Component, weights: Float[Tensor, "row t"]) -> HeadLooks:
    parents = [parent for channel in ("k", "v") for parent in locus.reads.get(channel, ())]
    reads = tuple(dict.fromkeys(slot for parent in parents for slot in scene.slots_of(parent)))
    names = names_at(scene)
    most = weights.argmax(-1).tolist()
    called = [names[row].get(index) for row, index in enumerate(most)]
    best = max(dict.fromkeys(called), key=called.count)
    lengths = scene.data.lengths.tolist()
    return HeadLooks(
        locus.variable, head, str(locus.at), tuple(map(str, reads)),
        float(masked(scene, weights, reads).mean()) if reads else None,
        best, called.count(best) / len(called), shares_by_slot(scene, weights),
        tuple(tuple(weights[row, : lengths[row]].tolist()) for row in range(scene.shown)),
    )  # fmt: skip


def names_at(scene: Scene) -> list[dict[int, str]]:
    """For every row, the name of each index that has one; the claim's own names come first."""
    found: list[dict[int, str]] = [{} for _ in scene.used]
    for slot in (*scene.named, FIRST):
        for row, index in enumerate(scene.data.locate(slot).tolist()):
            found[row].setdefault(index, str(slot))
    return found


def masked(scene: Scene, weights: Float[Tensor, "row t"], slots: Sequence[Slot]) -> Float[Tensor, " row"]:
    """What falls on some slots together, each position once."""
    mask = torch.zeros_like(weights)
    for slot in slots:
        mask[torch.arange(len(weights)), scene.positions[slot].cpu()] = 1
    return (weights * mask).sum(-1)


def shares_by_slot(scene: Scene, weights: Float[Tensor, "row t"]) -> tuple[SlotShare, ...]:
    """What falls on each named slot, on the first token and on all others: means over rows."""
    slots = (*scene.named, *(() if FIRST in scene.named else (FIRST,)))
    found = [SlotShare(str(slot), float(masked(scene, weights, [slot]).mean())) for slot in slots]
    return (*found, SlotShare(None, float((weights.sum(-1) - masked(scene, weights, slots)).mean())))
