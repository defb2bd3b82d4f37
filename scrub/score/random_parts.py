"""Random parts of the size of claimed ones, of the same hosts: what saying nothing of a part looks like.

Directions are drawn in the span that holds 99 % of the variance of what the host writes over the pool: most of the
stream is never written to, so that random directions of all of it are a straw man. Latents and neurons are drawn
among those that are about as often active.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import groupby

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.names import Component, in_order
from scrub.anatomy.part import DIRECTIONS, HostPart, LatentSource
from scrub.anatomy.positions import Slot
from scrub.claims.holds import Where
from scrub.claims.resolved import Claim
from scrub.engine.hosts import host_vectors
from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ClaimError
from scrub.model.codes import all_of, latent_activity
from scrub.model.memory import Memory
from scrub.score.replaced import Components, leaves_something, sites_with_parts, subspace, whole_of

VARIANCE = 0.99  # of what a host writes, that the span has in which directions are drawn
LOOKED_AT = 8192  # latents of a dictionary among which others are drawn: of a larger one, runs that lie evenly in it
RUN = 256
AS_OFTEN = 40  # of the others, those nearest in how often they are active, among which one is drawn
Chosen = list[int] | Float[np.ndarray, "k d"]  # the units, or the directions, that stand for those of a part


@frozen(eq=False, slots=False)
class DrawnParts:
    """What there is to draw from: a basis `[m, d]` for each host, or how often each neuron or latent is active."""

    claim: Claim
    spans: Mapping[Component, Float[np.ndarray, "m d"]]
    active: Mapping[Component, Float[np.ndarray, " unit"]]
    held: Mapping[Component, LatentSource] = field(factory=dict[Component, LatentSource])
    # kept by part and unit: the units nearest to it
    _near: dict[tuple[Component, int], Int[np.ndarray, " near"]] = field(factory=dict, init=False)

    @classmethod
    def of(cls, rows: TransformerRows) -> DrawnParts:
        """Of the parts of the claim whose rows these are.

        Raises ClaimError where hosts write no more dimensions than are claimed of them.
        """
        claim, slots = rows.claim, dict[Component, set[Slot]]()
        for placed in sites_with_parts(claim).values():
            for c in filter(leaves_something, placed.site.components):
                slots.setdefault(c, set()).update(placed.site.at)
        first = {_source(c): c for c in sorted(slots, reverse=True)}  # one of each host and code
        asked = {c: set[Slot]().union(*(slots[o] for o in slots if _source(o) == _source(c))) for c in first.values()}
        vectors = host_vectors(rows, asked)
        spans = {whole_of(c): _span(c, x, slots) for c, x in vectors.items() if _is_subspace(c)}
        units = {c: {u for o in slots if _source(o) == _source(c) for u in _units_of(o)} for c in vectors}
        active = {c: _activity(c, x, units[c], rows.model.memory) for c, x in vectors.items() if not _is_subspace(c)}
        return cls(claim, spans, {o: active[first[_source(o)]] for o in slots if not _is_subspace(o)})

    def choice(self, seed: int, number: int) -> dict[Where, Components]:
        """Every site with its parts exchanged for random ones, the same part for the same one."""
        to = dict[Component, Component]()
        for one in self._chosen(seed, number):
            to |= {c: self._exchanged(c, new) for c, new in one.items()}
        sites = sites_with_parts(self.claim)
        return {
            where: tuple(in_order({to.get(c, c) for c in placed.site.components})) for where, placed in sites.items()
        }

    def reading(self, seed: int, numbers: Iterable[int]) -> DrawnParts:
        """The same with all latents of some choices read at once."""
        if not any(c.part is not None for c in self.active):
            return self
        taken, first = dict[str, set[int]](), dict[str, Component]()
        for one in (one for number in numbers for one in self._chosen(seed, number)):
            for c, new in one.items():
                if c.part is not None and isinstance(new, list):
                    taken.setdefault(_source(c), set()).update(new)
                    first.setdefault(_source(c), c)
        sources = {source: all_of(_part(c)).holding(sorted(taken[source])) for source, c in first.items()}
        return evolve(self, held={c: sources[_source(c)] for c in self.active if _source(c) in sources})

    def _chosen(self, seed: int, number: int) -> Iterator[dict[Component, Chosen]]:
        """What stands for each part in one choice, host by host."""
        rng = np.random.default_rng([seed, number, 0x9A27])
        for some in self._claimed:
            yield self._subspaces(some, rng) if _is_subspace(some[0]) else self._units(some, rng)

    @cached_property
    def _claimed(self) -> list[list[Component]]:
        """The parts for which others stand, those together that are drawn from the same."""
        sites = sites_with_parts(self.claim)
        claimed = in_order({c for s in sites.values() for c in s.site.components if leaves_something(c)})
        return [list(group) for _, group in groupby(sorted(claimed, key=_source), key=_source)]

    def _exchanged(self, c: Component, new: Chosen) -> Component:
        if isinstance(new, np.ndarray):
            return evolve(c, part=subspace(new, "random"))
        if c.part is None:
            return evolve(c, unit=new[0])
        return evolve(c, part=(self.held.get(c) or all_of(c.part)).part(tuple(sorted(new))))

    def _subspaces(self, parts: Sequence[Component], rng: np.random.Generator) -> dict[Component, Chosen]:
        """Orthogonal ones where the span has room for all of them, each by itself where it has not."""
        span, sizes = self.spans[whole_of(parts[0])], [_size(c) for c in parts]
        if sum(sizes) <= len(span):
            bases = np.split(_directions(span, sum(sizes), rng), np.cumsum(sizes)[:-1])
        else:
            bases = [_directions(span, size, rng) for size in sizes]
        return dict(zip(parts, bases, strict=True))

    def _units(self, parts: Sequence[Component], rng: np.random.Generator) -> dict[Component, Chosen]:
        """Other neurons, or latents, of which none is drawn twice. Raises ClaimError where all are."""
        every, found = [unit for c in parts for unit in _units_of(c)], dict[Component, Chosen]()
        free = np.ones(len(self.active[parts[0]]), dtype=bool)
        free[every] = False
        for c in parts:
            drawn: list[int] = []
            for unit in _units_of(c):
                near = self._nearest(c, unit, AS_OFTEN + 2 * len(every))
                if not (left := near[free[near]][:AS_OFTEN]).size:
                    raise ClaimError(f"all {len(free)} neurons or latents are claimed or drawn: there are no others.")
                drawn.append(int(rng.choice(left)))
                free[drawn[-1]] = False
            found[c] = drawn
        return found

    def _nearest(self, c: Component, unit: int, count: int) -> Int[np.ndarray, " near"]:
        """The units that are nearest to one in how often they are active, the nearest first; none of the unknown."""
        if (c, unit) not in self._near:
            known = np.flatnonzero(np.isfinite(self.active[c]))
            away = np.abs(self.active[c][known] - self.active[c][unit])
            last = min(count, len(known)) - 1
            near = np.flatnonzero(away <= np.partition(away, last)[last])
            self._near[c, unit] = known[near[np.argsort(away[near], kind="stable")[: last + 1]]]
        return self._near[c, unit]


def _source(component: Component) -> str:
    """Components with one source are drawn from the same: directions of a host, its neurons, latents of one code."""
    part = component.part
    of = "" if part is None or part.code == DIRECTIONS else f" {part.code} {part.setting('dictionary')}"
    return f"{whole_of(component)}{of}{' neurons' if component.traits.scalar else ''}"


def _is_subspace(component: Component) -> bool:
    return component.part is not None and component.part.code == DIRECTIONS


def _size(component: Component) -> int:
    return 1 if component.part is None else component.part.size


def _units_of(component: Component) -> list[int]:
    return [component.unit or 0] if component.part is None else list(component.part.indices)


def _part(component: Component) -> HostPart:
    assert component.part is not None
    return component.part


def _span(part: Component, x: Float[Tensor, "n d"], claimed: Mapping[Component, object]) -> Float[np.ndarray, "m d"]:
    """The directions of most variance, as many as hold 99 % of it. Raises ClaimError where no choice is left."""
    centred = (x - x.mean(0)).numpy()
    values, found = np.linalg.eigh(centred.T @ centred)
    share = np.cumsum(values[::-1]) / max(values.sum(), np.finfo(float).tiny)
    rank = int((share < VARIANCE).sum()) + 1
    largest = max(_size(c) for c in claimed if _is_subspace(c) and whole_of(c) == whole_of(part))
    if rank <= largest:
        raise ClaimError(
            f"dimensions that hold {VARIANCE:.0%} of what {whole_of(part)} varies by: {rank}, claimed: {largest}; "
            "there is no other part of this size to draw."
        )
    return found[:, ::-1].T[:rank]


def _directions(span: Float[np.ndarray, "m d"], size: int, rng: np.random.Generator) -> Float[np.ndarray, "k d"]:
    chosen = np.linalg.qr(rng.normal(size=(len(span), size)))[0].T
    return chosen @ span


def _activity(
    part: Component, x: Float[Tensor, "n width"], claimed: Set[int], memory: Memory
) -> Float[np.ndarray, " unit"]:
    """On which share of the vectors each neuron, or each latent, is above 0; not a number where none looked."""
    if part.part is None:
        return (x > 0).double().mean(0).numpy()
    found = np.full(all_of(part.part).count, np.nan)
    looked = sorted(claimed | set(_looked_at(len(found))))
    found[looked] = latent_activity(part.part, x, memory, looked).numpy()
    return found


def _looked_at(count: int) -> list[int]:
    """Runs of latents that lie next to one another, which are read fast, evenly in all of them."""
    if count <= LOOKED_AT:
        return list(range(count))
    starts = np.linspace(0, count - RUN, LOOKED_AT // RUN).astype(int)
    return [unit for start in starts.tolist() for unit in range(start, start + RUN)]
