"""How well a ranking of parts, or a circuit, recovers a circuit that is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
from attrs import frozen

from scrub.anatomy.edges import Edge, Part
from scrub.circuit.circuit import COMPONENTS, EDGES, Circuit
from scrub.circuit.ranking import PartRanking, outside_of, value_of
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError


@frozen
class Recovery:
    """How well a hypothesis finds a reference's parts. `true` counts these, `named` what the hypothesis names of all.

    `auroc` is the chance that a part of the reference ranks above another one, ties counting half. `precision` is
    the share of the named parts that are in the reference, `recall` that of the reference which is named, `missing`
    the rest of it. None where there is nothing to divide by.
    """

    auroc: float | None
    precision: float | None
    recall: float | None
    true: int
    named: int
    missing: tuple[Part, ...]

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)


def recovery(
    found: PartRanking | Circuit, reference: Circuit, universe: Sequence[Part], absolute: bool = True
) -> Recovery:
    """AUROC, precision and recall of a ranking, or a circuit, against a reference circuit.

    `universe` are all parts that could be named, components or edges, and the level at which circuits are compared.
    Parts that a ranking does not score rank below all others, and are level with one another; it names as many as
    the reference has. A circuit scores its own parts 1, all others 0. `absolute` as in `PartRanking.top`. Raises
    ClaimError for parts outside the universe.
    """
    everything = tuple(dict.fromkeys(universe))
    if len({type(part) for part in everything}) != 1:
        raise ClaimError("recovery needs a universe of components, or one of edges: all parts that could be named.")
    level = EDGES if isinstance(everything[0], Edge) else COMPONENTS
    true = frozenset(reference.at_level(level).parts)
    if isinstance(found, Circuit):
        named = frozenset(found.at_level(level).parts)
        scores, listed = dict.fromkeys(named, 1.0), named
    else:
        scores = {part: value_of(score, absolute) for part, score in found.scores}
        named, listed = frozenset(found.top(len(true), absolute).parts), frozenset(scores)
    for who, parts in (("the reference", true), ("the hypothesis", listed)):
        if foreign := outside_of(sorted(parts, key=str), everything):
            raise ClaimError(f"{who} has parts that are not among the {len(everything)} of the universe: {foreign}.")
    inside = [scores.get(part, -inf) for part in everything if part in true]
    outside = [scores.get(part, -inf) for part in everything if part not in true]
    hits = len(named & true)
    return Recovery(
        _auroc(inside, outside), hits / len(named) if named else None, hits / len(true) if true else None,
        len(true), len(named), tuple(sorted(true - named)),
    )  # fmt: skip


def _auroc(inside: Sequence[float], outside: Sequence[float]) -> float | None:
    if not inside or not outside:
        return None
    below = np.sort(np.array(outside))
    won = np.searchsorted(below, inside, side="left") + np.searchsorted(below, inside, side="right")
    return float(won.sum()) / (2 * len(inside) * len(outside))
