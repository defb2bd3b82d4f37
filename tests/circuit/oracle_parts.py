"""The oracle's words for parts in circuits, from docs/circuits.md alone: slow, one row and one position at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import evolve
from torch import Tensor

from circuit.oracle import EMBED, POS, OnTransformer, Values, by_components, by_edges, embedded, own_run
from reference_models import _head as attended
from reference_models import before_rotary, entering
from reference_parts import code_of
from scrub.anatomy.names import LOGITS, Component
from scrub.anatomy.transformer import TransformerGraph
from scrub.model.layers import angled, mlp, norm
from scrub.model.weights import Mlp, Transformer

Named = Callable[[Component, int], bool]
SUM = "sum of neurons"


class WithParts(OnTransformer):
    """A transformer in which parts of hosts stand: of writers beside these, of sums where they are read."""

    def __init__(self, model: Transformer, parts: Sequence[Component]) -> None:
        super().__init__(model)
        self.parts, self.graph = parts, TransformerGraph("tiny", model.shape)
        self.sums = [part for part in parts if part.kind in ("resid", "attn")]
        for part in self.sums:
            # in the order of the model: a stream before the heads that read it, attention behind its heads
            later = [c for c in self.computed if c == LOGITS or self.graph.written(c) > self.graph.written(part)]
            self.computed.insert(self.computed.index(later[0]), part)

    def channels(self, component: Component) -> tuple[str, ...]:
        return ("input",) if component.is_part else super().channels(component)

    def reads(self, reader: Component, writer: Component) -> bool:
        if reader in self.sums and reader.kind == "attn":
            return writer.kind == "head" and writer.layer == reader.layer
        if reader in self.sums:  # streams before it, and what these were changed by
            return writer != LOGITS and (writer.layer or 0) < (reader.layer or 0)
        if writer in self.sums:
            return self.graph.feeds(writer, reader, "q" if reader.kind == "head" else "input")
        return super().reads(reader, writer)

    def senders(self, component: Component, channel: str) -> list[Component]:
        found = super().senders(component, channel)
        return found[1 + (self.model.W_pos is not None) :] if component.kind == "attn" else found

    def numbers(self, part: Component, written: Tensor, stream: Tensor | None) -> Tensor:
        """What a part is, given what its host writes and the stream that it reads."""
        block = self.model.blocks[min(part.layer or 0, len(self.model.blocks) - 1)]
        if part.kind == "neuron":
            assert stream is not None
            return mlp(one_neuron(self.model, part), stream if block.ln2 is None else norm(block.ln2, stream))
        if is_channel(part):
            assert stream is not None
            return code_of(part).encode(before_rotary(block, part.kind, part.unit or 0, stream))
        return code_of(part).encode(written)

    def written(self, part: Component, numbers: Tensor) -> Tensor:
        return numbers if part.kind == "neuron" else code_of(part).write(numbers)


def is_channel(component: Component) -> bool:
    return component.kind in ("q", "k", "v")


def one_neuron(model: Transformer, part: Component) -> Mlp:
    """An MLP that has one neuron, which is known by what it writes."""
    whole = model.blocks[part.layer or 0].mlp
    assert isinstance(whole, Mlp)
    alone = torch.zeros_like(whole.W_out)
    alone[part.unit or 0] = whole.W_out[part.unit or 0]
    return evolve(whole, W_out=alone, b_out=None)


def run_with_parts(parts: Sequence[Component]) -> Callable[..., tuple[Values, Tensor]]:
    """The model's own run, with what every part of a writer is, and every MLP before a norm of it."""

    def run(model: Transformer, tokens: Sequence[int]) -> tuple[Values, Tensor]:
        values, logits = own_run(model, tokens)
        world = WithParts(model, [p for p in parts if p.kind not in ("resid", "attn")])
        found = dict(values)
        for part in world.parts:
            host = part.host
            before = {c: values[c] for c in world.senders(host, "input")} if host.kind in ("mlp", "head") else {}
            reads = world.stream(before) if before else None
            found[part] = world.numbers(part, values[host], reads)
            if part.kind == "neuron" and reads is not None:
                found[Component.for_node(f"{SUM} {host}")] = _summed(model, host, reads)
        return found, logits

    return run


def _summed(model: Transformer, host: Component, stream: Tensor) -> Tensor:
    block = model.blocks[host.layer or 0]
    assert block.mlp is not None
    return mlp(block.mlp, stream if block.ln2 is None else norm(block.ln2, stream))


def run_parts(
    model: Transformer, tokens: Sequence[int], sides: tuple[Values, Values], named: Named, parts: Sequence[Component],
    knocked_out: bool,
) -> Tensor:  # fmt: skip
    """Logits `[t, v]`: what is named is live and all else frozen, or (`knocked_out`) the other way round."""
    base, frozen = sides
    world = WithParts(model, parts)
    inputs = {c: base[c] for c in embedded(model, tokens)}
    whole = by_components(OnTransformer(model), inputs, {}, lambda c, t: True)
    values: Values = {}
    fresh: Values = {}

    def live(c: Component, t: int) -> bool:
        return named(c, t) != knocked_out

    for component in [*inputs, *world.computed]:
        reads = {s: values[s] for s in world.senders(component, "input")} if component not in inputs else {}
        if component in world.sums:
            wanted, now = _sum(world, component, reads, fresh, frozen if knocked_out else whole, knocked_out)
            code = code_of(component)
            moved = code.write(code.encode(wanted) - code.encode(now))
            values[component] = torch.stack([m if named(component, t) else 0 * m for t, m in enumerate(moved)])
            continue
        by_channel = {ch: reads for ch in world.channels(component)}
        fresh[component] = inputs[component] if component in inputs else world.compute(component, by_channel)
        stream = world.stream(reads) if component.kind == "mlp" else None
        if component == LOGITS:
            return fresh[component]
        rows = [
            _at(world, component, t, (fresh[component], stream), frozen, live, named, knocked_out)
            for t in range(len(tokens))
        ]
        values[component] = torch.stack(rows)
    raise AssertionError


def _sum(
    world: WithParts, part: Component, reads: Values, fresh: Values, whole: Values, knocked_out: bool
) -> tuple[Tensor, Tensor]:
    """What a stream, or attention of a layer, should be along a part of it, and what it is."""
    if part.kind == "resid":
        return world.stream({c: whole[c] for c in reads if not c.is_part}), world.stream(reads)
    block, heads = world.model.blocks[part.layer or 0], [c for c in reads if c.kind == "head"]
    side = whole if knocked_out else fresh
    wanted, now = (torch.stack([values[c] for c in heads]).sum(0) for values in (side, reads))
    return entering(block, wanted), entering(block, now)


def _at(
    world: WithParts, host: Component, t: int, computed: tuple[Tensor, Tensor | None], frozen: Values, live: Named,
    named: Named, knocked_out: bool,
) -> Tensor:  # fmt: skip
    """What a host writes at one position."""
    fresh, stream = computed
    base = fresh[t] if live(host, t) else frozen[host][t]
    own = [p for p in world.parts if p.host == host and p not in world.sums]
    parts = [p for p in own if named(p, t) and live(host, t) == knocked_out]
    change = torch.zeros_like(base)
    for part in parts:
        new, old = world.numbers(part, fresh, stream)[t], frozen[part][t]
        change = change + (-1 if knocked_out else 1) * world.written(part, new - old)
    block = world.model.blocks[min(host.layer or 0, len(world.model.blocks) - 1)]
    if host.kind == "mlp" and block.post_mlp is not None and any(part.kind == "neuron" for part in parts):
        assert stream is not None
        summed = frozen[Component.for_node(f"{SUM} {host}")][t] if knocked_out is False else None
        summed = _summed(world.model, host, stream)[t] if summed is None else summed
        return norm(block.post_mlp, summed + change)
    return base + change


class ApartOnEdges(OnTransformer):
    """Parts send and receive for themselves; `rests` says that their hosts are what these leave.

    A part of a stream, or of attention of a layer, is a component that sums what its own edges bring. Where it is
    read, what else is read has nothing along it. So it is of a query, key or value: what its head makes of a stream
    is along it what it is.
    """

    def __init__(self, model: Transformer, parts: Sequence[Component], frozen: Values, rests: bool) -> None:
        super().__init__(model)
        self.parts, self.frozen, self.rests = WithParts(model, parts), frozen, rests
        self.live: Callable[..., bool] = lambda *_: True
        normed = {part.host for part in parts if part.kind == "neuron"}
        self.normed = {host for host in normed if model.blocks[host.layer or 0].post_mlp is not None}
        for part in parts:
            if part.host in self.computed:
                self.computed.insert(self.computed.index(part.host) + (not is_channel(part)), part)
        for part in self.parts.sums:
            later = [c for c in self.computed if self.reads(c, part)]
            self.computed.insert(self.computed.index(later[0]), part)

    def channels(self, component: Component) -> tuple[str, ...]:
        if is_channel(component):
            return ("input",)
        return ("q", "k", "v") if component.kind == "attn" else super().channels(component.host)

    def reads(self, reader: Component, writer: Component) -> bool:
        if is_channel(writer):
            return False
        if LOGITS in (reader, writer):
            return writer != LOGITS
        before, at = writer.layer or 0, reader.layer or 0
        if writer.kind == "resid":
            return before < at or (before == at and reader.kind != "resid")
        if "resid" in (reader.kind, writer.kind) or before < at:
            return before < at
        return super().reads(reader.host, Component.for_head(before, 0) if writer.kind == "attn" else writer.host)

    def senders(self, component: Component, channel: str) -> list[Component]:
        found = super().senders(component, channel) + [p for p in self.parts.parts if p.host == EMBED]
        if component.kind != "head":
            return found
        return found + [p for p in self.parts.parts if p.kind == channel and p.host == component.host]

    def compute(self, component: Component, reads: dict[str, Values]) -> Tensor:
        host, own = (
            component.host,
            {c: {p: v for p, v in values.items() if is_channel(p)} for c, values in reads.items()},
        )
        reads = {c: {w: v for w, v in values.items() if not is_channel(w)} for c, values in reads.items()}
        reads = {c: self.alone(component, c, values) for c, values in reads.items()}
        if is_channel(component):
            return self.parts.numbers(component, self.model.W_E, self.stream(reads["input"]))
        if host.kind == "resid":
            return self.moved(component, self.stream(reads["input"]), self.stream(self.still(reads["input"])))
        if host.kind == "attn":
            heads = [c for c in self.computed if c.kind == "head" and c.layer == host.layer and not c.is_part]
            made = [super(ApartOnEdges, self).compute(c, reads) for c in heads]
            block, old = self.model.blocks[host.layer or 0], [self.frozen[c] for c in heads]
            return self.moved(component, *(entering(block, torch.stack(side).sum(0)) for side in (made, old)))
        made = self.head(component, reads, own) if any(own.values()) else super().compute(host, reads)
        stream = self.stream(reads["input"]) if host.kind == "mlp" else None
        return self.of(component, made, stream)

    def head(self, reader: Component, reads: dict[str, Values], own: dict[str, Values]) -> Tensor:
        """What a head writes whose queries, keys or values are along parts of these what the parts are."""
        block, made = self.model.blocks[reader.layer or 0], dict[str, Tensor]()
        for channel, values in reads.items():
            found = before_rotary(block, channel, reader.unit or 0, self.stream(values))
            for part, numbers in own[channel].items():
                for t, x in enumerate(found.clone()):
                    if self.rests or self.live(part, reader, channel, t):
                        found[t] = x + self.moved(part, numbers[t], x, encoded=True)
            made[channel] = angled(block.attn, channel, found[:, None], torch.arange(len(found)))[:, 0]
        return attended(block, reader.unit or 0, made)

    def alone(self, reader: Component, channel: str, values: Values) -> Values:
        """What a channel reads, where parts of sums that it reads are what they are, whatever else is read."""
        found = dict(values)
        for part in [c for c in self.computed if c in self.parts.sums and c in values]:
            beside = {c: value for c, value in found.items() if self.summand(part, c)}
            read = [self.stream(beside), self.stream(self.still(beside))] if beside else [values[part]] * 2
            cleared = self.moved(part, *read)
            there = [self.rests or self.live(part, reader, channel, t) for t in range(len(cleared))]
            found[part] = values[part] - cleared * torch.tensor(there)[:, None]
        return found

    def summand(self, part: Component, writer: Component) -> bool:
        if part.kind == "attn":
            return writer.kind == "head" and writer.layer == part.layer
        return writer in (EMBED, POS) or writer.host == EMBED or self.reads(part, writer)

    def still(self, values: Values) -> Values:
        """The same senders as they are frozen; parts are known by what they write beyond that."""
        return {c: v + float("nan") if self.unread(c) else self.old(c, v) for c, v in values.items()}

    def old(self, component: Component, value: Tensor) -> Tensor:
        return torch.zeros_like(value) if component.is_part else self.frozen[component]

    def unread(self, component: Component) -> bool:
        """Whether it is no number where it is not read: what enters then is the frozen MLP, whatever a norm makes."""
        return component.host in self.normed and (self.rests or component.is_part)

    def entered(self, host: Component, values: Values) -> Values:
        """The same with an MLP normed with what is read of its neurons, and, as `rests`, of what they leave."""
        block, summed = self.model.blocks[host.layer or 0], self.frozen[Component.for_node(f"{SUM} {host}")]
        neurons = [c for c in values if c.kind == "neuron" and c.host == host]
        made = list[Tensor]()
        for t, frozen in enumerate(self.frozen[host]):
            read = [values[c][t] for c in neurons if not values[c][t].isnan().any()]
            if self.rests and not values[host][t].isnan().any():
                read.append(values[host][t] - summed[t])
            entering = norm(block.post_mlp, summed[t] + sum(read)) if read and block.post_mlp else frozen
            made.append(entering if self.rests else entering + values[host][t] - frozen)
        return {**{c: value for c, value in values.items() if c not in neurons}, host: torch.stack(made)}

    def moved(self, part: Component, new: Tensor, old: Tensor, encoded: bool = False) -> Tensor:
        code = code_of(part)
        return code.write((new if encoded else code.encode(new)) - code.encode(old))

    def of(self, component: Component, made: Tensor, stream: Tensor | None) -> Tensor:
        """What a part writes beyond its frozen value, or a host (without its parts, where these stand apart)."""

        def moved(part: Component) -> Tensor:
            return self.parts.written(part, self.parts.numbers(part, made, stream) - self.frozen[part])

        if component.is_part:
            return moved(component)
        if component in self.normed and self.rests:
            assert stream is not None
            made = _summed(self.model, component, stream)
        own = [part for part in self.parts.parts if part.host == component and not is_channel(part)]
        own = own if self.rests else []
        return made - sum(moved(part) for part in own)

    def stream(self, values: Values) -> Tensor:
        """As of whole components; of heads alone what attention adds."""
        for host in self.normed & values.keys():
            values = self.entered(host, values)
        given = {c: value for c, value in values.items() if c.kind != "head"}
        if given:
            return super().stream(values)
        return super().stream({EMBED: torch.zeros_like(next(iter(values.values()))), **values})


def run_part_edges(world: ApartOnEdges, tokens: Sequence[int], base: Values, live: Callable[..., bool]) -> Tensor:
    """Logits `[t, v]` of a circuit of edges; `live` takes sender, receiver, channel and position."""
    world.live = live
    start = {c: world.of(c, base[c], None) for c in embedded(world.model, tokens)}
    start |= {part: world.of(part, base[EMBED], None) for part in world.parts.parts if part.host == EMBED}
    written = [part for part in world.parts.parts if not is_channel(part)]
    frozen = {**world.frozen, **{part: torch.zeros_like(base[EMBED]) for part in written}}
    frozen |= {c: value + float("nan") for c, value in frozen.items() if world.unread(c)}
    return by_edges(world, start, frozen, live, frozenset())[LOGITS]
