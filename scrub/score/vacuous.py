"""Variables whose swaps test no values: which, and what to do.

A swap tests a value where a donor that agrees on it gave the site something else. It does not where the donor is the
row itself, because hardly any rows share the value; nor where the variable tells apart all that it is computed from,
so that rows which agree on it agree on that. The latter is as it must be of what is only passed on; where the readers
need less, a coarser value says as much and tests more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

from attrs import evolve

from scrub.anatomy.tolerances import SHARES
from scrub.claims.content import alike
from scrub.claims.interpretation import Variable
from scrub.claims.resolved import Claim
from scrub.claims.values import key, printed
from scrub.errors import ClaimError
from scrub.score.controls import PATHS
from scrub.score.diagnostics import Swaps
from scrub.score.result import Result
from scrub.score.verdict import UNDEFINED

MOSTLY = 0.5  # of the donors, that are the row itself
MOST = 40  # values of a variable that are compared
MOST_CONTEXTS = 400  # in which they are
COARSER = 0.5  # of its values, which its readers tell apart


def vacuous(claim: Claim, result: Result) -> Result:
    """A result that names the variables whose swaps test no values, and says so where these are all inner ones."""
    if result.verdict == UNDEFINED:
        return result
    inner = {name for name in claim.placement.reached() if _is_inner(claim, name)}
    found = {swaps.variable: text for swaps in result.swaps if (text := _told(claim, swaps, inner))}
    result = evolve(result, warnings=(*result.warnings, *found.values()))
    if not inner or not inner <= found.keys() or PATHS in result.reason:
        return result
    return evolve(
        result,
        reason=f"{result.reason[:-1]}; it {PATHS}: no swap of {_listed(inner)} changes what it is computed from.",
    )


def _is_inner(claim: Claim, name: str) -> bool:
    return not claim.placement.placed[name].leaf and name != claim.placement.output


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _told(claim: Claim, swaps: Swaps, inner: set[str]) -> str:
    """What is said of a variable; nothing where its swaps test values, or where nothing coarser would do."""
    name, finer = swaps.variable, ""
    if swaps.variable in inner and (needed := _needed(claim, name)):
        finer = f"what reads it tells apart {needed[0]} of {needed[1]} of its values: a coarser value tests more."
    if swaps.self_swaps > MOSTLY:
        size = f"half of the rows share theirs with {swaps.class_median - 1:g} others or fewer"
        same = f"{swaps.self_swaps:.0%} of the donors of {name} are the row itself, which tests no value"
        return f"{same} ({size}): bring more rows for each value{f'; {finer}' if finer else '.'}"
    if finer and swaps.idle >= 1 - SHARES:
        return f"rows that agree on {name} agree on all that it is computed from, which tests no value; {finer}"
    return ""


def _needed(claim: Claim, name: str) -> tuple[int, int] | None:
    """How many of a variable's values its readers tell apart, in any row, and of how many; None where it is most."""
    column = claim.values[name]
    often = Counter(map(key, column))
    distinct = {key(value): value for value in column}
    some = sorted(distinct, key=lambda k: (-often[k], printed(distinct[k])))[:MOST]
    readers = [v for v in claim.hypothesis.story.variables.values() if name in v.parents]
    met = [(reader, context) for reader in readers for context in _contexts(claim, reader, name)]
    told = {tuple(_read(reader, context | {name: distinct[k]}) for reader, context in met) for k in some}
    return (len(told), len(some)) if len(told) <= COARSER * len(some) else None


def _contexts(claim: Claim, reader: Variable, name: str) -> Iterable[dict[str, Any]]:
    """What else a reader reads, each of the combinations that rows show, up to `MOST_CONTEXTS`."""
    others = [parent for parent in reader.parents if parent != name]
    columns = [claim.values[p] if p in claim.hypothesis.story.variables else claim.data.column(p) for p in others]
    found: dict[str, dict[str, Any]] = {}
    for row in claim.data.order.tolist():
        context = dict(zip(others, (column[row] for column in columns), strict=True))
        found.setdefault(alike(tuple(context.values())), context)
        if len(found) == MOST_CONTEXTS:
            break
    return found.values()


def _read(reader: Variable, known: dict[str, Any]) -> Hashable:
    try:
        return key(reader.value(known))
    except ClaimError:  # the story has nothing to say of a mixture that no row shows
        return ClaimError
