"""How large a claim is when it is unrolled to a tree, counted without unrolling it.

A variable is sampled once for each of its readers, so that a story of a few dozen variables can unroll to more
occurrences than there are atoms. From each variable's count follow those of its readers.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
from attrs import frozen

from scrub.claims.placement import Placement
from scrub.claims.problems import Problem

MOST_OCCURRENCES = 100_000
DEEPEST = 200  # occurrences one above the other; a transformer of 100 layers has fewer


@frozen
class Size:
    """Occurrences of the unrolled tree, and the longest chain of them from the answer down."""

    occurrences: int
    depth: int


def size_of(placement: Placement) -> Size:
    """The size of a placement without problems."""
    edges = [(parent, p.name) for p in placement.placed.values() for s in p.sites for parent in s.parents()]
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    graph.add_nodes_from(placement.placed)
    found: dict[str, Size] = {}
    for name in nx.topological_sort(graph):
        sites = [[found[parent] for parent in site.parents()] for site in placement.placed[name].sites]
        depth = 1 + max((parent.depth for parents in sites for parent in parents), default=0)
        found[name] = Size(sum(1 + sum(p.occurrences for p in parents) for parents in sites), depth)
    return found[placement.output]


def too_large(placement: Placement) -> Iterator[Problem]:
    """A claim that nobody could test: told before anything is unrolled."""
    size = size_of(placement)
    if size.occurrences > MOST_OCCURRENCES:
        found = f"the claim unrolls to {_count(size.occurrences)} occurrences, more than {MOST_OCCURRENCES:,}."
        yield Problem(found, "A variable occurs once for each reader: let some be inside, or be read by fewer.")
    elif size.depth > DEEPEST:
        found = f"the claim has a chain of {size.depth:,} variables, longer than {DEEPEST}."
        yield Problem(found, "Let some of them be inside (computed inside their readers).")


def _count(number: int) -> str:
    digits = int(number.bit_length() * 0.30103)  # as many as may not be printed
    return f"{number:,}" if digits < 12 else f"about 10^{digits}"
