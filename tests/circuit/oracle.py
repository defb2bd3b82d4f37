"""A slow and obvious oracle for runs of circuits and for path patching, written from docs/circuits.md alone.

One row at a time, at every position, in Python loops over components; nothing is shared with the code under test
but the formulas of single layers. Two worlds, a transformer and a computation graph, say who reads what and what
is made of it; above them the three kinds of run are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from reference_models import entering
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot, locate
from scrub.claims.dataset import Dataset
from scrub.model.computation import Computation
from scrub.model.layers import mlp, norm, project
from scrub.model.weights import Attn, Block, Transformer

Values = dict[Component, Any]  # what every writer writes on a row: [t, d], or a node's value
Passed = frozenset[Component]
Hop = tuple[Component, str, Passed]  # receiver, its channel, what the hop may pass through on the way to it
Path = tuple[Component, Sequence[Hop]]
Run = Callable[[Transformer, Sequence[int]], tuple[Values, Tensor]]
Live = Callable[..., bool]  # of (component, position) or (sender, receiver, channel, position); None in a graph

EMBED, POS, LOGITS = Component("embed"), Component("pos"), Component("logits")


class OnTransformer:
    """Every channel reads all that was written before it, and the output biases of the attention before it."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.computed: list[Component] = []  # in model order, the output last
        for layer, block in enumerate(model.blocks):
            self.computed += [Component("head", layer, head) for head in range(block.attn.W_Q.shape[0])]
            self.computed += [Component("mlp", layer)] if block.mlp is not None else []
        self.computed.append(LOGITS)

    def channels(self, component: Component) -> tuple[str, ...]:
        return ("q", "k", "v") if component.kind == "head" else ("input",)

    def senders(self, component: Component, channel: str) -> list[Component]:
        found = [EMBED] if self.model.W_pos is None else [EMBED, POS]
        return found + [writer for writer in self.computed if self.reads(component, writer)]

    def reads(self, reader: Component, writer: Component) -> bool:
        if writer == LOGITS or reader == LOGITS:
            return reader != writer and reader == LOGITS
        if writer.layer != reader.layer:
            return (writer.layer or 0) < (reader.layer or 0)
        beside = self.model.blocks[reader.layer or 0].parallel
        return reader.kind == "mlp" and writer.kind == "head" and not beside

    def compute(self, component: Component, reads: dict[str, Values]) -> Tensor:
        model, streams = self.model, {channel: self.stream(values) for channel, values in reads.items()}
        if component == LOGITS:
            logits = norm(model.ln_final, streams["input"]) @ model.W_U
            logits = logits if model.b_U is None else logits + model.b_U
            return logits if model.logit_cap is None else model.logit_cap * torch.tanh(logits / model.logit_cap)
        block = model.blocks[component.layer or 0]
        if component.kind == "mlp":
            assert block.mlp is not None
            made = mlp(block.mlp, streams["input"] if block.ln2 is None else norm(block.ln2, streams["input"]))
            return made if block.post_mlp is None else norm(block.post_mlp, made)
        return _head(block, component.unit or 0, streams["q"], streams["k"], streams["v"])

    def stream(self, values: Values) -> Tensor:
        """The sum of what was written; of heads, by layer, what attention makes of them, b_O among them."""
        total = torch.stack([value for writer, value in values.items() if writer.kind != "head"]).sum(0)
        for layer in {writer.layer for writer in values if writer.kind == "head"}:
            block = self.model.blocks[layer or 0]
            heads = [value for writer, value in values.items() if writer.kind == "head" and writer.layer == layer]
            total = total + entering(block, torch.stack(heads).sum(0))
        return total

    def mix(self, live: Callable[[int], bool], fresh: Tensor, frozen: Any) -> Tensor:
        return torch.stack([fresh[t] if live(t) else frozen[t] for t in range(len(fresh))])


def _head(block: Block, head: int, xq: Tensor, xk: Tensor, xv: Tensor) -> Tensor:
    """What a query head writes `[t, d]`, without b_O, query position by query position."""
    attn, positions = block.attn, torch.arange(len(xq))
    shared = head // (attn.W_Q.shape[0] // attn.W_K.shape[0])
    q = project(attn, "q", norm(block.ln1, xq), [head], positions)[:, 0]
    k = project(attn, "k", norm(block.ln1, xk), [shared], positions)[:, 0]
    v = project(attn, "v", norm(block.ln1, xv), [shared], positions)[:, 0]
    written: list[Tensor] = []
    for i in range(len(q)):
        keys = [j for j in range(len(k)) if _sees(attn, i, j)]
        scores = k[keys] @ q[i] * attn.scale
        scores = scores if attn.cap is None else attn.cap * torch.tanh(scores / attn.cap)
        if attn.slopes is not None:
            scores = scores - attn.slopes[head] * (i - torch.tensor(keys))
        if attn.sinks is not None:
            scores = torch.cat((scores, attn.sinks[head : head + 1]))
        pattern = torch.softmax(scores, dim=0)[: len(keys)]
        written.append(pattern @ v[keys] @ attn.W_O[head])
    return torch.stack(written)


def _sees(attn: Attn, query: int, key: int) -> bool:
    return not (attn.causal and key > query) and (attn.window is None or query - key < attn.window)


class OnGraph:
    """Every argument is a channel, and reads exactly the node of its name. There are no positions."""

    def __init__(self, model: Computation) -> None:
        self.model = model
        self.computed = [node(name) for name, found in model.nodes.items() if found.function is not None]

    def channels(self, component: Component) -> tuple[str, ...]:
        return self.model.nodes[component.name].arguments

    def senders(self, component: Component, channel: str) -> list[Component]:
        return [node(channel)]

    def compute(self, component: Component, reads: dict[str, Values]) -> Any:
        return self.model.nodes[component.name].value({name: values[node(name)] for name, values in reads.items()})

    def mix(self, live: Callable[[None], bool], fresh: Any, frozen: Any) -> Any:
        return fresh if live(None) else frozen


def node(name: str) -> Component:
    return Component.for_node(name)


World = OnTransformer | OnGraph


def _computed(world: World, component: Component, sees: Callable[[Component, str], Any]) -> Any:
    """A component's value, from what each of its channels sees of each of its senders."""
    reads = {
        ch: {sender: sees(sender, ch) for sender in world.senders(component, ch)} for ch in world.channels(component)
    }
    return world.compute(component, reads)


def by_components(world: World, base: Values, frozen: Values, live: Live) -> Values:
    """Every component in turn: computed from what it now reads where live, otherwise what it is frozen at."""
    values: Values = {}
    for component in [*base, *world.computed]:
        given = component in base
        fresh = base[component] if given else _computed(world, component, lambda sender, _: values[sender])
        values[component] = world.mix(lambda t, c=component: c == LOGITS or live(c, t), fresh, frozen.get(component))
    return values


def by_edges(world: World, base: Values, frozen: Values, live: Live, passed: Passed) -> Values:
    """What every receiver computes, when each of its channels reads its own mixture of live and frozen values."""
    values = dict(base)
    for receiver in world.computed:

        @cache
        def seen(sender: Component, channel: str, receiver: Component = receiver) -> Any:
            """What a channel of the receiver sees; the passed-through recomputed from what this channel sees."""
            if sender in passed:
                return _computed(world, sender, lambda before, _: seen(before, channel))
            return world.mix(lambda t: live(sender, receiver, channel, t), values[sender], frozen.get(sender))

        if receiver not in passed:  # such a one has no value of its own
            values[receiver] = _computed(world, receiver, seen)
    return values


def by_paths(world: World, own: Values, other: Values, paths: Iterable[Path], output: Component) -> Any:
    """The output when, along the paths alone, their senders have the values of the other row.

    A component has one value for each set of `tails`, the beginnings of paths that end in it. A hop that may pass
    through P stands for all its ways by members of P: a tail that ends in channel c of r by way of P also ends, by
    way of P, in every channel of each member of P that c reads.
    """

    @cache
    def value(component: Component, tails: frozenset[Path]) -> Any:
        return _computed(world, component, lambda sender, channel: read(sender, component, channel, tails))

    def read(sender: Component, receiver: Component, channel: str, tails: frozenset[Path]) -> Any:
        before: set[Path] = set()
        for start, hops in tails:
            *earlier, (to, through, passed) = hops
            if (to, through) != (receiver, channel):
                continue
            if not earlier and start == sender:
                return other[sender]  # here a path begins
            if earlier and earlier[-1][0] == sender:
                before.add((start, tuple(earlier)))
            if sender in passed:
                before |= {(start, (*earlier, (sender, inner, passed))) for inner in world.channels(sender)}
        return value(sender, frozenset(before)) if before else own[sender]

    whole = frozenset((start, tuple(hops)) for start, hops in paths)
    assert all(hops[-1][0] == output for _, hops in whole), f"a path does not end in {output}"
    return value(output, whole)


def embedded(model: Transformer, tokens: Sequence[int]) -> Values:
    """What the embedding and, where the model has them, the learned positions write."""
    assert model.dtype == torch.float64, "the oracle computes in fp64"
    found: Values = {EMBED: torch.stack([model.W_E[token] for token in tokens])}
    return found if model.W_pos is None else {**found, POS: model.W_pos[: len(tokens)]}


def own_run(model: Transformer, tokens: Sequence[int]) -> tuple[Values, Tensor]:
    """The model's own values and its logits `[t, v]`."""
    values = dict(_own(model, tuple(tokens)))
    return values, values.pop(LOGITS)


@cache
def _own(model: Transformer, tokens: tuple[int, ...]) -> Values:
    return by_components(OnTransformer(model), embedded(model, tokens), {}, lambda c, t: True)


def run_components(model: Transformer, tokens: Sequence[int], base: Values, frozen: Values, live: Live) -> Tensor:
    """Logits `[t, v]` of a run that starts on the embeddings `base`; what is not live (component, t) is frozen."""
    start = {c: base[c] for c in embedded(model, tokens)}
    return by_components(OnTransformer(model), start, frozen, live)[LOGITS]


def run_edges(
    model: Transformer, tokens: Sequence[int], base: Values, frozen: Values, live: Live, passed: Passed = frozenset()
) -> Tensor:
    """Logits `[t, v]`; `live` takes sender, receiver, channel and the position in the stream."""
    start = {c: base[c] for c in embedded(model, tokens)}
    return by_edges(OnTransformer(model), start, frozen, live, passed)[LOGITS]


def patch_paths(
    model: Transformer, tokens: Sequence[int], own: Values, other: Values, paths: Iterable[Path]
) -> Tensor:
    """Logits `[t, v]`. A path is `(sender, [(receiver, channel, passed), ..., (logits, "input", passed)])`."""
    assert len(own[EMBED]) == len(other[EMBED]) == len(tokens)
    return by_paths(OnTransformer(model), own, other, paths, LOGITS)


def place(data: Dataset, row: int, donor: int, t: int, slots: Sequence[Slot]) -> int | None:
    """Where a donor has position t of a row, or None: by the first of its names in the row, else by its index."""
    here, there = data.rows[row], data.rows[donor]
    for slot in [*slots, *(Slot(name) for name in sorted(data.position_names))]:
        if locate(slot, here.positions, len(here.tokens)) == t:
            return locate(slot, there.positions, len(there.tokens))
    return t if t < len(there.tokens) else None


def aligned(data: Dataset, row: int, donor: int, slots: Sequence[Slot]) -> list[int]:
    """The index in the donor for every index of the row. Raises ValueError where the donor has none."""
    found = [place(data, row, donor, t, slots) for t in range(len(data.rows[row].tokens))]
    if None in found:
        raise ValueError(f"row {donor} has no position {found.index(None)} of row {row}")
    return [index for index in found if index is not None]


def donor_values(
    model: Transformer, data: Dataset, row: int, donor: int, slots: Sequence[Slot], run: Run = own_run
) -> Values:
    """What every writer writes on the donor, at the places that correspond to the row's."""
    where, (values, _) = aligned(data, row, donor, slots), run(model, data.rows[donor].tokens)
    return {component: torch.stack([value[t] for t in where]) for component, value in values.items()}


def mean_values(
    model: Transformer, data: Dataset, row: int, reference: Sequence[int], slots: Sequence[Slot], run: Run = own_run
) -> Values:
    """The means, position by position, over those reference rows that have the position; ValueError if none has."""
    places = [
        [(donor, place(data, row, donor, t, slots)) for donor in reference] for t in range(len(data.rows[row].tokens))
    ]
    runs, found = {donor: run(model, data.rows[donor].tokens)[0] for donor in reference}, Values()
    for component in run(model, data.rows[row].tokens)[0]:
        means: list[Tensor] = []
        for t, at in enumerate(places):
            having = [runs[donor][component][index] for donor, index in at if index is not None]
            if not having:
                raise ValueError(f"no reference row has position {t} of row {row}")
            means.append(torch.stack(having).mean(0))
        found[component] = torch.stack(means)
    return found


def zero_values(model: Transformer, tokens: Sequence[int], run: Run = own_run) -> Values:
    return {component: torch.zeros_like(value) for component, value in run(model, tokens)[0].items()}


def graph_own(model: Computation, columns: Mapping[str, Any]) -> Values:
    return {node(name): value for name, value in model.run(columns).items()}


def graph_components(model: Computation, base: Values, frozen: Values, live: Live) -> Values:
    """Every node's value; `base` gives the inputs. `live(node)`; the output too is frozen unless it is live."""
    start = {node(name): base[node(name)] for name in model.inputs()}
    return by_components(OnGraph(model), start, frozen, lambda c, _: live(c))


def graph_edges(model: Computation, base: Values, frozen: Values, live: Live, passed: Passed = frozenset()) -> Values:
    """The values of all nodes but the passed-through, and of every output. `live(sender, receiver, channel)`."""
    start = {node(name): base[node(name)] for name in model.inputs()}
    inner = frozenset(c for c in passed if c.name not in model.ends)
    return by_edges(OnGraph(model), start, frozen, lambda s, r, channel, _: live(s, r, channel), inner)


def graph_paths(model: Computation, own: Values, other: Values, paths: Iterable[Path], output: str) -> Any:
    """The output's value. A path is `(sender, [(receiver, argument, passed), ..., (output, argument, passed)])`."""
    return by_paths(OnGraph(model), own, other, paths, node(output))
