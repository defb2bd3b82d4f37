"""What `nodes("c").holds(fn)` says: fn of what a site gives is the value of its variable.

Without it a variable is known up to renaming of its values: only whether rows agree on it enters a score. The
function enters digests, and frozen claims, by what it gives on the data, as a story's functions do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.claims.content import shown, stable
from scrub.claims.dataset import Dataset
from scrub.claims.interpretation import Interpretation
from scrub.claims.placement import Placement
from scrub.claims.problems import Problem, at_line
from scrub.claims.sites import Site
from scrub.claims.values import Value, binned, canonical, digest, printed, read_only
from scrub.errors import ClaimError, ScrubError, some

Where = tuple[str, int]  # a variable, and which of its sites
Table = tuple[tuple[str, Value], ...]


@runtime_checkable
class Runs(Protocol):
    """A model that a check may run: plain functions of columns."""

    def run(self, columns: Mapping[str, Any], /) -> dict[str, Any]: ...


@frozen(eq=False)
class HeldTable:
    """What a function gave, by the digest of what it was given: a frozen claim has it in the function's place."""

    table: Table

    def __call__(self, *outputs: Any) -> Value:
        known = dict(self.table)
        if (found := told(outputs)) not in known:
            raise ClaimError(f"the frozen claim stores no value for {', '.join(map(shown, outputs))}")
        return known[found]


@frozen(eq=False)
class HeldSite:
    """What a site holds: by the digest of its output, and in every row; no rows where no model was run."""

    table: Table
    values: tuple[Value, ...] = field(default=())

    @property
    def digest(self) -> str:
        return digest([(output, printed(value)) for output, value in self.table], size=8)


def told(outputs: tuple[Any, ...]) -> str:
    """What tells outputs apart. Raises ValueError for those that nothing does."""
    return digest(stable(outputs), size=8)


def stored(placement: Placement) -> dict[Where, HeldSite]:
    """What the sites of a frozen claim hold, as it is stored."""
    tables = {where: site.held for where, site in _holding(placement).items()}
    return {where: HeldSite(held.table) for where, held in tables.items() if isinstance(held, HeldTable)}


def held(
    placement: Placement, story: Interpretation, graph: ModelGraph, data: Dataset
) -> tuple[dict[Where, HeldSite], list[Problem]]:
    """What every site that `holds` gives on each row, the model being run there; and what is wrong with it."""
    found: dict[Where, HeldSite] = {}
    problems: list[Problem] = []
    sites = _holding(placement)
    for (name, _), site in sites.items() if graph.sequence else ():
        fix = "Leave it out: of a network a variable is known up to renaming of its values."
        wrong = f".holds(...) is about what a node of a computation graph gives; {site} writes vectors."
        problems.append(Problem(wrong, fix, None, name).at(site))
    if not sites or not isinstance(graph, Runs) or any(data.lacking(name) for name in graph.inputs()):
        return found, problems
    try:
        rows = [graph.run(row.columns) for row in data.rows]
    except ScrubError as error:
        return found, [Problem(f".holds(...) runs the model: {error}")]
    for (name, number), site in sites.items():
        if all(map(graph.has, site.components)):
            step = story.variables[name].step if name in story.variables else None
            made, wrong = _values(site, step, rows)
            problems += [Problem(text, variable=name).at(site) for text in wrong]
            found[name, number] = made
    return found, problems


def _holding(placement: Placement) -> dict[Where, Site]:
    placed = placement.placed.items()
    sites = {(name, i): site.site for name, p in placed for i, site in enumerate(p.sites)}
    return {where: site for where, site in sites.items() if site.held is not None}


def _values(site: Site, step: float | None, rows: list[dict[str, Any]]) -> tuple[HeldSite, list[str]]:
    """What a site holds, row by row, and how its function failed."""
    table, values, failed = dict[str, Value](), list[Value](), dict[int, str]()
    for number, row in enumerate(rows):
        outputs = tuple(row[component.name] for component in site.components)
        try:
            value = _value(site.held, tuple(map(read_only, outputs)), step)
            table[told(outputs)] = value
            values.append(value)
        except (ClaimError, ValueError) as error:
            failed[number] = str(error).rstrip(".")
    fixed = site.held.table if isinstance(site.held, HeldTable) else tuple(sorted(table.items(), key=_output))
    return HeldSite(fixed, tuple(values)), [_failure(failed)] if failed else []


def _output(entry: tuple[str, Value]) -> str:
    return entry[0]


def _value(function: Callable[..., Any] | None, outputs: tuple[Any, ...], step: float | None) -> Value:
    """What a function gives. Raises ClaimError where it fails, ValueError where that is no value."""
    assert function is not None
    try:
        raw = function(*outputs)
    except ClaimError:
        raise
    except Exception as error:
        raise ClaimError(f"its function raised {type(error).__name__}: {error}{at_line(error)}") from error
    return canonical(raw) if step is None else binned(raw, step)


def _failure(failed: dict[int, str]) -> str:
    first, *others = failed
    also = f" (and in rows {some(others)})" if others else ""
    return f".holds(...), row {first}{also}: {failed[first]}."
