"""What a claimed head does with the tokens that the claim lets it read: does it copy them, and does it match them?

A token is followed along the claim's own edges alone, without attention: from its embedding (with what a
passed-through MLP of the first layer makes of it) through what each claimed component writes of what it reads, to the
channel of the head. Components of one variable write together; where a channel reads several variables it reads their
mean. Every norm is of what lies on this path, and rotary angles are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.tolerances import SAME_SCORE
from scrub.engine.cache import Store
from scrub.engine.needs import Need
from scrub.evidence.scene import Locus, Scene, Unseen, reading_heads, summing
from scrub.model.block import mlp_writes, read_before
from scrub.model.layers import kv_head, unembed, write

TOP = 5  # logits among which a copied token is looked for
EMBED = Component("embed")


@frozen
class Copying:
    """How a head's output and value matrices treat the tokens of a variable that it reads through v (OV circuit).

    `copied` is the share of rows on which the token is among the 5 largest logits of what the head writes of it alone
    (Wang et al. 2022, section 3.1), `first` on which it is the largest, `suppressed` on which it is among the 5
    smallest; `chance` is 5 over the vocabulary.
    """

    head: Component
    at: str
    variable: str
    copied: float
    first: float
    suppressed: float
    chance: float


@frozen
class Matching:
    """How a head's query matches a variable that the claim lets it read through k (QK circuit, Elhage et al. 2021).

    `matched` is the share of rows whose own key, of this variable alone, scores highest with the row's query among
    the keys of all rows (equal ones are one key); `chance` is that of a key of any row.
    """

    head: Component
    at: str
    query: tuple[str, ...]
    key: str
    matched: float
    chance: float


@frozen
class TokenCircuits:
    """Copying and matching scores of claimed heads along the claim's edges."""

    copying: tuple[Copying, ...]
    matching: tuple[Matching, ...]


def asks(scene: Scene, need: Need) -> None:
    """Weights and tokens alone: nothing is run."""
    summing(scene, "matching")


def look(scene: Scene, store: Store | None = None) -> TokenCircuits:
    paths = _Paths(scene)
    copying = [c for locus, heads in reading_heads(scene) for head in heads for c in _copying(paths, locus, head)]
    matching = [m for locus, heads in reading_heads(scene) for head in heads for m in _matching(paths, locus, head)]
    if not copying and not matching:
        raise Unseen("matching: no claimed head reads, along the claim's edges, what comes from an embedding.")
    return TokenCircuits(tuple(copying), tuple(matching))


@frozen(eq=False, slots=False)
class _Paths:
    """What variables are worth in the stream, on each row, when nothing but their tokens is there."""

    scene: Scene

    @cached_property
    def known(self) -> dict[str, Float[Tensor, "row d"] | None]:
        """Filled from below: a claim's edges have no circles."""
        found: dict[str, Float[Tensor, "row d"] | None] = {}
        todo = list(self.scene.claim.placement.reached())
        while todo:
            name = todo.pop()
            waiting = [p for p in self._parents(name) if p not in found]
            if waiting:
                todo += [name, *waiting]
            elif name not in found:
                found[name] = self._written(name, found)
        return found

    def _parents(self, name: str) -> tuple[str, ...]:
        return self.scene.claim.placement.placed[name].parents

    def _written(self, name: str, known: dict[str, Tensor | None]) -> Float[Tensor, "row d"] | None:
        by_slot: dict[Slot, list[Tensor]] = {}
        for locus in (x for x in self.scene.loci if x.variable == name):
            if (written := self._of_locus(locus, known)) is not None:
                by_slot.setdefault(locus.at, []).append(written)
        return mean_of([torch.stack(found).sum(0) for found in by_slot.values()])

    def _of_locus(self, locus: Locus, known: dict[str, Tensor | None]) -> Float[Tensor, "row d"] | None:
        traits, model = locus.component.traits, self.scene.model
        if locus.at not in self.scene.named or locus.component.is_part or traits.is_output:
            return None
        if traits.given:
            return self._embedded(locus) if locus.component == EMBED else None
        layer = locus.host.layer or 0
        x = mean_of([known[p] for p in locus.reads.get("v" if traits.attends else "input", ())])
        if x is None or traits.is_stream:
            return x
        block = model.blocks[layer]
        if not traits.attends:
            return mlp_writes(block, x)
        return torch.stack([self.out(layer, head, x) for head in locus.host.heads(self.scene.shape)]).sum(0)

    def out(self, layer: int, head: int, x: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
        """What a head writes where all that it attends to is x."""
        attn = self.scene.model.blocks[layer].attn
        return write(attn, self.read("v", layer, kv_head(attn, head), x)[:, None], [head])

    def read(self, channel: str, layer: int, held: int, x: Float[Tensor, "row d"]) -> Float[Tensor, "row e"]:
        return read_before(self.scene.model.blocks[layer], channel, x, [held])[..., 0, :]

    def _embedded(self, locus: Locus) -> Float[Tensor, "row d"]:
        model = self.scene.model
        x = model.W_E[self.tokens(locus.at)].to(model.dtype)
        first = Component.for_mlp(0)
        passed = first in self.scene.claim.passed and model.blocks[0].mlp is not None
        return x + mlp_writes(model.blocks[0], x) if passed else x

    def tokens(self, at: Slot) -> Int[Tensor, " row"]:
        index = self.scene.positions[at].tolist()
        found = [row.tokens[i] for row, i in zip(self.scene.data.rows, index, strict=True)]
        return torch.tensor(found, device=self.scene.model.device)

    def leaves(self, name: str) -> list[Int[Tensor, " row"]]:
        """The tokens that a variable is made of: those at the embeddings that it reads, directly or not."""
        found, todo, met = dict[Slot, None](), [name], set[str]()
        while todo:
            one = todo.pop()
            if one not in met:
                embeds = [x for x in self.scene.loci if x.variable == one and x.component == EMBED]
                found.update(dict.fromkeys(x.at for x in embeds if x.at in self.scene.named))
                todo += self._parents(one)
            met.add(one)
        return [self.tokens(slot) for slot in found]


def mean_of(found: Sequence[Tensor | None]) -> Tensor | None:
    there = [x for x in found if x is not None]
    return torch.stack(there).mean(0) if there else None


def _copying(paths: _Paths, locus: Locus, head: int) -> list[Copying]:
    found: list[Copying] = []
    for parent in locus.reads.get("v", ()):
        x, layer = paths.known[parent], locus.host.layer or 0
        if x is None:
            continue
        ids = torch.stack(paths.leaves(parent), dim=1)
        shares = _among(paths.scene, paths.out(layer, head, x), ids)
        where = Component.for_head(layer, head), str(locus.at), parent
        found.append(Copying(*where, *shares, chance=min(1.0, TOP / paths.scene.shape.d_vocab)))
    return found


def _among(
    scene: Scene, x: Float[Tensor, "row d"], ids: Int[Tensor, "row k"]
) -> tuple[float, float, float]:  # fmt: skip
    """How often a token of the row is among the largest logits, the largest one, among the smallest."""
    size, top = scene.together, min(TOP, scene.shape.d_vocab)
    hits = torch.zeros(3, dtype=torch.float64)
    for i in range(0, len(x), size):
        logits, own = unembed(scene.model, x[i : i + size]), ids[i : i + size]
        best, worst = logits.topk(top).indices, logits.topk(top, largest=False).indices
        for n, some in enumerate((best, best[:, :1], worst)):
            hits[n] += (some[:, :, None] == own[:, None]).flatten(1).any(1).sum().cpu()
    copied, first, suppressed = (hits / len(x)).tolist()
    return copied, first, suppressed


def _matching(paths: _Paths, locus: Locus, head: int) -> list[Matching]:
    layer, attn = locus.host.layer or 0, paths.scene.model.blocks[locus.host.layer or 0].attn
    read = locus.reads.get("q", ())
    x, found = mean_of([paths.known[p] for p in read]), list[Matching]()
    if x is None:
        return []
    q = paths.read("q", layer, head, x)
    for parent in locus.reads.get("k", ()):
        if (y := paths.known[parent]) is not None:
            won = best_keys(q @ paths.read("k", layer, kv_head(attn, head), y).T * attn.scale)
            shares = float(won.diagonal().mean()), float(won.mean())
            found.append(Matching(Component.for_head(layer, head), str(locus.at), read, parent, *shares))
    return found


def best_keys(scores: Float[Tensor, "query key"]) -> Float[Tensor, "query key"]:
    """1 for the keys that score highest with a query, those equal to rounding alike; 0 for all others."""
    best = scores.amax(1, keepdim=True)
    return (scores >= best - SAME_SCORE * scores.abs().max()).double()
