"""Which activations of the rows a program asks for: the row cache keeps these and nothing else.

A `resid` is known by the moment at which it is read: `resid_pre` of layer l at 2l, `resid_mid` at 2l + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.plan import Input, Leaf, Program, Shape, Stream

Kind = tuple[str, int]  # ("resid", time) or ("embed" | "pos" | "q" | "k" | "v" | "z" | "mlp_out", layer)


@frozen
class Need:
    """Arrays by kind: at which slots (None: at every position), and of which heads (empty: it has none)."""

    slots: dict[Kind, set[Slot | None]] = field(factory=dict[Kind, "set[Slot | None]"])
    heads: dict[Kind, set[int]] = field(factory=dict[Kind, "set[int]"])

    def add(self, kind: Kind, slot: Slot | None, heads: Iterable[int] = ()) -> None:
        self.slots.setdefault(kind, set()).add(None if slot == ALL else slot)
        self.heads.setdefault(kind, set()).update(heads)

    def whole(self, kind: Kind) -> bool:
        return None in self.slots[kind]

    def merge(self, other: Need) -> None:
        for kind, slots in other.slots.items():
            for slot in slots:
                self.add(kind, slot, other.heads[kind])


def needs(claim: Claim, program: Program) -> tuple[Need, Need]:
    """What is needed of the rows on which leaves are computed, and of the frames (rows, or mean and zero rows)."""
    graph = claim.graph
    assert isinstance(graph, TransformerGraph)
    leaves, frames = Need(), Need()
    for number, step in enumerate(program.steps):
        if isinstance(step, Leaf):
            for component in step.components:
                for slot in step.slots:
                    add_written(leaves, graph, component, slot)
        elif isinstance(step, Stream):
            _stream(frames, claim, graph, step, program.times.get(number, ()), program.dense)
        else:
            _shape(frames, claim, graph, step, program.dense)
    return leaves, frames


def written_kind(component: Component) -> Kind:
    """The array that holds what a component writes: a head's is its z."""
    layer = component.layer or 0
    match component.kind:
        case "head" | "attn":
            return "z", layer
        case "mlp":
            return "mlp_out", layer
        case "resid":
            return "resid", 2 * layer
        case kind:
            return kind, 0


def add_written(need: Need, graph: TransformerGraph, component: Component, slot: Slot | None) -> None:
    """What a component writes at a slot."""
    heads = {"head": (component.head or 0,), "attn": range(graph.shape.n_heads)}.get(component.kind, ())
    need.add(written_kind(component), slot, heads)


def passed_mlps(claim: Claim, graph: TransformerGraph, until: int) -> dict[int, int]:
    """Layers whose MLP is passed through and writes before a moment, by the moment at which it reads."""
    found = [c for c in sorted(claim.passed) if c.kind == "mlp" and graph.written(c) < until]
    return {graph.read(c): c.layer or 0 for c in found}


def passed_heads(claim: Claim, until: int) -> dict[int, list[int]]:
    """Passed-through heads by layer, those that write before a moment."""
    found: dict[int, list[int]] = {}
    for c in sorted(claim.passed):
        if c.kind == "head" and 2 * (c.layer or 0) < until:
            found.setdefault(c.layer or 0, []).append(c.head or 0)
    return found


def _stream(
    need: Need, claim: Claim, graph: TransformerGraph, step: Stream, times: tuple[int, ...], dense: bool
) -> None:
    slot = None if dense else step.slot
    for time in times:
        need.add(("resid", time), slot)
    for landing in step.landings:
        add_written(need, graph, landing.component, landing.slot)
    until = max(times, default=0)
    for time, layer in passed_mlps(claim, graph, until).items():
        need.add(("resid", time), slot)
        need.add(("mlp_out", layer), slot)
    for layer, heads in passed_heads(claim, until).items():
        need.add(("resid", 2 * layer), None)
        need.add(("z", layer), None, heads)


def _shape(need: Need, claim: Claim, graph: TransformerGraph, step: Shape, dense: bool) -> None:
    for i in step.inputs:
        for component in i.components:
            for slot in _unseen(step, i, dense):
                _read(need, claim, graph, component, i.channel, slot)


def _unseen(step: Shape, i: Input, dense: bool) -> Iterator[Slot | None]:
    """The slots at which an input reads its frame as it is; keys and values do so at every position."""
    seen = {slot for slot, _ in i.streams}
    if None in seen:
        return
    if i.channel in ("k", "v"):
        yield None
    else:
        yield from (slot for slot in step.slots if slot not in seen)


def _read(
    need: Need, claim: Claim, graph: TransformerGraph, component: Component, channel: str, slot: Slot | None
) -> None:
    layer, shape = component.layer or 0, graph.shape
    if component.kind in ("head", "attn"):
        heads = [component.head or 0] if component.kind == "head" else list(range(shape.n_heads))
        if channel != "q":
            heads = sorted({head * shape.n_kv_heads // shape.n_heads for head in heads})
        need.add((channel, layer), slot, heads)
    elif component.kind in ("resid", "logits") or (component.kind == "mlp" and claim.options.pseudo):
        need.add(("resid", graph.read(component)), slot)
    else:
        add_written(need, graph, component, slot)
