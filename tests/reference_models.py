"""What the oracle knows of a transformer: its values on a row, a context with values placed in it, one component.

Dense and slow on purpose: every context is a whole forward pass over the frame, at every position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from reference_parts import code_of, parts_claimed, parts_of
from reference_worlds import Context, Frame, Values, index
from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.resolved import Claim
from scrub.model.layers import angled, kv_head, mlp, neurons, norm, unangled, unembed
from scrub.model.weights import Block, Mlp, Norm, Transformer

Streams = dict[tuple[str, int], Tensor]  # by kind of reader and layer; attention reads "resid"


class OnTransformer:
    """Writers are `[t, d]`; a channel reads the sum of all that is written before its layer."""

    def __init__(self, claim: Claim, model: Transformer) -> None:
        self.claim, self.model = claim, model
        self.plain: Callable[[int], dict[Component, Any]] = cache(self._plain)

    def _plain(self, row: int) -> dict[Component, Tensor]:
        tokens, model = torch.tensor(self.claim.data.rows[row].tokens), self.model
        embedded = {Component("embed"): model.W_E[tokens]}
        if model.W_pos is not None:
            embedded[Component("pos")] = model.W_pos[: len(tokens)]
        return Pass(self, Frame(row, embedded), {}, None).forward().writes

    def context(self, frame: Frame, given: Values) -> Context:
        """Parts of channels lie in no stream: they are put into what their heads read."""
        puts = {where: value for where, value in given.items() if where[0].traits.is_channel}
        own = Pass(self, frame, {}, None).forward()
        lying = {where: value for where, value in given.items() if where not in puts}
        return Pass(self, frame, lying, own).forward()._replace(puts=puts)

    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Tensor:
        if component in own.writes and component.kind in ("embed", "pos"):
            return own.writes[component]
        if component.part and component.kind in ("embed", "pos"):
            return own.writes[component]
        reads, puts = ({c: getattr(contexts.get(c, own), name) for c in "qkv"} for name in ("reads", "puts"))
        return self.output(component, *reads.values(), {c: (puts[c] or {}, contexts.get(c, own).row) for c in "qkv"})

    def output(self, component: Component, q: Streams, k: Streams, v: Streams, puts: Any = None) -> Tensor:
        """What a component writes at every position, `[t, d]`, from the streams that its channels read.

        A part is what its code reads of what its host writes.
        """
        kind, layer = component.kind, component.layer or 0
        if component.traits.scalar:
            m, stream, block = self.mlp(layer), q["mlp", layer], self.model.blocks[layer]
            return neurons(m, stream if block.ln2 is None else norm(block.ln2, stream))[:, [component.unit or 0]]
        if component.traits.is_channel:
            made = before_rotary(self.model.blocks[layer], kind, component.unit or 0, q["resid", layer])
            return code_of(component).encode(made)
        if component.part:
            whole = self.output(component.whole, q, k, v, puts)
            whole = entering(self.model.blocks[layer], whole) if kind == "attn" else whole
            return code_of(component).encode(whole)
        if kind == "logits":
            return unembed(self.model, q["resid", len(self.model.blocks)])
        if kind == "resid":
            return q["resid", layer]
        block = self.model.blocks[layer]
        if kind == "mlp":
            assert block.mlp is not None
            stream = q["mlp", layer]
            made = mlp(block.mlp, stream if block.ln2 is None else norm(block.ln2, stream))
            return made if block.post_mlp is None else norm(block.post_mlp, made)
        heads = range(len(block.attn.W_Q)) if kind == "attn" else [component.unit or 0]
        streams = {"q": q["resid", layer], "k": k["resid", layer], "v": v["resid", layer]}
        return _total(
            _head(block, h, {c: self.read(layer, h, c, x, puts) for c, x in streams.items()}) for h in heads
        )

    def mlp(self, layer: int) -> Mlp:
        found = self.model.blocks[layer].mlp
        assert isinstance(found, Mlp)
        return found

    def summed(self, layer: int, stream: Tensor) -> Tensor:
        """What the neurons of a layer write together, before a norm of that."""
        block = self.model.blocks[layer]
        assert block.mlp is not None
        return mlp(block.mlp, stream if block.ln2 is None else norm(block.ln2, stream))

    def read(self, layer: int, head: int, channel: str, x: Tensor, puts: Any) -> Tensor:
        """Queries, keys or values of a head, with what is put into them: the rest is what the head makes of x."""
        block = self.model.blocks[layer]
        found = before_rotary(block, channel, head, x)
        given, row = puts[channel] if puts else ({}, 0)
        for (part, slot), new in given.items():
            if slot is not None and part.kind == channel and part.host == Component("head", layer, head):
                at, code = index(self.claim, slot, row), code_of(part)
                found[at] = found[at] + code.write(new - code.encode(found[at]))
        return angled(block.attn, channel, found[:, None], torch.arange(len(x)))[:, 0]

    def held(self, component: Component, row: int) -> set[int]:
        """The positions of a row at which a site of the claim holds a component."""
        everywhere = list(range(len(self.claim.data.rows[row].tokens)))
        slots = [slot for c, slot in self.claim.claimed if c == component and slot is not None]
        return {t for s in slots for t in (everywhere if s == ALL else [index(self.claim, s, row)])}


class Pass:
    """One forward over a frame. A writer that the frame does not give (all, on a plain row) is computed.

    `own` is the same frame with nothing in it; without one nothing is passed through: what the frame lacks is new.
    """

    def __init__(self, world: OnTransformer, frame: Frame, given: Values, own: Context | None = None) -> None:
        self.world, self.frame, self.given, self.own = world, frame, given, own
        self.claim, self.reads = world.claim, Streams()
        self.writes: dict[Component, Tensor] = {}

    def forward(self) -> Context:
        blocks = self.world.model.blocks
        x = _total(self.embedded(c) for c in (Component("embed"), Component("pos")) if c in self.frame.writes)
        x = x if self.world.model.b_E is None else x + self.world.model.b_E
        x = renormed(self.world.model.stream_embed, x)
        for layer, block in enumerate(blocks):
            x = self.reads["resid", layer] = self.stream(layer, x)
            after = renormed(block.stream_attn, x + self.attention(layer))
            self.reads["mlp", layer] = x if block.parallel else after
            x = after if block.mlp is None else renormed(block.stream_mlp, after + self.mlp(layer))
        self.reads["resid", len(blocks)] = self.stream(len(blocks), x)
        return Context(self.frame.row, self.reads, self.writes)

    def embedded(self, component: Component) -> Tensor:
        value = self.writes[component] = self.frame.writes[component]
        for part in parts_of(self.claim, component):
            self.own_part(part, lambda part=part: code_of(part).encode(value))
        return self.landed(component, self.place(component, value))

    def stream(self, layer: int, x: Tensor) -> Tensor:
        component = Component("resid", layer)
        x = self.place(component, x)
        for part in parts_of(self.claim, component) if self.own else ():
            old = code_of(part).encode(self.own.reads["resid", layer]) if self.own else x
            self.writes[part] = old
            x = self.changed(part, x, old)
        return x

    def attention(self, layer: int) -> Tensor:
        """What attention adds: the norm is of what all heads write; parts of all of it lie behind the norm."""
        block, whole = self.world.model.blocks[layer], Component("attn", layer)
        hosts = [Component("head", layer, h) for h in range(len(block.attn.W_Q))]
        frame = _total(self.head(host) for host in hosts)
        put = self.place(whole, _total(self.landed(host, self.place(host, self.writes[host])) for host in hosts))
        passed = [self.passed_head(host) for host in hosts]
        base, full = entering(block, put), entering(block, put + _total(passed))
        for part in parts_of(self.claim, whole):
            code = code_of(part)
            full = self.without(part, full, code.write(code.encode(full) - code.encode(base)))
            self.writes[part] = code.encode(entering(block, frame))
        change = self.unspanned(Component("head", layer, 0), full - base)
        for part in parts_of(self.claim, whole):
            base = self.changed(part, base, self.writes[part])
        return base + change

    def head(self, host: Component) -> Tensor:
        """A head's value on r, and that of its parts."""
        value = self.frame.writes.get(host)
        self.writes[host] = self.world.output(host, *[self.reads] * 3) if value is None else value
        for part in parts_of(self.claim, host):
            if not part.traits.is_channel:
                self.own_part(part, lambda part=part: code_of(part).encode(self.writes[host]))
        return self.writes[host]

    def passed_head(self, host: Component) -> Tensor:
        """What a passed-through head writes more; claimed parts of it, and of its channels, stay on r."""
        value = self.writes[host]
        if self.own is None or not self.given or host not in self.claim.passed:
            return 0 * value
        fresh = self.world.output(host, *[self.reads] * 3, self.channels_on_r(host))
        for part in (p for p in parts_of(self.claim, host) if not p.traits.is_channel):
            code = code_of(part)
            fresh = self.without(part, fresh, code.write(code.encode(fresh) - self.writes[part]))
        return self.unheld(host, fresh - value)

    def channels_on_r(self, host: Component) -> Any:
        assert self.own is not None
        puts: dict[str, Values] = {c: {} for c in "qkv"}
        for part in (p for p in parts_of(self.claim, host) if p.traits.is_channel):
            old = self.world.output(part, *[self.own.reads] * 3)
            for component, slot in self.claim.claimed:
                if component == part and slot is not None:
                    puts[part.kind][part, slot] = old[index(self.claim, slot, self.frame.row)]
        return {c: (given, self.frame.row) for c, given in puts.items()}

    def mlp(self, layer: int) -> Tensor:
        """What the MLP adds; where neurons are new, or it is passed through, the norm of what they sum is too."""
        host, m = Component("mlp", layer), self.world.model.blocks[layer]
        parts = parts_of(self.claim, host)
        units, others = [p for p in parts if p.traits.scalar], [p for p in parts if not p.traits.scalar]
        value, total = self.frame.writes.get(host), self.frame.writes.get(_sum_of(layer))
        if value is None or total is None:
            total = self.world.summed(layer, self.reads["mlp", layer])
            value = total if m.post_mlp is None else norm(m.post_mlp, total)
        self.writes[host], self.writes[_sum_of(layer)] = value, total
        for part in units:
            self.own_part(part, lambda part=part: self.world.output(part, *[self.reads] * 3))
        for part in others:
            self.own_part(part, lambda part=part: code_of(part).encode(value))
        touched = {t for p in units for t in self.given_at(p)}
        put = total
        for part in units:
            row = self.world.mlp(layer).W_out[[part.unit or 0]]
            for slot, new in self.given_to(part):
                at, put = index(self.claim, slot, self.frame.row), put.clone()
                put[at] = put[at] + (new - self.writes[part][at]) @ row
        base = self.where(touched, put if m.post_mlp is None else norm(m.post_mlp, put), value)
        if m.post_mlp is None:
            base = value + (put - total)
        change = 0 * base
        if self.own is not None and self.given and host in self.claim.passed:
            fresh = self.world.summed(layer, self.reads["mlp", layer])
            more = fresh - total
            for part in units:
                new = self.world.output(part, *[self.reads] * 3) - self.writes[part]
                more = self.without(part, more, new @ self.world.mlp(layer).W_out[[part.unit or 0]])
            summed = put + self.unheld(host, more)
            full = base + self.unheld(host, more) if m.post_mlp is None else norm(m.post_mlp, summed)
            if m.post_mlp is None and not units:
                full = base + self.unheld(host, fresh - value)
            free = set(range(len(base))) - self.held(host) | touched
            full = full if m.post_mlp is None else self.where(free, full, value)
            for part in others:
                code = code_of(part)
                kept = self.writes[part] + code.encode(base) - code.encode(value)
                full = self.without(part, full, code.write(code.encode(full) - kept))
            change = full - base
        base = self.place(host, base)
        for part in others:
            base = self.changed(part, base, self.writes[part])
        return base + self.unspanned(host, change)

    def own_part(self, part: Component, made: Callable[[], Tensor]) -> None:
        """A part of a writer on r: on a row what its code reads, on a mean row the mean of that."""
        value = self.frame.writes.get(part)
        self.writes[part] = made() if value is None else value

    def given_to(self, part: Component) -> list[tuple[Slot, Tensor]]:
        return [(slot, new) for (c, slot), new in self.given.items() if c == part and slot is not None]

    def given_at(self, part: Component) -> set[int]:
        everywhere = range(len(self.claim.data.rows[self.frame.row].tokens))
        places = [index(self.claim, slot, self.frame.row) for slot, _ in self.given_to(part)]
        return {t for at in places for t in (everywhere if isinstance(at, slice) else [at])}

    def changed(self, part: Component, value: Tensor, old: Tensor) -> Tensor:
        """`write(new) - write(old)` more where a part is given."""
        value, code = value.clone(), code_of(part)
        for slot, new in self.given_to(part):
            at = index(self.claim, slot, self.frame.row)
            value[at] = value[at] + code.write(new) - code.write(old[at])
        return value

    def landed(self, host: Component, value: Tensor) -> Tensor:
        """A writer with what is given to its parts."""
        for part in (p for p in parts_of(self.claim, host) if not p.traits.is_channel):
            value = self.changed(part, value, self.writes[part])
        return value

    def without(self, part: Component, change: Tensor, kept: Tensor) -> Tensor:
        """A change less what a part would take of it, where the claim holds the part."""
        held = self.world.held(part, self.frame.row)
        return torch.stack([change[t] - kept[t] if t in held else change[t] for t in range(len(change))])

    def unspanned(self, writer: Component, change: Tensor) -> Tensor:
        """What passes less what lies in the span of claimed parts of later streams."""
        graph = self.claim.graph
        for part in parts_claimed(self.claim):
            if part.kind == "resid" and graph.written(part) >= graph.written(writer):
                rows = code_of(part).span
                change = self.without(part, change, change @ rows.T @ rows)
        return change

    def unheld(self, component: Component, change: Tensor) -> Tensor:
        held = self.held(component)
        return torch.stack([0 * change[t] if t in held else change[t] for t in range(len(change))])

    def held(self, component: Component) -> set[int]:
        """Where a passed-through component is not computed anew: a site holds it, or it takes a value here."""
        whole = Component("attn", component.layer) if component.kind == "head" else component
        given = self.given_at(component) | self.given_at(whole)
        return self.world.held(component, self.frame.row) | given

    def where(self, some: set[int], value: Tensor, other: Tensor) -> Tensor:
        return torch.stack([value[t] if t in some else other[t] for t in range(len(value))])

    def place(self, component: Component, value: Tensor) -> Tensor:
        """The value, with what is given to the component at the positions of the same name in the frame."""
        value = value.clone()
        for (c, slot), new in self.given.items():
            if c == component and slot is not None:
                value[index(self.world.claim, slot, self.frame.row)] = new
        return value


def before_rotary(block: Block, channel: str, head: int, x: Tensor) -> Tensor:
    held = head if channel == "q" else kv_head(block.attn, head)
    return unangled(block.attn, channel, norm(block.ln1, x), [held])[:, 0].clone()


def _sum_of(layer: int) -> Component:
    """What stands for the sum of an MLP's neurons among writers."""
    return Component("mlp", layer, name="sum")


def _head(block: Block, head: int, read: dict[str, Tensor]) -> Tensor:
    attn, (q, k, v) = block.attn, read.values()
    at = torch.arange(len(q))
    distance = at[:, None] - at[None, :]
    shown = (distance >= 0) | (not attn.causal)
    if attn.window is not None:
        shown &= distance < attn.window
    scores = q @ k.T * attn.scale
    if attn.cap is not None:
        scores = torch.tanh(scores / attn.cap) * attn.cap
    if attn.slopes is not None:
        scores = scores - attn.slopes[head] * distance
    weights = scores.masked_fill(~shown, -torch.inf).exp()
    sink = 0.0 if attn.sinks is None else attn.sinks[head].exp()
    return weights / (weights.sum(-1, keepdim=True) + sink) @ v @ attn.W_O[head]


def entering(block: Block, heads: Tensor) -> Tensor:
    """What attention adds to the stream."""
    whole = heads if block.attn.b_O is None else heads + block.attn.b_O
    return whole if block.post_attn is None else norm(block.post_attn, whole)


def renormed(n: Norm | None, x: Tensor) -> Tensor:
    """The stream after a norm of itself, where there is one."""
    return x if n is None else norm(n, x)


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(0)
