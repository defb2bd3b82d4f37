"""What components have in common: finest components, or parts of one host that are not disjoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.part import disjoint


def shared_by(first: Sequence[Component], second: Sequence[Component], graph: ModelGraph) -> list[str]:
    """What components of two sites have in common, in words: a finest component, or two parts that meet."""
    mine, theirs = _by_atom(first, graph), _by_atom(second, graph)
    found = dict[str, None]()
    for atom in sorted(mine.keys() & theirs.keys()):
        found.update(dict.fromkeys(_met(atom, _pairs(mine[atom], theirs[atom]))))
    return list(found)


def met_within(components: Sequence[Component], graph: ModelGraph) -> list[str]:
    """The same of the components of one site."""
    found = dict[str, None]()
    for atom, mine in _by_atom(components, graph).items():
        if not all(c.traits.scalar for c in mine):  # neurons that are named twice were told of where they are read
            found.update(dict.fromkeys(_met(atom, combinations(sorted(mine), 2))))
    return list(found)


def parts_met(components: Iterable[Component], graph: ModelGraph) -> list[str]:
    """The same of parts and of their own hosts: a stream is none of what writes into it, nor a head of its query."""
    hosts: dict[Component, list[Component]] = {}
    for component in dict.fromkeys(components):
        hosts.setdefault(component.whole if component.traits.is_channel else component.host, []).append(component)
    found = dict[str, None]()
    for mine in hosts.values():
        if not all(c.traits.scalar for c in mine):
            found.update(dict.fromkeys(_met(mine[0].host, combinations(sorted(mine), 2))))
    return list(found)


def _by_atom(components: Iterable[Component], graph: ModelGraph) -> dict[Component, list[Component]]:
    """Components by the finest ones that they, or the hosts of parts, consist of."""
    found: dict[Component, list[Component]] = {}
    for component in components:
        for atom in graph.atoms(component.whole if component.traits.is_channel else component.host):
            found.setdefault(atom, []).append(component)
    return found


def _pairs(first: list[Component], second: list[Component]) -> Iterable[tuple[Component, Component]]:
    if all(c.traits.scalar for c in (*first, *second)):
        return [(c, c) for c in sorted({*first} & {*second})]
    return product(first, second)


def _met(atom: Component, pairs: Iterable[tuple[Component, Component]]) -> Iterator[str]:
    for a, b in pairs:
        if not a.is_part and not b.is_part:
            yield str(atom)
        elif a == b:
            yield str(a)
        elif not _disjoint(a, b):
            yield f"{a} and {b}"


def _disjoint(a: Component, b: Component) -> bool:
    """Whether two parts, of hosts that have something in common, have nothing in common themselves."""
    if a.traits.scalar and b.traits.scalar:
        return a != b
    return a.whole == b.whole and a.part is not None and b.part is not None and disjoint(a.part, b.part)
