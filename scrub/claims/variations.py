"""What stability asks of a claim: the same one under other seeds, on halves of its data, and with other rests.

A variation changes how a claim is asked, never what it says: its story, its sites, its metric, what it expects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from scrub.claims.hypothesis import RESTS, SCOPES
from scrub.claims.resolved import Claim
from scrub.claims.values import canonical, key
from scrub.errors import some

SEED, HALF, POLICY = KINDS = ("seed", "half", "policy")
SEEDS = 3  # other ones
TEMPLATE = "template"  # the column that halves are made of, where the data have it
MOST_NAMED = 4  # values in the name of a half
NO_PAIR = "no column names partners: criteria=protocol(pair='column')."
NO_MARKS = "no column marks rest rows: scored='column', or criteria=protocol(reference='column')."
UNALIGNED = "rows of one stratum have different lengths, and no column divides them by length."


@frozen
class Variation:
    """`changes` are options of the claim, `seed` is added to the test's; `lacking` says why it cannot be asked."""

    kind: str
    name: str
    changes: Mapping[str, Any] = field(factory=dict[str, Any])
    seed: int = 0
    lacking: str = ""


def variations(claim: Claim, exact: bool = False) -> tuple[Variation, ...]:
    """Every variation of a claim; where draws are enumerated there are no other seeds."""
    seeds = () if exact else tuple(Variation(SEED, f"seed + {n}", seed=n) for n in range(1, SEEDS + 1))
    return (*seeds, *halves(claim), *policies(claim))


def halves(claim: Claim) -> Iterator[Variation]:
    """The claim on each half of its data, donors and rests included: the others count as seen.

    Rows that agree on a column stay together: `template`, else what the claim or its criteria divide rows by. Where
    none of these divides the scored rows, rows are halved one by one, each with all of its input and its partner.
    """
    column = _dividing(claim)
    units = _inputs(claim) if column is None else _column(claim, column)
    scored, pool = Counter(u for u, s in zip(units, claim.scored, strict=True) if s), Counter(units)
    ordered = sorted(pool, key=lambda unit: (-scored[unit], -pool[unit], str(unit)))
    for number, name in enumerate(("half of the rows", "the other half")):
        kept = set(ordered[number::2])
        gone = {row.input_digest for row, u in zip(claim.data.rows, units, strict=True) if u not in kept}
        if column is not None:
            values = {str(v): None for v, u in zip(claim.data.column(column), units, strict=True) if u in kept}
            name = f"{column} {some(sorted(values), MOST_NAMED)}"
        yield Variation(HALF, name, {"seen": tuple(sorted({*claim.options.seen, *gone}))})


def _dividing(claim: Claim) -> str | None:
    for name in (TEMPLATE, claim.options.within, claim.hypothesis.criteria.group):
        if name in claim.data.columns and not claim.data.lacking(str(name)):
            units = _column(claim, str(name))
            if len({u for u, scored in zip(units, claim.scored, strict=True) if scored}) > 1:
                return name
    return None


def _column(claim: Claim, name: str) -> list[Hashable]:
    """Values of a column as things that can be told apart; all one where they cannot be."""
    try:
        return [key(canonical(value)) for value in claim.data.column(name)]
    except ValueError:
        return [None] * len(claim.data)


def _inputs(claim: Claim) -> list[Hashable]:
    own = [row.input_digest for row in claim.data.rows]
    return [min(mine, own[mate]) if mate >= 0 else mine for mine, mate in zip(own, claim.pair.tolist(), strict=True)]


def policies(claim: Claim) -> Iterator[Variation]:
    """Every other rest that the data allow, and for the others why they do not."""
    yield from (_rest(claim, rest) for rest in RESTS if rest != claim.options.rest)
    if claim.options.rest == "resample":
        yield from (_scope(claim, scope) for scope in SCOPES if scope != claim.options.rest_scope)
    if claim.options.rest in ("resample", "mean"):
        yield from _rest_rows(claim)
    within = _by_length(claim)
    if within is not None:  # what dividing by length does by itself, beside the policies that need it
        yield Variation(POLICY, _name(within), within)


def _rest(claim: Claim, rest: str) -> Variation:
    pair = claim.hypothesis.criteria.pair
    changes: dict[str, Any] = {"rest": rest, "pair": None}
    if rest == "paired":
        return _policy({"rest": rest, "pair": pair}, "" if pair else NO_PAIR)
    return _aligned(claim, changes) if rest == "mean" else _policy(changes)


def _scope(claim: Claim, scope: str) -> Variation:
    changes = {"rest_scope": scope}
    return _aligned(claim, changes) if scope == "input" and claim.graph.sequence else _policy(changes)


def _rest_rows(claim: Claim) -> Iterator[Variation]:
    """Rests from the rows that the claim marks for anything else, or from all where it marks them for this."""
    own = claim.options.rest_rows
    marked = dict.fromkeys([claim.hypothesis.criteria.reference, claim.options.scored])
    others = [name for name in marked if name and name != own]
    yield from (_policy({"rest_rows": name}) for name in (*others, *([None] if own else [])))
    if not others and not own:
        yield Variation(POLICY, "rest_rows=", lacking=NO_MARKS)


def _aligned(claim: Claim, changes: dict[str, Any]) -> Variation:
    """A policy that aligns rows by index: with strata of one length, where a column makes such."""
    if not claim.graph.sequence or _alike(claim, claim.stratum):
        return _policy(changes)
    within = _by_length(claim)
    return _policy(changes | (within or {}), "" if within else UNALIGNED)


def _by_length(claim: Claim) -> dict[str, Any] | None:
    """The strata that make lengths equal: of all columns that do, the one with the fewest values."""
    if not claim.graph.sequence or claim.options.within or _alike(claim, claim.stratum):
        return None
    counts: dict[str, int] = {}
    for name in claim.data.columns:
        units = [] if claim.data.lacking(name) else _column(claim, name)
        lengths = set(zip(units, claim.data.lengths.tolist(), strict=False))
        if units and len(lengths) == len(set(units)):
            counts[name] = len(set(units))
    return {"within": min(counts, key=lambda name: (counts[name], name))} if counts else None


def _alike(claim: Claim, stratum: np.ndarray) -> bool:
    return len(set(zip(stratum.tolist(), claim.data.lengths.tolist(), strict=True))) == len(set(stratum.tolist()))


def _policy(changes: dict[str, Any], lacking: str = "") -> Variation:
    return Variation(POLICY, _name(changes), changes, lacking=lacking)


def _name(changes: Mapping[str, Any]) -> str:
    """The options as they are written: `rest='mean', within='length'`; a partner's column only where it is used."""
    told = {name: value for name, value in changes.items() if name != "pair" or value is not None}
    return ", ".join(f"{name}={value!r}" for name, value in told.items())
