"""What a fit sees: what a component writes on some rows of a claim, and a variable there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.overlap import shared_by
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.claims.values import key
from scrub.errors import ClaimError, did_you_mean
from scrub.model.memory import Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import countable, progress, references, weights_of
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from scrub.engine.cache import Store
    from scrub.engine.written import Written
    from scrub.model.source import Source
    from scrub.model.weights import Transformer

HELD_OUT = 4  # one row in so many is held out, where a fit says how well it does on others
FEWEST = 8  # rows that a fit takes, at least
SETTING = ("site", "rows", "seed", "model", "device", "dtype", "memory", "stream")


@frozen(eq=False)
class Place:
    """Where is read, for what."""

    variable: str
    component: Component
    slot: Slot

    @property
    def written(self) -> Written:
        return self.component, self.slot


@frozen(eq=False)
class Examples:
    """What a component writes on the rows that a fit sees, and the variable there."""

    claim: Claim
    source: Source
    weights: Transformer
    place: Place
    used: Int[np.ndarray, " row"]
    store: Store
    seed: int

    @property
    def x(self) -> Float[np.ndarray, "row d"]:
        from scrub.engine.written import written

        found = written(self.store, self.place.component, self.place.slot)
        return found.cpu().double().numpy()[self.used]

    @property
    def values(self) -> list[Any]:
        return [column(self.claim, self.place.variable)[row] for row in self.used]

    @property
    def classes(self) -> Int[np.ndarray, " row"]:
        """Numbers of its values, in the order of their text."""
        return numbered(self.values)

    @property
    def seen(self) -> tuple[str, ...]:
        return tuple(sorted({self.claim.data.rows[row].input_digest for row in self.used}))

    @property
    def record(self) -> dict[str, Any]:
        return {**record_of(self.source, self.weights, self.claim.data), "seed": self.seed}

    @property
    def held_out(self) -> Bool[np.ndarray, " row"]:
        order = np.random.default_rng([self.seed, len(self.used)]).permutation(len(self.used))
        return order < len(self.used) // HELD_OUT


def examples_of(method: str, hypothesis: Hypothesis, variable: str, setting: dict[str, Any]) -> Examples:
    """What a fit sees in one place. Raises ClaimError for a setting, a variable or a place that is none."""
    (one,) = examples_at(method, hypothesis, variable, setting, several=False)
    return one


def examples_at(
    method: str, hypothesis: Hypothesis, variable: str, setting: dict[str, Any], several: bool = True
) -> tuple[Examples, ...]:
    """The same in every place, of rows that are run once. Raises as `examples_of`."""
    if unknown := [name for name in setting if name not in SETTING]:
        near = did_you_mean(unknown[0], SETTING)
        raise ClaimError(f"fit.{method} has no argument {unknown[0]!r}.{near} It takes {', '.join(SETTING)}.")
    rows, seed = setting.get("rows"), setting.get("seed", 0)
    countable(1, rows, seed)
    given = given_model(hypothesis, setting.get("model"), setting.get("stream", False))
    claim, source = sound(hypothesis, given, expecting=False)
    if not isinstance(claim.graph, TransformerGraph):
        raise ClaimError(
            "a fit reads what a transformer's components write, and the claim is of a computation graph."
        )
    column(claim, variable)
    places = _places(claim, claim.graph, variable, setting.get("site"), several)
    used = references(claim, max(1, int(claim.scored.sum()) // 2) if rows is None else rows, seed)
    if len(used) < FEWEST:
        few = "1 row is" if len(used) == 1 else f"{len(used)} rows are"
        raise ClaimError(f"fit.{method}: {few} too few to find a direction on: give {FEWEST} or more.")
    backend = Backend(setting.get("device"), setting.get("dtype", "auto"), setting.get("memory"))
    weights = weights_of(source, claim.data, backend)
    assert weights is not None
    from scrub.engine.cache import row_piece
    from scrub.engine.written import written_store

    weights.memory.hold([row_piece(weights, int(claim.data.lengths.max()))])
    with progress(f"{hypothesis.title}: rows", len(claim.data)) as done:
        store = written_store(weights, claim, [place.written for place in places], done)
    return tuple(Examples(claim, source, weights, place, used, store, seed) for place in places)


def numbered(values: Sequence[Any]) -> Int[np.ndarray, " row"]:
    """Values as numbers, in the order of their text."""
    names = sorted({key(value): value for value in values}.values(), key=repr)
    place = {key(value): number for number, value in enumerate(names)}
    return np.array([place[key(value)] for value in values])


def column(claim: Claim, name: str) -> Sequence[Any]:
    """What a variable, or a column, is on every row."""
    if name in claim.values:
        return claim.values[name]
    if name in claim.data.columns and not claim.data.lacking(name):
        return claim.data.column(name)
    near = did_you_mean(name, [*claim.values, *claim.data.columns])
    raise ClaimError(f"{name!r} is no variable of the story, and no column that every row has.{near}")


def _places(
    claim: Claim, graph: TransformerGraph, variable: str, given: Site | Sequence[Site] | None, several: bool
) -> tuple[Place, ...]:
    """Where is read: what is given, or the variable's own sites, parts as their hosts."""
    if given is None:
        placed = claim.placement.placed.get(variable)
        sites = [one.site for one in placed.sites] if placed and variable != claim.placement.output else []
    else:
        sites = _sites(given)
    found = dict.fromkeys((evolve(c, part=None), slot) for one in sites for c in one.components for slot in one.at)
    if not found or (len(found) > 1 and not several) or any(slot == ALL for _, slot in found):
        where = ", ".join(f"{c} @ {slot}" for c, slot in found) or "nowhere"
        one = "components at named positions" if several else "one component at one position"
        named, slot = next((w for w in found if w[1] != ALL), ("9.9", "END"))
        raise ClaimError(
            f"{variable!r} is at {where}: name {one}, --component '{named}' --at {slot} (in Python, "
            f"site=heads('9.9', at='END'))."
        )
    places = tuple(_place(claim, graph, variable, where) for where in found)
    for one, other in combinations(places, 2):
        if one.slot == other.slot and shared_by([one.component.whole], [other.component.whole], graph):
            raise ClaimError(
                f"{one.component.whole} and {other.component.whole} at {one.slot} overlap, and each is swapped: "
                "name components that have nothing in common."
            )
    return places


def _sites(given: Any) -> list[Site]:
    """The sites that are given. Raises ClaimError for what is none, and for parts of components."""
    sites: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    if wrong := [one for one in sites if not isinstance(one, Site)]:
        raise ClaimError(f"site={wrong[0]!r} is no site: write site=heads('9.9', at='END'), or a list of such.")
    if parts := [c for one in sites for c in one.components if c.part is not None]:
        raise ClaimError(f"site={parts[0]}: directions are found in a whole component, {parts[0].whole}: name that.")
    return sites


def _place(claim: Claim, graph: TransformerGraph, variable: str, where: Written) -> Place:
    from scrub.circuit.circuit import absent
    from scrub.engine.written import in_full, width_of

    component, slot = where
    if not graph.has(component):
        raise ClaimError(absent(component, graph))
    if component.traits.scalar or component.traits.is_output:
        raise ClaimError(
            f"{component} has no directions: take heads, attention, MLPs, streams, queries, keys or values."
        )
    if (slot.name and slot.name not in claim.data.position_names) or (claim.data.locate(slot) < 0).any():
        names = claim.data.position_names
        near = did_you_mean(slot.name, names) if slot.name else ""
        told = f"that position is not in every row.{near} The data name {', '.join(names) or 'none'}."
        raise ClaimError(f"{component} @ {slot}: {told}")
    return Place(variable, in_full(component, width_of(component, graph)), slot)
