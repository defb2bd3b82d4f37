"""Edges against a pass in which every reader has a leaf of its own, against TransformerLens, and the chain rule."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from exact_nodes import FORMS, LATER, Text, apart, batch_of, model_of, scores, text
from split_readers import precedes, split_pass
from torch import Tensor
from torch.testing import assert_close

from model.tiny_models import bridged
from scrub.anatomy.names import Component
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.proposals import edges as estimates
from scrub.proposals.edges import Edges
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, find
from scrub.proposals.rules import RELP

Expected = dict[tuple[Component, tuple[Component, str]], Tensor]
OWN = {
    "head norms": {},
    "norms by head": {},
    "no norms": {"norm": "none"},
    "windowed": {"window": 2},
    "bidirectional": {"causal": False},
    "sinks": {"sinks": True},
    "latents": {"latent": True},
}


def edges(batch: PatchBatch, method: str, **told: Any) -> Edges:
    run = find(method).edges
    assert run is not None
    found = run(batch, Asked((), **told))
    assert isinstance(found, Edges)
    return found


def deltas(batch: PatchBatch) -> dict[Component, Tensor]:
    """What every component writes on the source minus what it writes on the base."""
    base, source = split_pass(batch).writes, split_pass(batch.swapped).writes
    return {component: (source[component] - base[component]).detach() for component in base}


def equal(found: Edges, expected: Expected, tolerance: float = 1e-9) -> None:
    """Every edge, and 0 for every pair that is none."""
    assert len(set(found.senders)) == len(found.senders)
    size, pairs = max(float(some.abs().max()) for some in expected.values()), set()
    assert size > 1e-3
    for i, sender in enumerate(found.senders):
        for j, reader in enumerate(found.readers):
            some = found.scores[:, i, j]
            if (sender, reader) not in expected:
                assert not some.any(), f"{sender} -> {reader} is no edge"
                continue
            pairs.add((sender, reader))
            assert (some - expected[sender, reader]).abs().max() <= tolerance * size, f"{sender} -> {reader}"
    assert pairs == set(expected)


def varied(name: str, other: str) -> Transformer:
    model = model_of(name, **OWN[other])
    if "head" not in other:
        return model

    def normed(block: Any) -> Any:
        weight = torch.tensor([0.7, 1.4, -0.9, 1.1], dtype=torch.float64)
        own = attrs.evolve(block.ln1, weight=weight, bias=None)
        if other == "head norms":
            return attrs.evolve(block, attn=attrs.evolve(block.attn, q_norm=own, k_norm=own))
        q, k = (
            attrs.evolve(own, weight=torch.stack([weight.roll(i) * (i + 1) for i in range(len(table))]))
            for table in (block.attn.W_Q, block.attn.W_K)
        )
        return attrs.evolve(block, attn=attrs.evolve(block.attn, q_norm=q, k_norm=k))

    return attrs.evolve(model, blocks=tuple(map(normed, model.blocks)))


@pytest.mark.parametrize("rules", [(), ("ln",)], ids=["plain", "ln"])
@pytest.mark.parametrize("name", FORMS)
def test_edges_as_by_leaves(name: str, rules: tuple[str, ...]) -> None:
    """Every sender and channel, ragged rows; q, k and v of every query head, grouped or not."""
    batch = batch_of(model_of(name))
    split = split_pass(batch, constant=bool(rules))
    torch.testing.assert_close(split.metric[0], batch.forward().metric, rtol=1e-12, atol=1e-12)
    expected = split.scores(deltas(batch), batch.model.shape.parallel)
    found = edges(batch, "eap", rules=rules)
    equal(found, expected)
    assert [c for c, channel in found.readers if channel == "k"] == [
        Component("head", layer, head) for layer in range(3) for head in range(4)
    ]
    if rules:
        apart(found.scores, edges(batch, "eap").scores)
        equal(edges(batch, "relp", rules=rules), expected)
    else:
        equal(edges(batch, "atp"), expected)


@pytest.mark.parametrize("rules", [(), ("ln",)], ids=["plain", "ln"])
@pytest.mark.parametrize("other", OWN)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_edges_of_other_attention(name: str, other: str, rules: tuple[str, ...]) -> None:
    """The rule leaves the norms of heads alone: it is about those that read the stream."""
    batch = batch_of(varied(name, other), pick=[1, 2])
    expected = split_pass(batch, constant=bool(rules)).scores(deltas(batch), False)
    equal(edges(batch, "eap", rules=rules), expected)


RULES = {
    "plain": (),
    "ln": ("ln",),
    "relp": RELP,
    "attnlrp": (*RELP, "split"),
    "cplrp": (*RELP, "attention"),
    "without ln": ("identity", "half"),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("name", [*FORMS, *LATER])
def test_edges_of_a_sender_sum_to_its_node(name: str, rules: tuple[str, ...]) -> None:
    """The chain rule, under any rules: all readers of what a component writes."""
    batch = batch_of(model_of(name), metric="loss(a)")
    found, nodes = edges(batch, "eap", rules=rules), scores(batch, "relp", rules=rules)
    total = found.scores.sum(-1)
    for i, sender in enumerate(found.senders):
        own = nodes[sender.kind][:, sender.layer or 0, sender.unit or 0, 0]
        assert own.abs().max() > 1e-6
        torch.testing.assert_close(total[:, i], own, rtol=1e-9, atol=1e-11)
    heads = {c for c in found.senders if c.kind == "head"}
    assert len(heads) == 12


@pytest.mark.parametrize("rules", [(), ("ln",)], ids=["plain", "ln"])
@pytest.mark.parametrize("name", FORMS)
def test_edges_along_embeddings(name: str, rules: tuple[str, ...]) -> None:
    """EAP-IG (inputs): the mean over `source + k/m (base - source)`, k from 0, by a loop."""
    batch, steps = batch_of(model_of(name, layers=2)), 3
    sent, base, source = deltas(batch), batch.model.W_E[batch.base], batch.model.W_E[batch.source]
    loop: Expected = {}
    for k in range(steps):
        split = split_pass(batch, start=source + k / steps * (base - source), constant=bool(rules))
        for edge, some in split.scores(sent, batch.model.shape.parallel).items():
            loop[edge] = loop.get(edge, torch.zeros(3, dtype=some.dtype)) + some / steps
    found = edges(batch, "eap-ig", rules=rules, steps=steps)
    equal(found, loop)
    apart(found.scores, edges(batch, "eap", rules=rules).scores)
    nodes = scores(batch, "eap-ig", ("embed", "head"), rules=rules, steps=steps, points="left")
    torch.testing.assert_close(found.scores[:, 0].sum(-1), nodes["embed"].flatten(), rtol=1e-9, atol=1e-11)
    heads = torch.stack([found.scores[:, i].sum(-1) for i, c in enumerate(found.senders) if c.kind == "head"], dim=1)
    torch.testing.assert_close(heads, nodes["head"].flatten(1), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", FORMS)
def test_edges_along_senders(name: str) -> None:
    """One sender's write moves, between the source's and the base's, and only its own edges are scored; by a loop."""
    batch, steps = batch_of(model_of(name, layers=2)), 2
    sent, parallel = deltas(batch), batch.model.shape.parallel
    expected: Expected = {}
    for kind, layer in [("embed", 0), *((kind, n) for n in range(2) for kind in ("attn", "mlp"))]:
        chosen = "head" if kind == "attn" else kind
        moving = {c: delta for c, delta in sent.items() if (c.kind, c.layer or 0) == (chosen, layer)}
        for k in range(steps if moving else 0):
            base, source = (values[kind, layer] for values in (batch.base_values, batch.source_values))
            value = source + (k + 0.5) / steps * (base - source)
            split = (
                split_pass(batch, start=value) if kind == "embed" else split_pass(batch, put={(kind, layer): value})
            )
            for edge, some in split.scores(moving, parallel).items():
                expected[edge] = expected.get(edge, torch.zeros(3, dtype=some.dtype)) + some / steps
    found = edges(batch, "eap-ig", steps=steps, over="senders")
    equal(found, expected)
    own = scores(
        batch, "ig", steps=steps
    )  # the chain rule: each sender's edges are the node's own integrated gradients
    for i, sender in enumerate(found.senders):
        node = own[sender.kind][:, sender.layer or 0, sender.unit or 0, 0]
        torch.testing.assert_close(found.scores[:, i].sum(-1), node, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [*FORMS, *LATER])
def test_direct_effects_are_edges_into_the_logits(name: str) -> None:
    """T8: what a component writes, read by the final norm at its base scale; attention is the sum of its heads."""
    batch = batch_of(model_of(name), metric="loss(a)")
    found, nodes = edges(batch, "eap", rules=("ln",)), scores(batch, "dla")
    into = found.scores[:, :, found.readers.index((Component("logits"), "input"))]
    for i, sender in enumerate(found.senders):
        own = nodes[sender.kind][:, sender.layer or 0, sender.unit or 0, 0]
        assert own.abs().max() > 1e-6
        torch.testing.assert_close(into[:, i], own, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(nodes["head"].sum(2), nodes["attn"].sum(2), rtol=1e-9, atol=1e-11)


NAMES = {"embed": "embed", "attn_head_out": "head", "mlp_out": "mlp", "logits": "logits", "mlp_in": "mlp"}
CHANNELS = {"q_input": "q", "k_input": "k", "v_input": "v"}


def component(node: Any) -> Component:
    kind = NAMES.get(node.kind, "head")
    return Component(kind) if kind in ("embed", "logits") else Component(kind, node.layer, node.head)


def by_transformer_lens(bridge: Any, told: Text, granularity: str) -> tuple[Expected, dict[Component, float]]:
    """Its edges and nodes, summed over positions: what it calls clean is our source."""
    from transformer_lens.tools.analysis.attribution_patching import EdgeAttributionConfig, attribution_patch

    first, second = told.labels[0]
    found = attribution_patch(
        bridge, torch.tensor(told.source), torch.tensor(told.base),
        lambda logits: logits[0, -1, first] - logits[0, -1, second], EdgeAttributionConfig(granularity),  # type: ignore
    )  # fmt: skip
    total: Expected = {}
    for (writer, reader), score in found.edge_scores.items():
        edge = component(writer), (component(reader), CHANNELS.get(reader.kind, "input"))
        total[edge] = total.get(edge, torch.zeros(1, dtype=torch.float64)) + score
    nodes: dict[Component, float] = {}
    for node, score in found.node_scores.items():
        nodes[component(node)] = nodes.get(component(node), 0.0) + score
    return total, nodes


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "GPTNeoXForCausalLM"])
def test_edges_and_nodes_of_transformer_lens(kind: str) -> None:
    """Its attribution patching, an edge at a position each; in a parallel layer it lists no head into the MLP."""
    bridge, told = bridged(kind), text((5,), vocabulary=31)
    batch = batch_of(adapt(bridge, dtype=torch.float64), told)
    theirs, nodes = by_transformer_lens(bridge, told, "edge")
    parallel = batch.model.shape.parallel
    assert all(precedes(sender, reader, parallel) for sender, (reader, _) in theirs)
    equal(edges(batch, "eap"), theirs)
    own = scores(batch, "atp")
    for c, score in {**nodes, **by_transformer_lens(bridge, told, "node")[1]}.items():
        assert float(own[c.kind][0, c.layer or 0, c.unit or 0, 0]) == pytest.approx(score, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("over", ["inputs", "activations"])
def test_gradients_of_all_runs_are_contracted_once(over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all senders write differently is held at no time: it is made for one writer after another."""
    batch, calls, sent = batch_of(model_of(next(iter(FORMS)), layers=2)), list[int](), list[Any]()
    own, between = estimates._contracted, estimates.senders_between

    def told(*given: Any) -> Any:
        calls.append(1)
        return own(*given)

    def writing(batch: Any, only: Any = None) -> Any:
        sent.append(only)
        return between(batch, only)

    monkeypatch.setattr(estimates, "_contracted", told)
    monkeypatch.setattr(estimates, "senders_between", writing)
    once = edges(batch, "eap-ig", steps=3, over=over).scores
    assert not calls
    assert sent == [("embed", 0), ("attn", 0), ("mlp", 0), ("attn", 1), ("mlp", 1)]
    monkeypatch.setattr(estimates, "_contracts_once", lambda batch: False)
    assert_close(edges(batch, "eap-ig", steps=3, over=over).scores, once, rtol=1e-10, atol=1e-12)
    assert len(calls) >= 3
