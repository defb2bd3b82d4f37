"""What views look at: some rows, run once, and the components that a claim names, at their slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer
from scrub.engine.cache import Store, located, row_store
from scrub.engine.needs import Need
from scrub.errors import ClaimError
from scrub.model.bytes import logits_bytes
from scrub.model.memory import Piece
from scrub.model.weights import Transformer

HELD, LOOKED = 64, 0.25  # rows whose logits are held together, at most; of the memory
FIRST = Slot("", 0)  # where heads rest that find nothing


class Unseen(ClaimError):
    """A view that a claim, or its model, does not have; it says why."""


@frozen
class Locus:
    """A component at a slot, the variable that a claim places there, and the slots that each channel reads."""

    variable: str
    component: Component
    at: Slot
    reads: dict[str, tuple[str, ...]]

    @property
    def host(self) -> Component:
        return self.component.host

    def __str__(self) -> str:
        return f"{self.component} @ {self.at}"


@frozen(eq=False, slots=False)
class Scene:
    """A claim on its model, and the rows of the pool that are looked at; the first `shown` are told one by one."""

    claim: Claim
    model: Transformer
    tokenizer: Tokenizer | None
    used: Int[np.ndarray, " row"]
    shown: int
    seed: int = 0

    @property
    def together(self) -> int:
        """Of how many rows the logits are looked at together."""
        return self.model.memory.fit(Piece("the logits of one row", logits_bytes(self.model), LOOKED), HELD)

    @cached_property
    def data(self) -> Dataset:
        """The rows that are looked at, numbered from 0."""
        return self.claim.data.taken(self.used.tolist())

    @property
    def shape(self) -> Shape:
        return self.model.shape

    @property
    def answer(self) -> Slot:
        return self.claim.answer.at[0]

    @cached_property
    def loci(self) -> tuple[Locus, ...]:
        return tuple(_loci(self.claim))

    @cached_property
    def named(self) -> tuple[Slot, ...]:
        """The slots that every row has: named ones, and those of the claim, the answer's last."""
        asked = [*map(Slot, self.data.position_names), *(locus.at for locus in self.loci), self.answer]
        found = dict.fromkeys(slot for slot in asked if slot != ALL and (self.data.locate(slot) >= 0).all())
        return (*(slot for slot in found if slot != self.answer), self.answer)

    @cached_property
    def rows(self) -> Int[Tensor, " row"]:
        return torch.arange(len(self.used), device=self.model.device)

    @cached_property
    def positions(self) -> dict[Slot, Int[Tensor, " row"]]:
        return located(self.data, (*self.named, FIRST), self.model.device)

    def slots_of(self, variable: str) -> tuple[Slot, ...]:
        """Where a variable is placed, as far as every row has it."""
        return tuple(dict.fromkeys(x.at for x in self.loci if x.variable == variable and x.at in self.named))

    def word(self, token: int) -> str:
        """A token as it is printed: spaces around a word are left out, those that are all of it are not."""
        if self.tokenizer is None:
            return str(token)
        found = self.tokenizer.decode([token], skip_special_tokens=False)
        return found.strip() or repr(found)

    def run(self, need: Need, done: Callable[[int], None] = lambda _: None) -> Store:
        """The rows, each run once, and of each what is needed."""
        with torch.no_grad():
            return row_store(self.model, self.data, need, self.positions, done)


def summing(scene: Scene, view: str) -> None:
    """Raises Unseen where the final stream is no sum of what components write, or is not what is unembedded."""
    if scene.shape.stream_norms or scene.model.transform is not None:
        raise Unseen(f"{view}: this model norms its stream in place, so that no component adds to a logit by itself.")


def _loci(claim: Claim) -> Iterator[Locus]:
    placed = claim.placement.placed
    for name in sorted(claim.placement.reached()):
        for site in placed[name].sites:
            for slot in site.site.at:
                for component in site.site.components:
                    yield Locus(name, component, slot, dict(site.reads))


def reading_heads(scene: Scene) -> list[tuple[Locus, list[int]]]:
    """The loci whose hosts attend, each with its heads, once for every slot; those at `all` are left out."""
    found: dict[tuple[Component, Slot], tuple[Locus, list[int]]] = {}
    for locus in scene.loci:
        if locus.host.traits.attends and locus.at in scene.named:
            found.setdefault((locus.host, locus.at), (locus, locus.host.heads(scene.shape)))
    return list(found.values())
