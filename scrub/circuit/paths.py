"""Paths through a model, and the copies of components that carry their values.

`7.3 @ S2 ~mlps~> 9.9.q @ END ~all~> logits`: what 7.3 writes at S2 goes, past MLPs, into the queries of 9.9; what
9.9 then writes at END goes, through everything, to the logits. `->` is a direct read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import evolve, frozen

from scrub.circuit.circuit import Circuit
from scrub.circuit.parts import Edge, Node, channel_name, parse_part
from scrub.circuit.universe import Graph
from scrub.circuit.wiring import Column, Copy, Entry, Wirer, Wiring, finished
from scrub.claims.names import Component
from scrub.claims.positions import Slot
from scrub.errors import ClaimError

_ARROW = re.compile(r"\s*(->|~[^~>]*~>)\s*")


@frozen
class Hop:
    """A step into a channel, past the components it may pass through; `at` is where the receiver's value counts."""

    receiver: Component
    channel: str
    through: tuple[str, ...] = ()
    at: Slot | None = None

    def __str__(self) -> str:
        arrow = f"~{', '.join(self.through)}~>" if self.through else "->"
        return f"{arrow} {channel_name(self.receiver, self.channel)}" + (f" @ {self.at}" if self.at else "")


@frozen
class Path:
    """A sender, and the hops that its value takes to the output."""

    sender: Node
    hops: tuple[Hop, ...]

    def __str__(self) -> str:
        return " ".join(map(str, (self.sender, *self.hops)))


def parse_path(text: str, graph: Graph) -> tuple[Path, ...]:
    """The path in `text`; a hop into a head without a channel, or into `attn l`, stands for several.

    Raises ClaimError for what is no path of the model: every problem at once.
    """
    pieces = _ARROW.split(text.strip())
    names, arrows = pieces[0::2], pieces[1::2]
    if not arrows or not all(names):
        raise ClaimError(
            f"{text!r} is no path: write 'sender -> receiver.channel -> logits', such as '9.9 -> logits'."
        )
    sender = parse_part(names[0], graph)
    found = [Path(node, ()) for node in sender if isinstance(node, Node)]
    last = names[0].partition("@")[0].strip()
    for arrow, name in zip(arrows, names[1:], strict=True):
        words = () if arrow == "->" else tuple(w.strip() for w in arrow[1:-2].split(",") if w.strip())
        body, _, place = name.partition("@")
        steps = parse_part(f"{last} -> {body}" + (f" @ {place}" if place else ""), graph)
        hops = [h for step in steps if isinstance(step, Edge) for h in _hops(step, words, graph)]
        found = [Path(path.sender, (*path.hops, hop)) for path in found for hop in hops]
        last = re.sub(r"\.[qkv]$|<[qkv]>$", "", body.strip())
    problems = [problem for path in found for problem in _problems(path, graph)]
    if problems:
        raise ClaimError("\n".join(dict.fromkeys(problems)))
    return tuple(found)


def _hops(edge: Edge, words: tuple[str, ...], graph: Graph) -> list[Hop]:
    atoms = sorted(graph.atoms(edge.receiver)) if edge.receiver.kind == "attn" else [edge.receiver]
    channels = graph.channels(edge.receiver) if words and edge.receiver.kind == "node" else (edge.channel,)
    return [Hop(receiver, channel, words, edge.at) for receiver in atoms for channel in channels]


def _problems(path: Path, graph: Graph) -> list[str]:
    found: list[str] = []
    sender = path.sender.component
    for hop in path.hops:
        missing = [c for c in (sender, hop.receiver) if not graph.has(c)]
        if missing:
            known, near = graph.missing(missing[0])
            return [
                *found,
                f"{path}: there is no {missing[0]}, {known}" + (f"; did you mean {near}?" if near else "."),
            ]
        passed = graph.passed(hop.through)
        direct = graph.feeds(sender, hop.receiver, hop.channel)
        carried = any(graph.feeds(sender, c, ch) for c in passed for ch in graph.channels(c))
        if not direct and not (carried and isinstance_graph(graph)):
            reads = channel_name(hop.receiver, hop.channel)
            found.append(
                f"{path}: {reads} does not read {sender}, neither directly nor through {hop.through or 'anything'}."
            )
        sender = hop.receiver
    if not graph.is_output(sender):
        found.append(
            f"{path} does not end at the output: add '-> logits', or '~all~> logits' for everything downstream."
        )
    return found


def isinstance_graph(graph: Graph) -> bool:
    """Whether an argument reads one node alone, so that a hop need not be a direct read."""
    return not graph.sequence


def wire_paths(graph: Graph, paths: Iterable[Path], output: Component) -> Wiring:
    """The copies that carry exactly these paths, and no others."""
    listed = frozenset(paths)
    passed = {hop.through: graph.passed(hop.through) for path in listed for hop in path.hops}
    wirer = Wirer.of(graph, frozenset[Component]().union(*passed.values()), fixed=True)
    known: dict[tuple[Component, frozenset[Path]], int | None] = {}

    def value(component: Component, arriving: frozenset[Path]) -> int | None:
        """The copy of a component that the paths ending in it make; a sender's value is given whole."""
        if (component, arriving) not in known:
            leaf = any(not path.hops for path in arriving)
            reads = () if leaf else tuple((c, column(component, c, arriving)) for c in graph.channels(component))
            known[component, arriving] = wirer.copy(Copy(component, reads, leaf))
        return known[component, arriving]

    def entries(arriving: frozenset[Path]) -> set[Entry]:
        """The copies whose values arrive by the last hops of some paths."""
        before: dict[tuple[Component, Slot | None], set[Path]] = {}
        for path in arriving:
            before.setdefault(_end(path), set()).add(evolve(path, hops=path.hops[:-1]))
        found = {(value(component, frozenset(some)), at) for (component, at), some in before.items()}
        return {(number, at) for number, at in found if number is not None}

    def column(reader: Component, channel: str, arriving: frozenset[Path]) -> Column:
        some = frozenset(path for path in arriving if path.hops[-1].channel == channel)
        return wirer.column(reader, channel, some, entries, lambda path: passed[path.hops[-1].through])

    final = tuple((channel, column(output, channel, listed)) for channel in graph.channels(output))
    return finished(wirer, final)


def _end(path: Path) -> tuple[Component, Slot | None]:
    """The component whose value the last hop carries, and the position where it counts."""
    if len(path.hops) == 1:
        return path.sender.component, path.sender.at
    return path.hops[-2].receiver, path.hops[-2].at


def paths_of(text: str | Iterable[str] | Iterable[Path], graph: Graph) -> tuple[Path, ...]:
    """Paths from text (separated by semicolons or lines), a list of texts, or paths themselves. Raises ClaimError."""
    pieces = [p for p in re.split(r"[;\n]", text) if p.strip()] if isinstance(text, str) else list(text)
    if not pieces:
        raise ClaimError("no paths are given: write at least one, such as '9.9 -> logits'.")
    return tuple(p for piece in pieces for p in ([piece] if isinstance(piece, Path) else parse_path(piece, graph)))


__all__ = ["Circuit", "Hop", "Path", "parse_path", "paths_of", "wire_paths"]
