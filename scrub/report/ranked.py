"""The nodes of a proposal as cells of heat maps: layers by heads, nodes by positions, the stream by layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from scrub.anatomy.names import EMBED
from scrub.anatomy.table import CHANNELS
from scrub.anatomy.tolerances import SAME_EFFECT
from scrub.report.heat import Grid, Look, Scale, cell_of, in_layers

if TYPE_CHECKING:
    from scrub.proposals.proposal import Proposal, Ranked

ROWS = 20  # nodes of a grid by positions, or of a picture without layers
NAME = 40  # the longest name that is shown whole
CLEAR = 0.5  # |signed mean| / mean of |.| from which a sign is told: three quarters of the size have it


@frozen
class Cell:
    """A node with what is known best of it, signed; `mixed` where its sign is not clear."""

    node: Ranked
    effect: float
    mixed: bool = False
    absolute: bool = False

    @classmethod
    def of(cls, node: Ranked, absolute: bool) -> Cell:
        if not absolute:
            return cls(node, node.best)
        # a sign is told only of the values whose size this is: an estimate's says nothing of an exact effect
        known = (
            math.isclose(node.absolute, node.best, rel_tol=SAME_EFFECT) and abs(node.signed) >= CLEAR * node.absolute
        )
        return cls(node, math.copysign(node.best, node.signed), not known, absolute)

    def look(self, scale: Scale) -> Look:
        return scale.look(self.effect, self.title, self.mixed, self.node.exact is not None)

    @property
    def words(self) -> str:
        """`9.9 @ END -1.50`."""
        place = "" if self.node.position is None else f" @ {self.node.position}"
        value = f"±{size(abs(self.effect))}" if self.mixed else number(self.effect)
        return clean(f"{self.node.node}{place} {value}")

    @property
    def title(self) -> str:
        node, word = self.node, size if self.absolute else number
        exact = "not patched" if node.exact is None else f"exact {word(node.exact)}"
        of = "means of |effect|: " if self.absolute else ""
        return f"{self.words} ({of}{exact}, estimate {word(node.score)} by {clean(node.method)})"


@frozen
class Map:
    """A heat map with its own scale. `layers` where its rows are the layers of a model."""

    caption: str
    grid: Grid[Cell]
    scale: Scale
    layers: bool = False

    @classmethod
    def of(cls, caption: str, grid: Grid[Cell], layers: bool = False) -> Map:
        return cls(caption, grid, Scale.of(list(grid.cells.values())), layers)

    @property
    def look(self) -> Callable[[Cell], Look]:
        return partial(Cell.look, scale=self.scale)

    @property
    def mixed(self) -> bool:
        return any(cell.mixed and cell.effect for cell in self.grid.cells.values())


def number(value: float) -> str:
    """A signed number in three digits: `+0.0123`, `-1.50`, `+2.1e-07`."""
    if not value:
        return "0"
    order = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{value:+.{2 - min(order, 2)}f}" if -4 <= order <= 5 else f"{value:+.2e}"


def size(value: float) -> str:
    """The same for what has no sign."""
    return number(value).removeprefix("+")


def clean(text: str) -> str:
    """What does not print is replaced: it would break lines, and a picture."""
    return "".join(c if c.isprintable() else "?" for c in text)


def name(text: str | int | None) -> str:
    shown = clean(str(text))
    return shown if len(shown) <= NAME else f"{shown[: NAME - 3]}..."


def is_absolute(p: Proposal) -> bool:
    """Whether scores are means of absolute values, not absolute values of means."""
    return "absolute" in p.aggregate


def listed(p: Proposal) -> list[tuple[int, Ranked]]:
    """Nodes with their ranks by score, by what is known best; without what is the whole stream, if there is more."""
    nodes = [n for n in p.nodes if not _is_stream(n) and (n.component != EMBED or n.position is not None)]
    return sorted(enumerate(nodes or p.nodes, 1), key=lambda found: -abs(found[1].best))


def components(p: Proposal) -> Map | None:
    """Layers by heads, attn and mlp beside them; where positions were asked, the strongest nodes by positions."""
    absolute = is_absolute(p)
    if any(node.position is not None for node in p.nodes):
        nodes = _strongest([node for node in p.nodes if not _streams(node)])
        return (
            _placed("the strongest nodes by positions", p, [Cell.of(n, absolute) for n in nodes]) if nodes else None
        )
    cells = [Cell.of(node, absolute) for node in p.nodes if in_layers(node.component)]
    grid = _layers("layer", {cell_of(cell.node.component): cell for cell in cells})
    return Map.of("components by layers", grid, layers=True) if cells else None


def channels(p: Proposal) -> list[Map]:
    """Queries, keys and values, each layers by heads; all on one scale."""
    cells = [Cell.of(n, is_absolute(p)) for n in p.nodes if n.kind in CHANNELS and n.position is None]
    scale, found = Scale.of(cells), list[Map]()
    for kind in CHANNELS:
        if placed := {cell_of(c.node.component): c for c in cells if c.node.kind == kind}:
            found.append(Map(kind, _layers(kind, placed), scale, layers=True))
    return found


def stream(p: Proposal) -> Map | None:
    """The embedding and the residual stream before each layer, where they are patched position by position."""
    cells = [Cell.of(n, is_absolute(p)) for n in p.nodes if _streams(n) and n.position is not None]
    if not any(_is_stream(cell.node) for cell in cells):
        return None
    cells.sort(key=lambda c: c.node.component)
    return _placed("the residual stream before each layer", p, cells)


def strongest(p: Proposal) -> Map:
    """A list: for models without layers, and for neurons."""
    cells = [Cell.of(node, is_absolute(p)) for _, node in listed(p)[:ROWS]]
    placed = {(name(cell.node.node), "effect"): cell for cell in cells}
    return Map.of("the strongest nodes", Grid("node", tuple(row for row, _ in placed), ("effect",), placed))


def _strongest(nodes: Sequence[Ranked]) -> list[Ranked]:
    """All positions of the nodes that are strongest anywhere, these first."""
    by_size = sorted(nodes, key=lambda n: -abs(n.best))
    kept = list(dict.fromkeys(n.node for n in by_size))[:ROWS]
    place = {node: i for i, node in enumerate(kept)}
    return sorted((n for n in by_size if n.node in place), key=lambda n: place[n.node])


def _placed(caption: str, p: Proposal, cells: Sequence[Cell]) -> Map:
    there = {cell.node.position for cell in cells}
    places = [position for position in p.positions if position in there]
    placed = {(name(c.node.node), name(c.node.position)): c for c in cells}
    rows = tuple(dict.fromkeys(row for row, _ in placed))
    return Map.of(caption, Grid("node", rows, tuple(map(name, places)), placed))


def _layers(corner: str, cells: dict[tuple[str, str], Cell]) -> Grid[Cell]:
    rows = tuple(sorted({row for row, _ in cells}, key=int))
    heads = sorted({column for _, column in cells if column.isdigit()}, key=int)
    columns = (*heads, *sorted({column for _, column in cells} - {*heads}))
    return Grid(corner, rows, columns, cells)


def _streams(node: Ranked) -> bool:
    """The embedding and the stream: over all positions the whole run; at one, what components write there."""
    return node.component == EMBED or _is_stream(node)


def _is_stream(node: Ranked) -> bool:
    return node.component.traits.is_stream and node.component.part is None
