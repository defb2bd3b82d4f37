"""Which circuits have the same stream where: what many circuits, run together, compute. In numbers, without torch.

A stream is known by its number at a place (a group of positions): 0 is that of the circuit without parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Int

from scrub.anatomy.edges import Node
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph

ALIKE = 2**14  # positions of circuits times rows that are computed at once, where they share what they have alike
FEW = 2  # circuits that share too little
Ids = Int[np.ndarray, " _"]  # of circuits, or of streams at a place
Place = Int[np.ndarray, "row _"]


@frozen(eq=False)
class LiveParts:
    """What circuits leave live: what they name, or (`inverted`) all that they do not; `passed` ones always."""

    graph: TransformerGraph
    passed: frozenset[Component]
    inverted: bool

    @property
    def everywhere(self) -> bool:
        """Whether heads are live at every position."""
        return self.inverted or any(c.traits.attends for c in self.passed)

    def most_heads(self, circuits: Iterable[Iterable[Node]]) -> int:
        """How many heads of one layer are live somewhere, at most."""
        named = {node.component for circuit in circuits for node in circuit}
        live = named | self.passed if not self.inverted else set(self.graph.writers())
        layers = Counter(c.layer for c in live if c.traits.attends)
        return max(layers.values(), default=0)

    def places(
        self, nodes: Iterable[Node], slots: Mapping[Slot, Int[np.ndarray, " row"]], answer: Int[np.ndarray, " row"],
        length: int,
    ) -> tuple[Place, ...] | None:  # fmt: skip
        """The positions at which circuits may differ from the one without parts; None where that is not known.

        Where heads are live at every position, these are all positions from the first part on, in groups that begin
        where parts stand; else those of parts.
        """
        listed = list(nodes)
        if any(n.at is None or n.component.is_part or n.component.traits.given for n in listed):
            return None
        named = [slots[slot] for slot in sorted({n.at for n in listed if n.at is not None}, key=str)]
        if not self.everywhere:
            return (*(at[:, None] for at in named if not np.array_equal(at, answer)), answer[:, None])
        last = int(answer.min())  # the answer of every row lies in the last group
        begins = sorted({min(int(at.min()), last) for at in (*named, answer)}) if self.graph.causal else [0]
        ranges = pairwise([*begins, length])
        return tuple(np.broadcast_to(np.arange(*ends), (len(answer), ends[1] - ends[0])) for ends in ranges)


@frozen(eq=False)
class SameStreams:
    """Numbers of streams. `kept` says at which places a component is named in some row, and by which circuits.

    The last circuit is the one without parts. `sees` lists, for each place, the other places that its heads see.
    """

    live: LiveParts
    kept: dict[Component, list[tuple[frozenset[int], Bool[np.ndarray, " circuit"]]]]
    sees: list[list[int]]
    circuits: int

    @classmethod
    def of(
        cls, live: LiveParts, circuits: Sequence[frozenset[Node]], places: Sequence[Place],
        slots: Mapping[Slot, Int[np.ndarray, " row"]],
    ) -> SameStreams:  # fmt: skip
        kept: dict[Component, list[tuple[frozenset[int], Bool[np.ndarray, " circuit"]]]] = {}
        there = {
            slot: frozenset(i for i, at in enumerate(places) if (at == where[:, None]).any())
            for slot, where in slots.items()
        }
        for node in sorted({node for circuit in circuits for node in circuit}, key=str):
            assert node.at is not None
            has = np.array([*(node in circuit for circuit in circuits), False])
            kept.setdefault(node.component, []).append((there[node.at], has))
        return cls(live, kept, [_seen_by(i, places, live.graph.causal) for i in range(len(places))], len(circuits))

    def first(self) -> list[Ids]:
        """Before the first layer all streams are those of the circuit without parts."""
        return [np.zeros(self.circuits + 1, dtype=np.int64) for _ in self.sees]

    def heads(self, layer: int) -> list[int]:
        """The heads of a layer that are live somewhere in some circuit."""
        listed = self._heads(layer)
        live = set(listed) if self.live.inverted else self.live.passed
        return [head for head, c in enumerate(listed) if c in live or c in self.kept]

    def after(self, layer: int, place: int, ids: Sequence[Ids]) -> tuple[Ids, Ids]:
        """The numbers after a layer, and of each new stream, from 1 on, a circuit that has it."""
        _, first, inverse = np.unique(self._key(layer, place, ids), axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        known = inverse[-1]  # the circuit without parts
        number = np.arange(len(first))
        number = np.where(number > known, number, number + 1)
        number[known] = 0
        return number[inverse], np.delete(first, known)

    def _heads(self, layer: int) -> list[Component]:
        return [Component.for_head(layer, head) for head in range(self.live.graph.shape.n_heads)]

    def _key(self, layer: int, place: int, ids: Sequence[Ids]) -> Int[np.ndarray, "circuit k"]:
        """What the stream at a place after a layer depends on: equal rows have equal streams."""
        listed, passed = self._heads(layer), self.live.passed
        of_heads = [column for c in listed for column in self._named(c, place)]
        columns = [ids[place], *of_heads, *self._named(Component.for_mlp(layer), place)]
        always = any(c in passed for c in listed) or (self.live.inverted and listed)
        looks = np.ones(len(ids[place]), dtype=bool) if always else np.any([ids[place] < 0, *of_heads], axis=0)
        columns += [np.where(looks, ids[other], -1) for other in self.sees[place]]
        return np.stack(columns, axis=1)

    def _named(self, component: Component, place: int) -> list[Ids]:
        """Which circuits name a component at a slot that is, in some row, one of these positions."""
        return [has.astype(np.int64) for places, has in self.kept.get(component, ()) if place in places]


def _seen_by(place: int, places: Sequence[Place], causal: bool) -> list[int]:
    """The other groups of positions that heads see there, in some row."""
    own = places[place].max(1)
    return [i for i, at in enumerate(places) if i != place and (not causal or bool((at.min(1) <= own).any()))]


def streams_computed(same: SameStreams, places: Sequence[Place]) -> int:
    """At how many positions of a row layers are computed, of all circuits together, beside the one without parts."""
    ids, found = same.first(), 0
    for layer in range(same.live.graph.shape.n_layers):
        made = [same.after(layer, place, ids) for place in range(len(places))]
        found += sum(len(new) * at.shape[1] for (_, new), at in zip(made, places, strict=True))
        ids = [after for after, _ in made]
    return found


def streams_held(same: SameStreams, places: Sequence[Place]) -> int:
    """Of how many streams, at most, a layer is computed at one place, the one without parts among them."""
    ids, most = same.first(), 1
    for layer in range(same.live.graph.shape.n_layers):
        made = [same.after(layer, place, ids) for place in range(len(places))]
        most = max(most, *(1 + len(new) for _, new in made))
        ids = [after for after, _ in made]
    return most


def alike_at_once(places: Sequence[Place]) -> int:
    """How many circuits share what they have alike, whatever the memory holds."""
    return max(1, ALIKE // (len(places[0]) * sum(at.shape[1] for at in places)))


def in_order(circuits: Sequence[frozenset[Node]], graph: TransformerGraph) -> list[int]:
    """The circuits so that neighbours have the same parts in early layers."""
    nodes = sorted({n for c in circuits for n in c}, key=lambda n: (graph.order(n.component), str(n)))
    return sorted(range(len(circuits)), key=lambda i: [node in circuits[i] for node in nodes])
