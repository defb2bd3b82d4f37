"""Exact patching and attribution patching against a bridge's own hooks, and against `scrub.sweep`'s patching.

A node is moved along the line from its value on the base to that on the source by a hook: all the way it is exact
patching, and the slope at the base is attribution patching. Every replica of the row moves another node.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from exact_nodes import Text, batch_of, close, joint, kinds_of, scores, text
from torch import Tensor

from model.tiny_models import bridged, native
from scrub import Dataset
from scrub.anatomy.names import Component
from scrub.anatomy.positions import parse_slots
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.experiment import resolve
from scrub.circuit.sweep import bench_for, cases_of, sweep_paths
from scrub.claims.metric import parse_metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.proposals.forward import PatchBatch
from scrub.proposals.methods import Asked, find

BRIDGES: dict[str, Any] = {
    "gpt2": lambda: bridged("GPT2LMHeadModel"),
    "neox parallel": lambda: bridged("GPTNeoXForCausalLM"),
    "native rotary, grouped, gated": lambda: native(
        positional_embedding_type="rotary", n_key_value_heads=2, gated_mlp=True, act_fn="silu"
    ),
    "native attention only, no norm": lambda: native(normalization_type=None, attn_only=True),
    "native bidirectional": lambda: native(attention_dir="bidirectional"),
    "bert": lambda: bridged("BertForMaskedLM"),
    "llama": lambda: bridged("LlamaForCausalLM"),  # computes norms and angles in fp32
}
HOOKS = {
    "embed": "hook_embed",
    "q": "blocks.{}.attn.hook_q",
    "k": "blocks.{}.attn.hook_k",
    "v": "blocks.{}.attn.hook_v",
    "head": "blocks.{}.attn.hook_z",
    "attn": "blocks.{}.hook_attn_out",
    "mlp": "blocks.{}.hook_mlp_out",
    "neuron": "blocks.{}.mlp.hook_post",
    "resid": "blocks.{}.hook_resid_pre",
}
# of a BERT the usual ones see the stream after its norm, and no MLP is called as one
OF_BERT = {"embed": "embed.hook_out", "attn": "blocks.{}.attn.o.hook_out", "neuron": "blocks.{}.mlp.out.hook_in"}
STEP = 1e-5
PAIRS = text(LENGTHS := (6, 5), vocabulary=31)
bridge_of = cache(lambda name: BRIDGES[name]())


@cache
def weights_of(name: str) -> Transformer:
    return adapt(bridge_of(name), dtype=torch.float64)


def place(kind: str, layer: int, layers: int, name: str = "") -> str:
    if name == "bert" and kind in OF_BERT:
        return OF_BERT[kind].format(layer)
    return f"blocks.{layer - 1}.hook_resid_post" if (kind, layer) == ("resid", layers) else HOOKS[kind].format(layer)


def seen(bridge: Any, tokens: tuple[int, ...], hook_name: str) -> Tensor:
    kept: list[Tensor] = []
    with torch.no_grad():
        bridge.run_with_hooks(
            torch.tensor([tokens]), fwd_hooks=[(hook_name, lambda x, hook: kept.append(x[0].clone()))]
        )
    assert len(kept) == 1, f"{hook_name} fired {len(kept)} times"
    return kept[0]


def moved(bridge: Any, told: Text, row: int, hook_name: str, units: bool, part: float) -> Tensor:
    """The metric [unit t] where one unit at one position is moved by a part of the way from base to source."""
    delta = seen(bridge, told.source[row], hook_name) - seen(bridge, told.base[row], hook_name)
    width, count = delta.shape[0], delta.shape[1] if units else 1

    def edit(x: Tensor, hook: Any) -> Tensor:
        x = x.clone()
        for replica in range(count * width):
            unit, t = divmod(replica, width)
            at = (t, unit) if units else (t,)
            x[(replica, *at)] += part * delta[at]
        return x

    with torch.no_grad():
        tokens = torch.tensor([told.base[row]]).repeat(count * width, 1)
        logits = bridge.run_with_hooks(tokens, fwd_hooks=[(hook_name, edit)])[:, -1]
    first, second = told.labels[row]
    return (logits[:, first] - logits[:, second]).reshape(count, width)


def grouped(some: Tensor, heads: int) -> Tensor:
    """Estimates of query heads' keys (or values) summed over each group."""
    return some.unflatten(0, (heads, -1)).sum(1)


CASES = [(name, row) for name in BRIDGES for row in (0, 1)]


@pytest.mark.parametrize(("name", "row"), CASES)
def test_patching_and_its_slope_as_by_hooks(name: str, row: int) -> None:
    """T6 and exact patching: every node at every position, in a padded batch. q and k before rotary move alike."""
    bridge, model = bridge_of(name), weights_of(name)
    batch = batch_of(model, PAIRS, each=True)
    exact, first = scores(batch, "exact"), scores(batch, "atp")
    rounded, layers, width = name == "llama", model.shape.n_layers, LENGTHS[row]
    for kind in kinds_of(model):
        if kind in ("k", "v") and model.shape.n_kv_heads < model.shape.n_heads:
            continue  # a hook moves the key that several heads read: below
        units = kind in ("q", "k", "v", "head", "neuron")
        for layer in range(exact[kind].shape[1]):
            hook_name = place(kind, layer, layers, name)
            plain, new = (moved(bridge, PAIRS, row, hook_name, units, part) for part in (0.0, 1.0))
            close(exact[kind][row, layer, :, :width], new - plain, 1e-4 if rounded else 1e-9)
            if not rounded:
                ends = [moved(bridge, PAIRS, row, hook_name, units, part) for part in (STEP, -STEP)]
                close(first[kind][row, layer, :, :width], (ends[0] - ends[1]) / (2 * STEP), 2e-6)


@pytest.mark.parametrize("name", ["native rotary, grouped, gated", "llama"])
def test_a_shared_key_is_all_keys_of_its_group(name: str) -> None:
    """The hook of a key/value head moves it for the whole group: patching all its heads, and their AtP summed."""
    from scrub.proposals.nodes import node_of
    from scrub.proposals.patching import PlacedNode, effects

    bridge, model = bridge_of(name), weights_of(name)
    batch, width = batch_of(model, PAIRS, each=True, pick=[0]), LENGTHS[0]
    first, shared = scores(batch, "atp", ("k", "v")), model.shape.n_kv_heads
    for kind in ("k", "v"):
        for layer in range(model.shape.n_layers):
            hook_name = place(kind, layer, 2)
            plain, new = (moved(bridge, PAIRS, 0, hook_name, True, part) for part in (0.0, 1.0))
            cases = [
                frozenset(PlacedNode(node_of(kind, layer, 2 * g + i), t) for i in range(2))
                for g in range(shared)
                for t in range(width)
            ]
            found = effects(batch, cases, lambda n: None)[:, 0].reshape(shared, width)
            close(found, new - plain, 1e-4 if name == "llama" else 1e-9)
            if name != "llama":
                ends = [moved(bridge, PAIRS, 0, hook_name, True, part) for part in (STEP, -STEP)]
                close(grouped(first[kind][0, layer], shared), (ends[0] - ends[1]) / (2 * STEP), 2e-6)


@pytest.mark.parametrize("name", ["gpt2", "neox parallel"])
def test_what_an_mlp_reads_as_by_its_hook(name: str) -> None:
    """The slope of the fork before an MLP's norm is the gradient at `mlp_input`."""
    bridge, model = bridge_of(name), weights_of(name)
    batch = batch_of(model, PAIRS, each=True, pick=[0])
    run, other = batch.forward(), batch.swapped.forward()
    gradients = run.gradients([("mlp_input", layer) for layer in range(2)])
    bridge.set_use_hook_mlp_in(True)
    try:
        for layer in range(2):
            hook_name = f"blocks.{layer}.hook_mlp_in"
            delta = (other.nodes["mlp_input", layer] - run.nodes["mlp_input", layer]).detach()
            ends = [moved(bridge, PAIRS, 0, hook_name, False, part) for part in (STEP, -STEP)]
            close((delta * gradients["mlp_input", layer]).sum(-1), (ends[0] - ends[1]) / (2 * STEP), 2e-6)
    finally:
        bridge.set_use_hook_mlp_in(False)


def swept(model: Transformer, told: Text, direction: str, at: Any) -> dict[tuple[str, str | None], float]:
    """The effects by `scrub.sweep`'s machinery: paired ablation, every head, attention, MLP and the embedding."""
    count = len(told.base)
    rows = [*zip(told.base, range(count, 2 * count), told.labels, strict=True)]
    rows += [*zip(told.source, range(count), told.labels, strict=True)]
    data = Dataset.from_rows(
        {"tokens": tokens, "positions": {"END": len(tokens) - 1}, "columns": {"a": a, "b": b, "pair": pair}}
        for tokens, pair, (a, b) in rows
    )
    experiment = resolve(
        TransformerGraph("tiny", model.shape), data, parse_metric("logit_diff(a, b)"), None,
        Protocol(ablation="paired", direction=direction), answer=parse_slots("END")[0], output=Component("logits"),
        rows=np.arange(count), reference=None, group=None, pair="pair", through=(),
    )  # fmt: skip
    to = "~all~> logits"
    cases = cases_of("embed heads attn mlps" if model.shape.d_mlp else "embed heads attn", to, at, experiment.graph)
    bench = bench_for(experiment, model, [path for _, paths in cases for path in paths], 0, None)
    found = sweep_paths(bench, cases, to, {})
    return {(effect.sender, effect.at): effect.effect for effect in found.effects}


def name_of(kind: str, layer: int, unit: int) -> str:
    return {"embed": "embed", "head": f"{layer}.{unit}"}.get(kind, f"{kind} {layer}")


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("name", ["gpt2", "neox parallel", "native rotary, grouped, gated", "llama"])
def test_patching_is_the_sweep(name: str, direction: str) -> None:
    """Noising patches the pair into the row, denoising the row into its pair; labels are the row's own."""
    model = weights_of(name)
    told = PAIRS if direction == "noising" else Text(PAIRS.source, PAIRS.base, PAIRS.labels)
    for at in (None, 2):
        batch = batch_of(model, told, each=at is not None)
        known, compared = swept(model, PAIRS, direction, at), 0
        for kind in {"embed", "head", "attn", "mlp"} & set(kinds_of(model)):
            found = scores(batch, "exact", (kind,))[kind].mean(0)
            for layer, unit in np.ndindex(*found.shape[:2]):
                sender = name_of(kind, layer, unit)
                expected = next(effect for (s, _), effect in known.items() if str(s) == sender)
                ours = float(found[layer, unit, 0 if at is None else at])
                assert ours == pytest.approx(expected, rel=1e-9, abs=1e-10)
                compared += abs(ours) > 1e-3
        assert compared > 5


def test_what_asks_for_a_sum_is_refused_where_the_stream_is_normed() -> None:
    batch = batch_of(weights_of("bert"), PAIRS)
    with pytest.raises(ClaimError, match="direct effects of BertForMaskedLM are not known: it norms its stream"):
        scores(batch, "dla")
    with pytest.raises(ClaimError, match=r"estimates of edges of BertForMaskedLM .* Use components"):
        find("eap").edges(batch, Asked(()))


def test_all_of_a_layer_is_its_joint_patch() -> None:
    """Every head of a layer together is the layer's attention; the stream of the last layer is the source's run."""
    batch: PatchBatch = batch_of(weights_of("gpt2"), PAIRS)
    heads = joint(batch, [("head", 0), ("head", 1)])
    close(heads, scores(batch, "exact", ("attn",))["attn"][:, :, 0, 0].T, 1e-11)
    whole = joint(batch, [("resid", 2)])[0]
    close(whole, (batch.swapped.forward().metric - batch.forward().metric).detach(), 1e-11)
