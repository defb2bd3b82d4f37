"""The unrolled tree as a picture: the answer on the left, what is read to its right, one line a leaf."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from attrs import frozen

from scrub.engine.unroll import Occurrence
from scrub.report.channels import ink_of, label_of
from scrub.report.notebook import wide
from scrub.report.svg import cut, text

LETTER, HIGH, LINE, PAD, GAP = 7, 36, 15, 12, 52  # pixels: a letter, a box, a line, a margin, between columns
APART = 10  # between boxes of a column
REST = " + rest"
NAME, SITE = 32, 44  # letters that are drawn


@frozen
class TreeNode:
    """An occurrence where it stands: the left end of its box and its middle line."""

    occurrence: Occurrence
    x: int
    y: float
    wide: int
    children: tuple[TreeNode, ...]

    def walk(self) -> Iterator[TreeNode]:
        yield self
        for child in self.children:
            yield from child.walk()


def tree_html(tree: Occurrence) -> str:
    """The picture of the tree, which scrolls where it does not fit."""
    return wide(tree_svg(tree))


def tree_svg(tree: Occurrence) -> str:
    """The tree as one SVG without scripts; hovering over a box tells who its donor agrees with, and on what."""
    root = _placed(tree, _columns(tree), 0, PAD + HIGH // 2)
    nodes = list(root.walk())
    width = max(node.x + node.wide for node in nodes) + PAD
    height = round(max(node.y for node in nodes)) + HIGH // 2 + PAD
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(f'the claim unrolled: {len(nodes)} occurrences')}</title>",
        f"<desc>{escape(str(tree))}</desc>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    edges = [_edge(node, child) for node in nodes for child in node.children]
    return "\n".join([*drawn, *edges, *map(_box, nodes), "</svg>"]) + "\n"


def _site(occurrence: Occurrence) -> str:
    return cut(occurrence.site, SITE) + ("" if occurrence.leaf else REST)


def _wide(occurrence: Occurrence) -> int:
    return LETTER * max(len(cut(occurrence.variable, NAME)), len(_site(occurrence))) + PAD


def _columns(tree: Occurrence) -> list[int]:
    """Where the boxes of each depth begin."""
    wide: list[int] = []
    level = [tree]
    while level:
        wide.append(max(map(_wide, level)))
        level = [child for occurrence in level for child in occurrence.children]
    return [PAD + sum(wide[:depth]) + depth * GAP for depth in range(len(wide))]


def _placed(occurrence: Occurrence, columns: list[int], depth: int, top: float) -> TreeNode:
    """A subtree whose first leaf has its middle at `top`; a reader stands in the middle of what it reads."""
    children: list[TreeNode] = []
    below = top
    for child in occurrence.children:
        children.append(_placed(child, columns, depth + 1, below))
        below = _bottom(children[-1]) + HIGH + APART
    y = (children[0].y + children[-1].y) / 2 if children else top
    return TreeNode(occurrence, columns[depth], y, _wide(occurrence), tuple(children))


def _bottom(node: TreeNode) -> float:
    return max(found.y for found in node.walk())


def _edge(reader: TreeNode, child: TreeNode) -> str:
    """From what is read to who reads it, named by its channels."""
    channels = child.occurrence.channels
    ink, name = ink_of(channels), label_of(channels)
    x0, x1, middle = reader.x + reader.wide, child.x, child.x - GAP // 2
    path = f'<path d="M{x1},{child.y:g} C{middle},{child.y:g} {middle},{reader.y:g} {x0},{reader.y:g}" fill="none"'
    label = text(x1 - 4, child.y - 4, cut(name, NAME), "end", f' font-size="10" fill="{ink}"') if name else ""
    described = f"{', '.join(channels)} of {reader.occurrence.variable} reads {child.occurrence.variable}"
    return f'<g><title>{escape(described)}</title>{path} stroke="{ink}"/>{label}</g>'


def _box(node: TreeNode) -> str:
    o, x, y = node.occurrence, node.x, round(node.y - HIGH / 2)
    fill = "#fff7e0" if o.is_root else "#f4f4f4" if o.leaf else "#eef3fa"
    frame = f'<rect x="{x}" y="{y}" width="{node.wide}" height="{HIGH}" rx="4" fill="{fill}" stroke="#333333"/>'
    middle = x + node.wide // 2
    words = text(middle, y + LINE, cut(o.variable, NAME), "middle", ' font-weight="bold"')
    words += text(middle, y + 2 * LINE - 1, _site(o), "middle", ' font-size="11"')
    return f"<g><title>{escape('; '.join(_facts(o)))}</title>{frame}{words}</g>"


def _facts(o: Occurrence) -> Iterator[str]:
    yield f"{o.variable} at {o.site}"
    if o.is_root:
        yield "the calling row itself"
    else:
        shared = ", drawn once for those that are together" if o.donor != o.path else ""
        yield f"its donor agrees with the caller on {' and '.join(o.agree)}{shared}"
    if not o.leaf:
        yield "what the claim leaves out here comes from a rest row"
