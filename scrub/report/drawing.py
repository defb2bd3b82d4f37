"""`scrub show`: the unrolled tree beside a drawing of the claim, layers up and positions across."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.resolved import Claim
from scrub.claims.values import codes, key
from scrub.engine.unroll import Occurrence
from scrub.errors import shorten
from scrub.report.text import table

GAP = "     "
TOP = 10**6  # where the answer stands
EXAMPLE = 60  # letters of a value that is shown


def show_text(claim: Claim, tree: Occurrence) -> str:
    """The claim's name, its two drawings side by side, and a line for each variable."""
    hypothesis = claim.hypothesis
    foil = f"  (foil: {hypothesis.foil_reason})" if hypothesis.foil_reason else ""
    lines = [
        f"{hypothesis.title}{foil}",
        f"    {claim.metric} on {claim.graph.name}, {len(claim.data)} rows",
        "",
    ]
    drawing = _grid(claim) if claim.graph.sequence else _levels(claim)
    lines += beside(str(tree).splitlines(), drawing)
    return "\n".join([*lines, "", *_variables(claim)])


def beside(left: list[str], right: list[str]) -> list[str]:
    """Two blocks of text next to each other; one below the other where that would be too wide."""
    width = max(map(len, left))
    if width + len(GAP) + max(map(len, right)) > 118:
        return [*left, "", *right]
    rows = max(len(left), len(right))
    padded = [left + [""] * (rows - len(left)), right + [""] * (rows - len(right))]
    return [f"{a.ljust(width)}{GAP}{b}".rstrip() for a, b in zip(*padded, strict=True)]


def _variables(claim: Claim) -> list[str]:
    rows = [("variable", "different values", "example")]
    for name in claim.placement.reached():
        column = claim.values[name]
        kinds = len(set(codes(map(key, column)).tolist()))
        rows.append((name, str(kinds), shorten(repr(column[0]), EXAMPLE)))
    return table(rows, "    ")


def _grid(claim: Claim) -> list[str]:
    """Layers up, positions across; `name: components` in each cell."""
    cells: dict[tuple[Level, Slot], list[str]] = {}
    for placed in claim.placement.placed.values():
        for site in (s.site for s in placed.sites):
            for slot in site.at:
                for level in dict.fromkeys(level_of(claim, c) for c in site.components):
                    here = [_short(c) for c in site.components if level_of(claim, c) == level]
                    cells.setdefault((level, slot), []).append(f"{placed.name}: {' '.join(here)}".rstrip(": "))
    slots = sorted(dict.fromkeys(slot for _, slot in cells), key=lambda slot: place_of(claim, slot))
    levels = sorted({level for level, _ in cells}, reverse=True)
    rows = [("", *map(str, slots))]
    rows += [(level.label, *("; ".join(cells.get((level, slot), ["·"])) for slot in slots)) for level in levels]
    return table(rows)


@frozen(order=True)
class Level:
    """A row of a drawing, the lowest first: its layer, its rank in the layer, its label."""

    layer: int
    rank: int
    label: str


def level_of(claim: Claim, component: Component) -> Level:
    """Where a component stands: in its layer by its kind, in a graph by its place in the order."""
    component = component.host
    traits, layer = component.traits, component.layer
    if not claim.graph.sequence:
        place = claim.graph.order(component)
        return Level(place, 0, str(place))
    if layer is None:
        return Level(TOP if traits.is_output else -1, traits.height, component.kind)
    return Level(layer, traits.height, str(Component.for_attn(layer) if traits.attends else component))


def _short(component: Component) -> str:
    return str(component) if component.traits.is_head or component.is_part else ""


def place_of(claim: Claim, slot: Slot | None) -> float:
    """Where a position usually is, for the order of the columns."""
    return float("inf") if slot in (ALL, None) else float(np.median(claim.data.locate(slot)))


def _levels(claim: Claim) -> list[str]:
    """The nodes that are claimed, in the order of computation, the answer on top."""
    rows: list[tuple[int, str, str]] = []
    for placed in claim.placement.placed.values():
        for site in (s.site for s in placed.sites):
            rows.append((max(claim.graph.order(c) for c in site.components), placed.name, str(site)))
    return table([("variable", "nodes"), *((name, site) for _, name, site in sorted(rows, reverse=True))])
