"""Where heads act, at which positions their keys and values matter (by patching), and what they attend to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset
from scrub.model.block import patterns
from scrub.proposals.forward import PatchBatch
from scrub.proposals.nodes import node_of
from scrub.proposals.patching import PlacedNode
from scrub.proposals.setup import Setup
from scrub.proposals.verify import exact

Done = Callable[[int], None]
ELSEWHERE = "elsewhere"
NEARLY = 0.75  # of the most
WORDS = ("the token before", "the first token")  # for keys at positions without a name


@frozen
class Acting:
    """A head at the named position where patching its output alone does most; `effect` is the signed mean of that.

    `attends` holds the positions, or words for them, that it attends to most from there, with the mean weight: the
    first, and those with at least three quarters of its weight. `reads`
    says how much patching `k` or `v` alone does at each position that is visible from there, and `q` there. Sizes are
    means of absolute effects.
    """

    head: Component
    at: Slot
    effect: float
    size: float
    attends: Mapping[str, float]
    reads: Mapping[str, Mapping[Slot, float]]


def candidates(data: Dataset, answer: Slot) -> tuple[Slot, ...]:
    """The positions named in every row, each place once, and where the answer is read if that has no name."""
    found: list[Slot] = []
    for slot in (*map(Slot, data.position_names), answer):
        if (data.locate(slot) >= 0).all() and not any(_same(slot, other, data) for other in found):
            found.append(slot)
    return tuple(found)


def named_like(slot: Slot, slots: Sequence[Slot], data: Dataset) -> Slot:
    """Which of some slots is the same place in every row."""
    return next(other for other in slots if _same(slot, other, data))


def _same(a: Slot, b: Slot, data: Dataset) -> bool:
    return np.array_equal(data.locate(a), data.locate(b))


def acting(setup: Setup, heads: Sequence[Component], slots: tuple[Slot, ...], done: Done) -> tuple[Acting, ...]:
    """Where each head acts and what it reads there. Patches its output, keys and values at every slot."""
    placed = evolve(setup, at=slots)
    effects = {kind: _patched(placed, kind, heads, done) for kind in ("head", "k", "v")}
    here = np.abs(effects["head"]).mean(0).argmax(1)
    queries = [PlacedNode(_node("q", head), int(column)) for head, column in zip(heads, here, strict=True)]
    asked = np.abs(exact(placed, queries, done)).mean(0)
    named, unnamed = _attention(placed, heads)
    found: list[Acting] = []
    for i, head in enumerate(heads):
        sizes = {kind: np.abs(values[:, i]).mean(0) for kind, values in effects.items()}
        best = int(here[i])
        attends = _attended(slots, named[i, best], unnamed[i, best])
        shown = [j for j, slot in enumerate(slots) if _visible(slot, slots[best], setup)]
        reads = {c: {slots[j]: float(sizes[c][j]) for j in shown} for c in ("k", "v")}
        reads["q"] = {slots[best]: float(asked[i])}
        effect, size = float(effects["head"][:, i, best].mean()), float(sizes["head"][best])
        found.append(Acting(head, slots[best], effect, size, attends, reads))
    return tuple(found)


def _visible(slot: Slot, at: Slot, setup: Setup) -> bool:
    """Whether the mask shows a position to queries at another, in some row."""
    data = setup.experiment.data
    return not setup.model.shape.causal or bool((data.locate(slot) <= data.locate(at)).any())


def _patched(setup: Setup, kind: str, heads: Sequence[Component], done: Done) -> Float[np.ndarray, "row head slot"]:
    """The exact effect of a kind of node of every head, at every position alone."""
    width = len(setup.at)
    nodes = [PlacedNode(_node(kind, head), column) for head in heads for column in range(width)]
    return exact(setup, nodes, done).reshape(len(setup.rows), len(heads), width)


def _node(kind: str, head: Component) -> Component:
    return node_of(kind, head.layer or 0, head.unit or 0)


def _attended(slots: Sequence[Slot], named: np.ndarray, unnamed: np.ndarray) -> dict[str, float]:
    """What is attended to most; a key without a name only where it outweighs all that have one."""
    if unnamed[-1] <= named.sum():
        weights = {str(slot): float(weight) for slot, weight in zip(slots, named, strict=True)}
    elif unnamed[:-1].max() > unnamed[-1] / 2:
        weights = {word: float(weight) for word, weight in zip(WORDS, unnamed[:-1], strict=True)}
    else:
        weights = {ELSEWHERE: float(unnamed[-1])}
    ranked = sorted(weights, key=lambda name: -weights[name])
    return {name: weights[name] for name in ranked if weights[name] >= NEARLY * weights[ranked[0]]}


def _attention(
    setup: Setup, heads: Sequence[Component]
) -> tuple[Float[np.ndarray, "head slot slot"], Float[np.ndarray, "head slot word"]]:
    """Mean weights from each position to each named one, and to keys without a name: the `WORDS`, and the largest."""
    width = len(setup.at)
    named, unnamed = np.zeros((len(heads), width, width)), np.zeros((len(heads), width, len(WORDS) + 1))
    for chosen, batch in setup.batches():
        where = np.stack([setup.experiment.data.locate(slot)[setup.rows[chosen]] for slot in setup.at], axis=1)
        for layer, weights in _patterns(setup, batch, sorted({h.layer or 0 for h in heads})):
            for i, head in ((i, head) for i, head in enumerate(heads) if head.layer == layer):
                for places, own in zip(where, weights[:, head.unit or 0], strict=True):
                    to, others = _split(own[places], places)
                    named[i] += to
                    unnamed[i] += others
    return named / len(setup.rows), unnamed / len(setup.rows)


def _split(
    weights: Float[np.ndarray, "slot key"], places: Int[np.ndarray, " slot"]
) -> tuple[Float[np.ndarray, "slot slot"], Float[np.ndarray, "slot word"]]:
    """One row's weights to its named positions, and to its other keys."""
    others = weights.copy()
    others[:, places] = 0
    each = np.arange(len(places))
    before = np.where(places > 0, others[each, np.maximum(places - 1, 0)], 0)
    first = np.where(places > 1, others[:, 0], 0)
    return weights[:, places], np.stack([before, first, others.max(1)], axis=1)


def _patterns(
    setup: Setup, batch: PatchBatch, layers: Sequence[int]
) -> Iterator[tuple[int, Float[np.ndarray, "r h q t"]]]:
    """The attention patterns of layers on the rows themselves, which under denoising are the source."""
    values = batch.base_values if setup.experiment.noising else batch.source_values
    for layer in layers:
        attn = batch.model.blocks[layer].attn
        with torch.no_grad():
            found = patterns(attn, values["q", layer], values["k", layer], batch.lengths)
        yield layer, found.double().cpu().numpy()
