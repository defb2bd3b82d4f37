"""What the oracle knows of a model: its values on a row, a context with values placed in it, one component.

Dense and slow on purpose: every context is a whole forward pass over the frame, at every position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.resolved import Claim
from scrub.model.computation import Computation
from scrub.model.layers import kv_head, mlp, norm, project, unembed
from scrub.model.weights import Block, Norm, Transformer

Values = dict[tuple[Component, Slot | None], Any]  # what a site takes: [d], [t, d] at `all`, a node's value
Streams = dict[tuple[str, int], Tensor]  # by kind of reader and layer; attention reads "resid"


class Frame(NamedTuple):
    """The row whose positions count, and what every writer writes on r."""

    row: int
    writes: dict[Component, Any]


class Context(NamedTuple):
    """A frame with values placed in it: what can be read (by node, or by kind and layer), what is written."""

    row: int
    reads: dict[Any, Any]
    writes: dict[Component, Any]


class World(Protocol):
    """`compute` takes a context for each channel; `own` is that of the reader's own position."""

    plain: Callable[[int], dict[Component, Any]]

    def context(self, frame: Frame, given: Values) -> Context: ...
    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Any: ...


def index(claim: Claim, slot: Slot, row: int) -> Any:
    """Where a slot is in a row; everywhere for `all`."""
    return slice(None) if slot == ALL else int(claim.data.locate(slot)[row])


class OnGraph:
    """Writers are nodes; a channel reads the node of its name."""

    def __init__(self, claim: Claim, model: Computation) -> None:
        self.claim, self.model = claim, model
        self.plain: Callable[[int], dict[Component, Any]] = cache(self._plain)

    def _plain(self, row: int) -> dict[Component, Any]:
        values = self.model.run(self.claim.data.rows[row].columns)
        return {Component.for_node(name): value for name, value in values.items()}

    def context(self, frame: Frame, given: Values) -> Context:
        known = {c.name: value for c, value in frame.writes.items()}
        for c in frame.writes if given else ():
            node = self.model.nodes[c.name]
            if (c, None) in given:
                known[c.name] = given[c, None]
            elif node.function and c in self.claim.passed and (c, None) not in self.claim.claimed:
                known[c.name] = node.value(known)
        return Context(frame.row, known, frame.writes)

    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Any:
        node = self.model.nodes[component.name]
        if node.function is None:
            return own.writes[component]
        return node.value({c: contexts[c].reads[c] for c in node.arguments})


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
        return Pass(self, Frame(row, embedded), {}).forward().writes

    def context(self, frame: Frame, given: Values) -> Context:
        return Pass(self, frame, given).forward()

    def compute(self, component: Component, contexts: dict[str, Context], own: Context) -> Tensor:
        if component.kind in ("embed", "pos"):
            return own.writes[component]
        return self.output(component, *(contexts.get(c, own).reads for c in ("q", "k", "v")))

    def output(self, component: Component, q: Streams, k: Streams, v: Streams) -> Tensor:
        """What a component writes at every position, `[t, d]`, from the streams that its channels read."""
        kind, layer = component.kind, component.layer or 0
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
        return _total(_head(block, h, q["resid", layer], k["resid", layer], v["resid", layer]) for h in heads)

    def held(self, component: Component, row: int) -> set[int]:
        """The positions of a row at which a site of the claim holds a component."""
        everywhere = list(range(len(self.claim.data.rows[row].tokens)))
        slots = [slot for c, slot in self.claim.claimed if c == component and slot is not None]
        return {t for s in slots for t in (everywhere if s == ALL else [index(self.claim, s, row)])}


class Pass:
    """One forward over a frame. A writer that the frame does not give (all, on a plain row) is computed."""

    def __init__(self, world: OnTransformer, frame: Frame, given: Values) -> None:
        self.world, self.frame, self.given = world, frame, given
        self.reads: Streams = {}
        self.writes: dict[Component, Tensor] = {}

    def forward(self) -> Context:
        blocks = self.world.model.blocks
        x = _total(self.write(c) for c in self.frame.writes if c.kind in ("embed", "pos"))
        x = x if self.world.model.b_E is None else x + self.world.model.b_E
        x = renormed(self.world.model.stream_embed, x)
        for layer, block in enumerate(blocks):
            x = self.reads["resid", layer] = self.place(Component("resid", layer), x)
            heads = _total(self.write(Component("head", layer, h)) for h in range(len(block.attn.W_Q)))
            after = renormed(block.stream_attn, x + entering(block, self.place(Component("attn", layer), heads)))
            self.reads["mlp", layer] = x if block.parallel else after
            x = after
            if block.mlp is not None:
                x = renormed(block.stream_mlp, after + self.write(Component("mlp", layer)))
        self.reads["resid", len(blocks)] = self.place(Component("resid", len(blocks)), x)
        return Context(self.frame.row, self.reads, self.writes)

    def write(self, component: Component) -> Tensor:
        """A writer's value on r; computed anew where it is passed through and no site holds it; or given."""
        claim, row, value = self.world.claim, self.frame.row, self.frame.writes.get(component)
        if value is None:
            value = self.world.output(component, self.reads, self.reads, self.reads)
        elif self.given and component in claim.passed:
            held = self.world.held(component, row)
            fresh = self.world.output(component, self.reads, self.reads, self.reads)
            value = torch.stack([value[t] if t in held else fresh[t] for t in range(len(fresh))])
        self.writes[component] = self.place(component, value)
        return self.writes[component]

    def place(self, component: Component, value: Tensor) -> Tensor:
        """The value, with what is given to the component at the positions of the same name in the frame."""
        value = value.clone()
        for (c, slot), new in self.given.items():
            if c == component and slot is not None:
                value[index(self.world.claim, slot, self.frame.row)] = new
        return value


def _head(block: Block, head: int, xq: Tensor, xk: Tensor, xv: Tensor) -> Tensor:
    attn, at, shared = block.attn, torch.arange(len(xq)), kv_head(block.attn, head)
    streams = (("q", xq, head), ("k", xk, shared), ("v", xv, shared))
    q, k, v = (project(attn, name, norm(block.ln1, x), [h], at)[:, 0] for name, x, h in streams)
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
