"""The oracle: what a claim means, as a slow and obvious recursion over rows, one call at a time.

It shares the input (a checked claim, a model) with the engine and not one line of its code.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from reference_models import OnTransformer
from reference_worlds import Frame, OnGraph, Values, World, index
from scrub.anatomy.names import Component
from scrub.anatomy.positions import OTHER, Slot
from scrub.claims.geometry import named_slots
from scrub.claims.parts import ClaimPart
from scrub.claims.placement import PlacedSite
from scrub.claims.resolved import Claim
from scrub.claims.values import key
from scrub.engine.given import Gift
from scrub.model.computation import Computation
from scrub.model.weights import Transformer

Made = list[tuple[str, str, int]]
Dropped = frozenset[ClaimPart]
Model = Computation | Transformer


def scrubbed(
    claim: Claim, model: Model, seed: int, reference: int, draw: int, made: Made | None = None,
    dropped: Dropped = frozenset(), gifts: tuple[Gift, ...] = (), own_rests: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """run(answer, x) for one reference row and one draw: the output node's value, or the logits `[v]`.

    `made` collects every draw as (kind, path, row); `dropped` parts of the claim are left out; `gifts` are senders
    that take their value on the calling row; `own_rests` the paths at which r is the calling row.
    """
    world, drawn = _world(claim, model), [] if made is None else made
    oracle = Oracle(
        claim, world, seed, reference, draw, drawn, dropped=dropped, gifts=gifts, own_rests=own_rests
    )  # fmt: skip
    output = claim.placement.output
    (value,) = oracle.run(output, claim.placement.placed[output].sites[0], reference, "answer").values()
    return value


def baseline(claim: Claim, model: Model, seed: int, reference: int, draw: int) -> Any:
    """The empty claim: the answer reads whole the row (or pseudo-row) drawn as the root's rest."""
    world = _world(claim, model)
    site = claim.placement.placed[claim.placement.output].sites[0].site
    (output,), options = site.components, claim.options
    rest = "resample" if options.rest == "keep" else options.rest
    frame = Oracle(claim, world, seed, reference, draw, []).frame(rest, reference, "answer")
    context = world.context(frame, {})
    value = world.compute(output, dict.fromkeys(claim.graph.channels(output), context), context)
    return value[index(claim, site.at[0], frame.row)] if site.at else value


def _world(claim: Claim, model: Model) -> World:
    return _transformer(claim, model) if isinstance(model, Transformer) else OnGraph(claim, model)


@lru_cache(maxsize=4)  # the plain rows of a world are those of every draw
def _transformer(claim: Claim, model: Transformer) -> OnTransformer:
    return OnTransformer(claim, model)


@frozen
class Oracle:
    """One tree of calls: one reference row and one draw."""

    claim: Claim
    world: World
    seed: int
    reference: int
    number: int
    made: Made = field(repr=False)
    dropped: Dropped = field(default=frozenset(), kw_only=True)
    gifts: tuple[Gift, ...] = field(default=(), kw_only=True)
    own_rests: tuple[str, ...] = field(default=(), kw_only=True)

    def run(self, name: str, placed: PlacedSite, row: int, path: str) -> Values:
        """The value that a site of the variable `name` takes when it is called for `row`."""
        site, graph = placed.site, self.claim.graph
        leaf = self.claim.placement.placed[name].leaf and name != self.claim.placement.output
        given = self.children(name, placed, row, path)
        made: Values = {}
        here = self.left(name, placed) if site.is_linked else site.components
        for component in sorted(here, key=graph.order):
            frames = self.frames(component, leaf, row, path)
            before = {k: v for k, v in made.items() if site.is_linked and graph.order(k[0]) < graph.order(component)}
            contexts = {
                c: self.world.context(f, given.get(c, {}) | before | self.given(path, c, row, f))
                for c, f in frames.items()
            }
            own = contexts["q"] if "q" in contexts else next(iter(contexts.values()))
            value = self.world.compute(component, contexts, own)
            made |= {(component, slot): value[index(self.claim, slot, own.row)] for slot in site.at}
            made |= {} if site.at else {(component, None): value}
        return made

    def given(self, path: str, channel: str, row: int, frame: Frame) -> Values:
        """What the channel of an occurrence is given of its calling row; where no name is, index by index."""
        plain, found = self.world.plain(row), dict[Any, Any]()
        named = {
            int(self.claim.data.locate(s)[frame.row]) for s in named_slots(self.claim.placement, self.claim.data)
        }
        for gift in (g for g in self.gifts if (g.path, g.channel) == (path, channel)):
            atoms = self.claim.graph.atoms(gift.sender)
            value = plain[gift.sender] if gift.sender in plain else sum(plain[atom] for atom in atoms)
            if gift.at == OTHER:
                free = [t for t in range(len(value)) if t not in named]
                found |= {(gift.sender, Slot("", t)): value[t] for t in free}
            else:
                found[gift.sender, gift.at] = value if gift.at is None else value[index(self.claim, gift.at, row)]
        return found

    def frames(self, component: Component, leaf: bool, row: int, path: str) -> dict[str, Frame]:
        """What each channel of a component reads where nothing is placed; `input` if it has none."""
        channels = self.claim.graph.channels(component) or ("input",)
        if leaf:
            return dict.fromkeys(channels, Frame(row, self.world.plain(row)))
        rest, scope = self.claim.options.rest, self.claim.options.rest_scope
        if path in self.own_rests and rest in ("resample", "paired"):
            return dict.fromkeys(channels, Frame(row, self.world.plain(row)))
        if scope == "input":
            return {c: self.frame(rest, row, f"{path}/{c}:{component}") for c in channels}
        return dict.fromkeys(channels, self.frame(rest, row, "answer" if scope == "draw" else path))

    def frame(self, rest: str, row: int, path: str) -> Frame:
        """r as a frame: a row drawn, the partner, the row itself, or a pseudo-row."""
        plain = self.world.plain
        candidates = [d for d in self.stratum(row) if self.claim.rest_from[d]] or [row]
        if rest == "mean":
            return Frame(row, {c: sum(plain(d)[c] for d in candidates) / len(candidates) for c in plain(row)})
        if rest == "zero":
            return Frame(row, {c: value * 0 for c, value in plain(row).items()})
        if rest == "resample":
            tree = self.claim.options.rest_scope == "draw"  # one r for all: where there is none, the reference
            none = not any(self.claim.rest_from[d] for d in candidates)
            row = self.draw("rest", path, [self.reference] if tree and none else candidates)
        elif rest == "paired" and self.claim.pair[row] >= 0:
            row = int(self.claim.pair[row])
        return Frame(row, plain(row))

    def left(self, name: str, placed: PlacedSite) -> list[Component]:
        """The components of a site that are not dropped."""
        return [c for c in placed.site.components if ClaimPart(name, placed, c) not in self.dropped]

    def children(self, name: str, placed: PlacedSite, row: int, path: str) -> dict[str, Values]:
        """What each channel is given: every site of every parent, each run on its donor."""
        steps = {
            (parent, site): f"{'+'.join(placed.channels_of(parent))}:{site.site.canonical}"
            for parent in placed.parents()
            for site in self.claim.placement.placed[parent].sites
        }
        given: dict[str, Values] = {channel: {} for channel, _ in placed.reads}
        for (parent, site), step in steps.items():
            group = self.group(parent, placed.parents())
            shared = [s for (member, _), s in steps.items() if member in group] if len(group) > 1 else [step]
            left = self.left(parent, site)
            channels = [
                c for c in placed.channels_of(parent) if ClaimPart(name, placed, None, c, parent) not in self.dropped
            ]
            if not left or not channels:
                continue
            told = [member for member in group if ClaimPart(member) not in self.dropped]
            alike = [d for d in self.stratum(row) if all(self.agree(member, d, row) for member in told)]
            donor = self.draw("donor", f"{path}/{' & '.join(sorted(shared))}", alike)
            value = self.run(parent, site, donor, f"{path}/{step}")
            for channel in channels:
                given[channel] |= {where: v for where, v in value.items() if where[0] in left}
        return given

    def group(self, parent: str, present: tuple[str, ...]) -> set[str]:
        """The parents of one call that share a donor with this one, itself included."""
        found, size = {parent}, 0
        while len(found) > size:
            size = len(found)
            found |= {m for g in self.claim.options.together if found & set(g) for m in g if m in present}
        return found

    def stratum(self, row: int) -> list[int]:
        return [d for d in range(len(self.claim.data)) if self.claim.stratum[d] == self.claim.stratum[row]]

    def agree(self, name: str, a: int, b: int) -> bool:
        return key(self.claim.values[name][a]) == key(self.claim.values[name][b])

    def draw(self, kind: str, path: str, candidates: list[int]) -> int:
        """Rank `word / 2^64` of the candidates in the order of their identities."""
        identities = [int(i) for i in self.claim.data.identities]
        text = hashlib.blake2b(f"{self.seed}|{kind}|{path}".encode(), digest_size=8).digest()
        word = _mix(identities[self.reference] + int.from_bytes(text, "little"))
        word = _mix(word + (self.number + 1) * 0x9E3779B97F4A7C15)
        ranked = sorted(candidates, key=lambda d: identities[d])
        self.made.append((kind, path, ranked[(word >> 32) * len(ranked) >> 32]))
        return self.made[-1][2]


def _mix(z: int) -> int:
    z %= 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31
