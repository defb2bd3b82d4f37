"""A claim without some of its parts, as a change of its unrolled tree.

What is left keeps the paths by which its rows are drawn, so that it draws what it draws in the claim. An occurrence
that is not what it is in the claim, that reads something else or is called for other rows, gets a path of its own;
all others are those of the claim, and computed with them once.

What a part leaves behind:

- a component: its readers read r there. The others of its site stay as they are; a site without any is dropped, with
  all below it. A component that was dropped stays on r where it is passed through, as a claimed one does;
- an edge: the channel reads r there. A parent that no channel reads any more is dropped for this reader;
- a value: donors come from all rows of the stratum, wherever the variable is read. Members of a `together` group keep
  their common donor, which still agrees with the calling row on the others; an edge that is dropped takes a read away
  and no agreement.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.claims.parts import ClaimPart
from scrub.claims.values import digest
from scrub.engine.unroll import Occurrence


def without(tree: Occurrence, parts: frozenset[ClaimPart]) -> Occurrence:
    """The tree of a claim without some of its parts."""
    return _Change(parts, f" without {_text(parts)}").of(tree)


def _text(parts: frozenset[ClaimPart]) -> str:
    """Tells sets of parts apart, in a few letters."""
    return digest(sorted((part.kind, str(part), part.variable, part.where) for part in parts), size=8)


@frozen
class _Change:
    """`mark` is added to the paths of what is changed."""

    parts: frozenset[ClaimPart]
    mark: str

    def of(self, node: Occurrence, moved: bool = False) -> Occurrence:
        """An occurrence with what is left below it; `moved` where it is called for other rows than in the claim."""
        children = tuple(self._left(node, moved))
        if not moved and children == node.children:
            return node
        return evolve(node, children=children, path=node.path + self.mark)

    def _left(self, node: Occurrence, moved: bool) -> Iterator[Occurrence]:
        """What an occurrence still reads."""
        for child in node.children:
            edges = {c: ClaimPart(node.variable, node.placed, None, c, child.variable) for c in child.channels}
            channels = tuple(c for c, edge in edges.items() if edge not in self.parts)
            agree = tuple(name for name in child.agree if ClaimPart(name) not in self.parts)
            gone = {c for c in child.given if ClaimPart(child.variable, child.placed, c) in self.parts}
            if channels and len(gone) < len(child.given):
                yield _read(self._without(child, gone, moved or agree != child.agree), channels, agree, gone)

    def _without(self, child: Occurrence, gone: set[Component], moved: bool) -> Occurrence:
        """A child and all below it; of a linked site the mates read nothing of what is gone, which changes them."""
        found = self.of(child, moved)
        return evolve(found, path=child.path + self.mark) if gone and child.placed.site.is_linked else found


def _read(child: Occurrence, channels: tuple[str, ...], agree: tuple[str, ...], gone: set[Component]) -> Occurrence:
    """A child as its reader reads it: that is told at the child, and changes nothing of its value."""
    if (channels, agree) == (child.channels, child.agree) and not gone:
        return child
    return evolve(child, channels=channels, agree=agree, withheld=frozenset(gone))


def bare(tree: Occurrence) -> tuple[Occurrence, ...]:
    """Every site of a tree, reading r whole: what any claim without some of the parts may need besides."""
    found = {node.placed: node for node in tree.walk() if not node.leaf}
    return tuple(
        evolve(
            node, children=(), path=f"{node.path} bare",
            placed=evolve(placed, site=evolve(placed.site, is_linked=False)),
        )
        for placed, node in found.items()
    )  # fmt: skip
