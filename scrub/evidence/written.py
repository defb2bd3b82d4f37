"""What claimed components write at their slots: the tokens that it makes likelier there, and less likely."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.engine.cache import Store
from scrub.engine.needs import Need, add_written
from scrub.evidence.lens import stream
from scrub.evidence.norms import shared_out
from scrub.evidence.scene import Locus, Scene, Unseen, summing
from scrub.model.block import summed_heads
from scrub.model.codes import PartCodes
from scrub.model.layers import write
from scrub.model.products import precise_times

TOP = 5  # tokens of either sign that are told


@frozen
class TokenChange:
    """By how much a logit is changed, up to what all logits are changed by."""

    token: str
    change: float


@frozen
class ComponentWrites:
    """What a component, or a part of one, adds directly to the logits at its own slot: a mean over rows.

    Less the mean over the vocabulary; the final norm has the scale that each row has at that slot. `rows` are the
    likeliest tokens of the rows that are shown.
    """

    variable: str
    component: Component
    at: str
    up: tuple[TokenChange, ...]
    down: tuple[TokenChange, ...]
    rows: tuple[TokenChange, ...]


@frozen
class WrittenTokens:
    """The strongest tokens of every claimed component that writes into the stream."""

    components: tuple[ComponentWrites, ...]


def writers(scene: Scene) -> list[Locus]:
    """Loci that write, once for every slot: no embeddings, streams or channels, and no parts before a post-norm."""
    found: dict[tuple[Component, Slot], Locus] = {}
    for locus in scene.loci:
        traits, at = locus.component.traits, locus.at
        into = (traits.attends or traits.local or traits.scalar) and not traits.is_channel
        if into and at in scene.named and not (scene.shape.post_norms and locus.component.is_part):
            found.setdefault((locus.component, at), locus)
    return list(found.values())


def asks(scene: Scene, need: Need) -> None:
    summing(scene, "written")
    loci = writers(scene)
    if not loci:
        raise Unseen("written: the claim names no component that writes at a position which every row has.")
    for locus in loci:
        add_written(need, scene.claim.graph, locus.component, locus.at)  # pyright: ignore[reportArgumentType]
        need.add(stream(scene.shape.n_layers), locus.at)
        if scene.shape.post_norms and locus.host.traits.attends:
            need.add(("attn_out", locus.host.layer or 0), locus.at)


def vector(scene: Scene, store: Store, locus: Locus) -> Float[Tensor, "row d"]:
    """What a locus adds to the stream on every row. A norm that follows its layer keeps the row's scale."""
    component, block = locus.component, scene.model.blocks[locus.component.layer or 0]
    value = store.at(component.array, locus.at, scene.rows, component.taken)
    if component.is_part:
        return PartCodes(scene.model).of(component).code.write(value)
    if not component.traits.attends:
        return value
    out = write(block.attn, value, component.heads(scene.shape))
    if block.post_attn is None:
        return out
    whole = summed_heads(block, store.at(("attn_out", component.layer or 0), locus.at, scene.rows))
    return shared_out(block.post_attn, whole, out)


def look(scene: Scene, store: Store) -> WrittenTokens:
    return WrittenTokens(tuple(_writes(scene, store, locus) for locus in writers(scene)))


def _writes(scene: Scene, store: Store, locus: Locus) -> ComponentWrites:
    model = scene.model
    final = store.at(stream(scene.shape.n_layers), locus.at, scene.rows)
    added = shared_out(model.ln_final, final, vector(scene, store, locus))
    mean, *each = (_changes(scene, x) for x in (added.mean(0), *added[: scene.shown]))
    best, at = mean.argsort(descending=True), str(locus.at)
    rows = tuple(_told(scene, change, [int(change.argmax())])[0] for change in each)
    up, down = (_told(scene, mean, some[:TOP].tolist()) for some in (best, best.flip(0)))
    return ComponentWrites(locus.variable, locus.component, at, up, down, rows)


def _changes(scene: Scene, x: Float[Tensor, " d"]) -> Float[Tensor, " v"]:
    found = precise_times(x, scene.model.W_U).double()
    return found - found.mean()


def _told(scene: Scene, change: Float[Tensor, " v"], tokens: Sequence[int]) -> tuple[TokenChange, ...]:
    return tuple(TokenChange(scene.word(token), float(change[token])) for token in tokens)
