"""A circuit as a picture and as a table: its components layer by layer, who sends to whom, and at which positions."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import networkx as nx
from attrs import frozen

from scrub.anatomy.edges import parts_in_order
from scrub.anatomy.names import Component
from scrub.report.channels import ink_of
from scrub.report.notebook import block, headed, wide
from scrub.report.svg import text

if TYPE_CHECKING:
    import pandas as pd

    from scrub.anatomy.edges import Edge
    from scrub.circuit.circuit import Circuit

LETTER, LINE, PAD, GAP, BETWEEN = 7, 14, 12, 14, 40  # pixels
MOST = 600  # edges that are drawn
COLUMNS = ["part", "kind", "sender", "receiver", "channel", "at", "variable"]


@frozen
class CircuitBox:
    """A component with its positions and the variables that it stands for."""

    component: Component
    lines: tuple[str, ...]
    described: str
    x: int = 0
    y: int = 0

    @property
    def wide(self) -> int:
        return LETTER * max(map(len, self.lines)) + PAD

    @property
    def high(self) -> int:
        return LINE * len(self.lines) + PAD // 2

    def at(self, x: int, y: int) -> CircuitBox:
        return CircuitBox(self.component, self.lines, self.described, x, y)


def circuit_frame(circuit: Circuit) -> pd.DataFrame:
    """One line a component or edge; `variable` are those of the claim that it belongs to, where they are known."""
    import pandas as pd

    lines: list[tuple[str | None, ...]] = []
    for node in parts_in_order(circuit.nodes):
        at = None if node.at is None else str(node.at)
        roles = [name for name, parts in circuit.roles if node in parts]
        lines.append((str(node), "component", None, None, None, at, " ".join(roles) or None))
    for edge in parts_in_order(circuit.edges):
        ends = str(edge.sender), str(edge.receiver), edge.channel
        at = None if edge.at is None else str(edge.at)
        roles = [name for name, parts in circuit.roles if edge in parts]
        lines.append((str(edge), "edge", *ends, at, " ".join(roles) or None))
    return pd.DataFrame(lines, columns=COLUMNS)


def circuit_html(circuit: Circuit) -> str:
    """The picture, and the names of all parts folded away."""
    parts = "\n".join(map(str, [*parts_in_order(circuit.nodes), *parts_in_order(circuit.edges)]))
    if not parts:
        return block(str(circuit))
    names = f"<details><summary>all parts by name</summary>{block(parts)}</details>"
    return f"<div>{headed(_headline(circuit))}{wide(circuit_svg(circuit))}{names}</div>"


def _headline(circuit: Circuit) -> str:
    nodes, edges = len(circuit.nodes), len(circuit.edges)
    counts = [f"{nodes} component{'' if nodes == 1 else 's'}"] if nodes else []
    counts += [f"{edges} edge{'' if edges == 1 else 's'}"] if edges else []
    hidden = f"; too many edges to draw (more than {MOST})" if edges > MOST else ""
    return f"circuit of {' and '.join(counts)}, run by its {circuit.level}{hidden}"


def circuit_svg(circuit: Circuit) -> str:
    """Layers up, one box a component; edges in the colours of q, k and v, named when hovered."""
    rows = _rows(circuit)
    left = LETTER * max(map(len, rows)) + 2 * PAD
    width = left + max(sum(box.wide + GAP for box in boxes) for boxes in rows.values())
    placed: dict[Component, CircuitBox] = {}
    drawn, top = list[str](), PAD
    for level, boxes in rows.items():
        high = max(box.high for box in boxes)
        x = left + (width - left - sum(box.wide + GAP for box in boxes)) // 2
        drawn.append(text(left - PAD, top + high // 2 + 4, level, "end", ' fill="#777777"'))
        for box in boxes:
            placed[box.component] = box.at(x, top)
            x += box.wide + GAP
        top += high + BETWEEN
    height = top - BETWEEN + PAD
    edges = parts_in_order(circuit.edges) if len(circuit.edges) <= MOST else []
    lines = [_edge(edge, placed[edge.sender], placed[edge.receiver]) for edge in edges]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="sans-serif" font-size="12"><title>{escape(_headline(circuit))}</title>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    )
    return "\n".join([head, *drawn, *lines, *map(_drawn, placed.values()), "</svg>"]) + "\n"


def _components(circuit: Circuit) -> set[Component]:
    ends = {end for edge in circuit.edges for end in (edge.sender, edge.receiver)}
    return {node.component for node in circuit.nodes} | ends


def _rows(circuit: Circuit) -> dict[str, list[CircuitBox]]:
    """The boxes of every level, the answer's first."""
    depth = _depths(circuit)
    found: dict[tuple[int, int, str], list[CircuitBox]] = {}
    for component in sorted(_components(circuit)):
        found.setdefault(_height(component, depth), []).append(_box(component, circuit))
    return {level: found[key] for key in sorted(found, reverse=True) for level in [key[2]]}


def _depths(circuit: Circuit) -> dict[Component, int]:
    """How far the nodes of a computation graph are from its inputs, as far as the circuit's edges say."""
    graph: nx.DiGraph[Component] = nx.DiGraph((edge.sender, edge.receiver) for edge in circuit.edges)
    if not nx.is_directed_acyclic_graph(graph):
        return {}
    return {node: depth for depth, nodes in enumerate(nx.topological_generations(graph)) for node in nodes}


def _height(component: Component, depth: dict[Component, int]) -> tuple[int, int, str]:
    if not component.traits.has_word and not component.traits.layered:
        return depth.get(component, 0), 0, f"step {depth.get(component, 0)}"
    if component.traits.is_output:
        return 10**6, 0, "logits"
    if component.layer is None:
        return -1, component.traits.height, component.kind
    word = component.traits.plurals[0] if component.traits.by_unit else component.kind
    return component.layer, component.traits.height, f"layer {component.layer} {word}"


def _box(component: Component, circuit: Circuit) -> CircuitBox:
    places = [node.at for node in parts_in_order(circuit.nodes) if node.component == component]
    named = [str(at) for at in places if at is not None]
    roles = [n for n, parts in circuit.roles if any(p in circuit.nodes and _is_at(p, component) for p in parts)]
    lines = (str(component), *([f"@ {' '.join(named)}"] if named else []), *([" ".join(roles)] if roles else []))
    kept = "; ".join(str(node) for node in parts_in_order(circuit.nodes) if node.component == component)
    ends = (
        sum(edge.sender == component for edge in circuit.edges),
        sum(e.receiver == component for e in circuit.edges),
    )
    described = [kept or str(component), *([f"for {', '.join(roles)}"] if roles else [])]
    described += [f"{ends[0]} edges out, {ends[1]} in"] if circuit.edges else []
    return CircuitBox(component, lines, "; ".join(described))


def _is_at(part: object, component: Component) -> bool:
    return getattr(part, "component", None) == component


def _edge(edge: Edge, sender: CircuitBox, receiver: CircuitBox) -> str:
    x0, y0 = sender.x + sender.wide // 2, sender.y
    x1, y1 = receiver.x + receiver.wide // 2, receiver.y + receiver.high
    shift = {"q": -6, "v": 6}.get(edge.channel, 0)
    bend = (y0 + y1) // 2
    path = f'<path d="M{x0},{y0} C{x0},{bend} {x1 + shift},{bend} {x1 + shift},{y1}" fill="none"'
    return f'<g><title>{escape(str(edge))}</title>{path} stroke="{ink_of([edge.channel])}" opacity="0.7"/></g>'


def _drawn(box: CircuitBox) -> str:
    return "".join(_words(box))


def _words(box: CircuitBox) -> Iterator[str]:
    frame = f'<rect x="{box.x}" y="{box.y}" width="{box.wide}" height="{box.high}" rx="4"'
    yield f'<g><title>{escape(box.described)}</title>{frame} fill="#eef3fa" stroke="#333333"/>'
    for number, line in enumerate(box.lines):
        style = ' font-weight="bold"' if not number else ' font-size="11"'
        yield text(box.x + box.wide // 2, box.y + LINE * (number + 1), line, "middle", style)
    yield "</g>"
