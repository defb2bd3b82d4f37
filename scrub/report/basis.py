"""Directions that were found in data, in words, and the rows along the first two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scrub.errors import some
from scrub.report.notebook import block, wide
from scrub.report.svg import cut, text

if TYPE_CHECKING:
    from scrub.claims.basis import Basis
    from scrub.claims.dictionaries.learned import LearnedDictionary

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
SIZE, EDGE, NAMED = 260, 20, 8  # of the picture, of its margin; values that the legend names
MOST = 8  # numbers in a line
WORDS = {
    "accuracy": "right on held-out rows", "accuracy_of_rank": "right by these directions alone",
    "accuracy_of_whole": "right with the whole component swapped", "chance": "by chance", "held_out": "rows held out",
    "between": "of the variance lies between values", "distance": "between the two means", "swaps": "held-out swaps",
    "shares": "shares of the variance", "explained": "of the variance of held-out rows explained",
    "places": "right at each place", "dead": "latents that are never active",
}  # fmt: skip


def basis_text(b: Basis) -> str:
    """What was found, of what, on how many rows."""
    many = "direction" if b.rank == 1 else "directions"
    head = f"{b.rank} {many} of {b.component} @ {b.at} for {b.variable}, by {b.method} on {len(b.seen)} rows"
    if b.rank < (asked := (b.asked or {}).get("rank") or 0):
        head += f": {asked} were asked for, and no more are told apart there"
    return "\n".join([head, *(f"    {_number(value)} {WORDS.get(name, name)}" for name, value in b.found.items())])


def dictionary_text(d: LearnedDictionary) -> str:
    """What was trained, of what, on how many rows, and where it lies."""
    head = f"{d.size} latents of {d.component} @ {d.at}, {d.topk} active, trained on {len(d.seen)} rows: {d.folder}"
    return "\n".join([head, *(f"    {_number(value)} {WORDS.get(name, name)}" for name, value in d.found.items())])


def _number(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_number(one)}" for name, one in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return some(map(_number, value), MOST)  # pyright: ignore[reportUnknownArgumentType]
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def basis_html(b: Basis) -> str:
    """The words, and a point for each row along the first two directions, in the colour of its value."""
    return block(basis_text(b)) + wide(_points(b))


def _points(b: Basis) -> str:
    values = sorted({label for _, _, label in b.coordinates})
    colour = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(values)}
    far = max((abs(number) for x, y, _ in b.coordinates for number in (x, y)), default=0) or 1.0
    half = SIZE / 2

    def at(number: float) -> str:
        return f"{half + number / far * (half - EDGE):.1f}"

    dots = [
        f'<circle cx="{at(x)}" cy="{at(-y)}" r="3" fill="{colour[v]}" fill-opacity="0.7"/>'
        for x, y, v in b.coordinates
    ]
    more = [*values[:NAMED], *([f"and {len(values) - NAMED} more"] if len(values) > NAMED else [])]
    named = [
        text(SIZE + 10, 20 + 16 * i, cut(v, 24), "start", f' font-size="12" fill="{colour.get(v, "#555")}"')
        for i, v in enumerate(more)
    ]
    title = f"<title>rows along the first two directions of {b.rank}</title>" if b.rank > 1 else "<title>rows</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE + 190}" height="{SIZE}">{title}'
        f'<rect width="{SIZE}" height="{SIZE}" fill="none" stroke="#ccc"/>{"".join(dots)}{"".join(named)}</svg>'
    )
