"""Paths through a model, and the copies of components that carry their values.

`7.3 @ S2 ~mlps~> 9.9.q @ END ~all~> logits`: what 7.3 writes at S2 goes, past MLPs, into the queries of 9.9; what
9.9 then writes at END goes, through everything, to the logits. `->` is a direct read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Int

from scrub.anatomy.edges import Edge, Node, channel_name, parse_part
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot, split_place
from scrub.circuit.circuit import absent
from scrub.circuit.ends import read_by
from scrub.circuit.universe import Graph
from scrub.circuit.wiring import Column, Copy, Entry, Outside, Where, Wirer, Wiring, finished
from scrub.claims.dataset import Dataset
from scrub.errors import ClaimError, some

_ARROW = re.compile(r"\s*(->|~[^~>]*~>)\s*")


@frozen(cache_hash=True)
class Hop:
    """A step into a channel, past the components it may pass through; `at` is where the receiver's value counts."""

    receiver: Component
    channel: str
    through: tuple[str, ...] = ()
    at: Slot | None = None

    def __str__(self) -> str:
        arrow = f"~{', '.join(self.through)}~>" if self.through else "->"
        return f"{arrow} {channel_name(self.receiver, self.channel)}" + (f" @ {self.at}" if self.at else "")


@frozen(cache_hash=True)
class Path:
    """A sender, and the hops that its value takes to the output."""

    sender: Node
    hops: tuple[Hop, ...]

    def __str__(self) -> str:
        return " ".join(map(str, (self.sender, *self.hops)))


@frozen(cache_hash=True)
class Passing:
    """A path on its way through some components: it ends in every channel of each of them that it reaches."""

    before: Path
    through: tuple[str, ...]


class TooLate(ClaimError):
    """A path whose first hop does not read the sender; all else is right."""


Tails = frozenset[Path | Passing]


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
    last = split_place(names[0])[0]
    for arrow, name in zip(arrows, names[1:], strict=True):
        words = () if arrow == "->" else tuple(w.strip() for w in arrow[1:-2].split(",") if w.strip())
        body, place = split_place(name)
        steps = parse_part(f"{last} -> {body}" + (f" @ {place}" if place else ""), graph)
        hops = [h for step in steps if isinstance(step, Edge) for h in _hops(step, words, graph)]
        found = [Path(path.sender, (*path.hops, hop)) for path in found for hop in hops]
        last = re.sub(r"\.[qkv]$|<[qkv]>$", "", body)
    problems = [problem for path in found for problem in _problems(path, graph)]
    if problems:
        late = all(isinstance(problem, TooLate) for problem in problems)
        raise (TooLate if late else ClaimError)("\n".join(dict.fromkeys(map(str, problems))))
    return tuple(found)


def _hops(edge: Edge, words: tuple[str, ...], graph: Graph) -> list[Hop]:
    if not graph.sequence and not graph.has(edge.receiver):
        raise ClaimError(absent(edge.receiver, graph))
    atoms = sorted(graph.atoms(edge.receiver)) if edge.receiver.traits.attends else [edge.receiver]
    channels = graph.channels(edge.receiver) if words and not graph.sequence else (edge.channel,)
    return [Hop(receiver, channel, words, edge.at) for receiver in atoms for channel in channels]


def _problems(path: Path, graph: Graph) -> list[ClaimError]:
    found: list[ClaimError] = []
    sender = path.sender.component
    if inner := [hop.receiver for hop in path.hops if hop.receiver.is_part]:
        found.append(ClaimError(f"{path}: paths begin at parts, and lead through whole ones: name {inner[0].host}."))
    for hop in path.hops:
        missing = [c for c in (sender, hop.receiver) if not graph.has(c)]
        if missing:
            return [*found, ClaimError(f"{path}: {absent(missing[0], graph)}")]
        if not _reaches(sender, hop, graph):
            reads = channel_name(hop.receiver, hop.channel)
            past = f", neither directly nor through {', '.join(hop.through)}" if hop.through else " directly"
            way = f"; {read_by(sender)}" if sender.traits.is_channel else ""
            wrong = TooLate if hop is path.hops[0] else ClaimError
            found.append(wrong(f"{path}: {reads} does not read {sender}{past}{way}."))
        sender = hop.receiver
    if not graph.is_output(sender):
        output = "logits" if graph.sequence else "the output node"
        good = f"'-> {output}', or '~all~> {output}' for everything downstream"
        found.append(ClaimError(f"{path} does not end at the output: add {good}."))
    return found


def _reaches(sender: Component, hop: Hop, graph: Graph) -> bool:
    """Whether a hop reads a sender, directly or through what it passes."""
    passed = graph.passed(hop.through)
    if graph.feeds(sender, hop.receiver, hop.channel):
        return True
    if sender.traits.is_channel:  # its head alone reads it
        return sender.host in passed and graph.feeds(sender.host, hop.receiver, hop.channel)
    carried = any(graph.feeds(sender, c, channel) for c in passed for channel in graph.channels(c))
    return carried and not graph.sequence  # an argument reads one node alone


def wire_paths(graph: Graph, paths: Iterable[Path], output: Component) -> Wiring:
    """The copies that carry exactly these paths, and no others.

    A component has one value for each set of *tails*, the beginnings of paths that end in it. A hop that passes
    through P stands for all its ways by members of P: its tail also ends in every channel of each member.
    """
    listed = frozenset(paths)
    passed = {hop.through: graph.passed(hop.through) for path in listed for hop in path.hops}
    wirer = Wirer.of(graph, (), fixed=True)
    known: dict[tuple[Component, Tails], int | None] = {}

    def value(component: Component, tails: Tails) -> int | None:
        """The copy of a component that some tails make; a sender's value is given whole."""
        if (component, tails) not in known:
            leaf = any(isinstance(tail, Path) and not tail.hops for tail in tails)
            reads = () if leaf else tuple((c, column(component, c, tails)) for c in graph.channels(component))
            known[component, tails] = wirer.copy(Copy(component, reads, leaf))
        return known[component, tails]

    def column(reader: Component, channel: str, tails: Tails) -> Column:
        ends = _ends(graph, reader, channel, tails, passed)
        found: set[Entry] = set()
        for component, places in ends.items():
            anywhere = frozenset(places.pop(None, ()))
            slots: Where = Outside(frozenset(slot for slot in places if slot is not None)) if places else None
            cases: list[tuple[Tails, Where]] = [(anywhere, slots)] if anywhere else []
            cases += [(anywhere | some, slot) for slot, some in places.items()]
            numbers = [(value(component, some), where) for some, where in cases]
            found |= {(number, where) for number, where in numbers if number is not None}
        return frozenset(found)

    final = tuple((channel, column(output, channel, listed)) for channel in graph.channels(output))
    return finished(wirer, final)


def _ends(
    graph: Graph,
    reader: Component,
    channel: str,
    tails: Tails,
    passed: Mapping[tuple[str, ...], frozenset[Component]],
) -> dict[Component, dict[Slot | None, set[Path | Passing]]]:
    """What a channel reads when some tails end in it: components, where, and the tails that end in these."""
    found: dict[Component, dict[Slot | None, set[Path | Passing]]] = {}
    for tail in tails:
        if isinstance(tail, Passing):
            onward = tail
        elif tail.hops[-1].channel == channel:
            onward = Passing(evolve(tail, hops=tail.hops[:-1]), tail.hops[-1].through)
        else:
            continue
        before = onward.before
        sender = (before.sender.component, before.sender.at)
        component, at = (before.hops[-1].receiver, before.hops[-1].at) if before.hops else sender
        if graph.feeds(component, reader, channel):
            found.setdefault(component, {}).setdefault(at, set()).add(before)
        for inner in passed[onward.through]:
            if graph.feeds(inner, reader, channel):
                found.setdefault(inner, {}).setdefault(None, set()).add(onward)
    return found


def coinciding(paths: Iterable[Path], data: Dataset, rows: Int[np.ndarray, " n"]) -> list[str]:
    """Components that paths name at two positions which are the same in some rows.

    There a computed value would count twice, and a sweep's ablated values would depend on what else is swept.
    """
    named: dict[Component, set[Slot]] = {}
    for path in paths:
        for component, at in ((path.sender.component, path.sender.at), *((h.receiver, h.at) for h in path.hops)):
            named.setdefault(component, set()).update([at] if at else [])
    found = list[str]()
    for component, slots in named.items():
        for one, other in combinations(sorted(slots), 2):
            index = data.locate(one)[rows]
            same = rows[(index == data.locate(other)[rows]) & (index >= 0)]
            if same.size:
                both = f"{component} @ {one} and {component} @ {other}"
                found.append(f"{both} are the same position in rows {some(np.sort(same).tolist())}")
    return found


def paths_of(text: str | Iterable[str] | Iterable[Path], graph: Graph) -> tuple[Path, ...]:
    """Paths from text (separated by semicolons or lines), a list of texts, or paths themselves. Raises ClaimError."""
    pieces = [p for p in re.split(r"[;\n]", text) if p.strip()] if isinstance(text, str) else list(text)
    if not pieces:
        raise ClaimError("no paths are given: write at least one, such as '9.9 -> logits'.")
    return tuple(p for piece in pieces for p in ([piece] if isinstance(piece, Path) else parse_path(piece, graph)))


def senders_in(paths: Sequence[Path]) -> set[Component]:
    """What paths begin at."""
    return {path.sender.component for path in paths}


def without_heads(paths: Sequence[Path]) -> object:
    """The paths with the one head that sends forgotten: heads of one layer are read, and patched, alike."""
    senders = senders_in(paths)
    if len(senders) > 1 or not all(c.traits.is_head for c in senders):
        return frozenset(paths)
    return frozenset(evolve(p, sender=evolve(p.sender, component=evolve(p.sender.component, unit=-1))) for p in paths)
