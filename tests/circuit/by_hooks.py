"""Runs of circuits by a bridge's own hooks, one forward pass after the other, and the models that they run on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from oracle import EMBED, LOGITS, POS, Live, Passed, Values, own_run
from torch import Tensor

from engine.hooked import Edit, Hooked, mixed_rows
from model.tiny_models import bridged, hugging_face, native
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.model.transformer import adapt, bridge_of

DATA = mixed_rows()
ROW, DONOR = 2, 7  # of 8 and 9 tokens, their names elsewhere
SLOTS = (Slot("A"), Slot("END"))
NOTHING: Passed = frozenset()
Row = tuple[int, ...]


def forked(bridge: Any) -> Any:
    """A bridge in which every head's q, k and v and every MLP have an input of their own."""
    bridge.set_use_split_qkv_input(True)
    bridge.set_use_hook_mlp_in(True)
    return bridge


class Twin(Hooked):
    """A Llama whose bridge has keys and values of its own for every query head, while the oracle's are shared."""

    @property
    def weights(self) -> Any:
        return _grouped()


@cache
def _grouped() -> Any:
    return adapt(bridged("LlamaForCausalLM", num_hidden_layers=3), dtype=torch.float64)


def _ungrouped() -> Any:
    """The same Llama, keys and values written out for every query head."""
    grouped = hugging_face("LlamaForCausalLM", num_hidden_layers=3).to(torch.float64)
    single = hugging_face("LlamaForCausalLM", num_hidden_layers=3, num_key_value_heads=4).to(torch.float64)
    state = grouped.state_dict()
    for name in state:
        if "k_proj" in name or "v_proj" in name:
            state[name] = state[name].unflatten(0, (2, 4)).repeat_interleave(2, 0).flatten(0, 1)
    single.load_state_dict(state)
    return bridge_of(single, "twin")


ROTARY: dict[str, Any] = {"positional_embedding_type": "rotary", "n_key_value_heads": 2, "gated_mlp": True}
MODELS: dict[str, Callable[[], Hooked]] = {
    "gpt2": lambda: Hooked(forked(bridged("GPT2LMHeadModel", n_layer=3)), 1e-10),
    "neox parallel": lambda: Hooked(forked(bridged("GPTNeoXForCausalLM", num_hidden_layers=3)), 1e-10),
    # a Llama of Hugging Face computes norms and angles in fp32, whatever its weights are
    "llama, grouped": lambda: Twin(forked(_ungrouped()), 3e-5),
    "native rotary, grouped": lambda: Hooked(native(n_layers=3, act_fn="silu", **ROTARY), 1e-10),  # has no forks
}
FORKED = [name for name in MODELS if not name.startswith("native")]
NORMED = {"bert": lambda: Hooked(bridged("BertForMaskedLM", num_hidden_layers=3), 1e-10)}  # no sum of writers
model_of = cache(lambda name: (MODELS | NORMED)[name]())


def agrees(found: Tensor, expected: Tensor, model: Hooked) -> None:
    torch.testing.assert_close(found, expected, rtol=model.tolerance, atol=model.tolerance)


def differs(found: Tensor, other: Tensor) -> None:
    assert (found - other).abs().max() > 1e-2


def coin(seed: int) -> Live:
    """A mask: for every key (component or edge, and position) true or false, always the same."""

    @cache
    def live(*key: Any) -> bool:
        return random.Random(f"{seed} {' '.join(map(str, key))}").random() < 0.5

    return live


def tokens(row: int) -> tuple[int, ...]:
    return DATA.rows[row].tokens


def writers(model: Hooked) -> list[Component]:
    return list(own_run(model.weights, tokens(ROW))[0])


def hooked_values(model: Hooked, row: int, where: Sequence[int]) -> Values:
    """What the hooks of all writers carry on a row, at some indices: z for a head."""
    own = model.own(tokens(row))
    places = {c: model.where(c, list(where)) for c in writers(model)}
    return {component: own[hook][index] for component, (hook, index) in places.items()}


def mixed(live: Callable[[int], bool], one: Tensor, two: Tensor) -> Tensor:
    return torch.stack([one[t] if live(t) else two[t] for t in range(len(one))])


def putting(model: Hooked, values: Values) -> dict[str, Edit]:
    """Edits that give components the values `[t, ...]`; other heads of a layer stay as they are."""
    found: dict[str, list[tuple[Any, Tensor]]] = {}
    for component, value in values.items():
        hook, index = model.where(component, slice(None))
        found.setdefault(hook, []).append((index, value))

    def edit(puts: list[tuple[Any, Tensor]]) -> Edit:
        def put(value: Tensor) -> Tensor:
            for index, new in puts:
                value[(0, *index)] = new
            return value

        return put

    return {hook: edit(puts) for hook, puts in found.items()}


def components_by_hooks(model: Hooked, base: Values, frozen: Values, live: Live) -> Tensor:
    """One forward in which every writer's hook takes frozen values where it is not live."""
    edits: dict[str, list[tuple[Any, Tensor]]] = {}
    for c in writers(model):
        if c in (EMBED, POS):
            hook, index = model.where(c, slice(None))
            edits.setdefault(hook, []).append((index, mixed(lambda t, c=c: live(c, t), base[c], frozen[c])))
            continue
        for t in range(len(tokens(ROW))):
            if not live(c, t):
                hook, index = model.where(c, t)
                edits.setdefault(hook, []).append((index, frozen[c][t]))
    patches = [(hook, index, value) for hook, puts in edits.items() for index, value in puts]
    return model.patched(tokens(ROW), patches)["logits"]


def edges_by_hooks(model: Hooked, base: Values, frozen: Values, live: Live, passed: Passed) -> Tensor:
    """Forward passes: one for what each channel reads, then one for what a layer's heads (or its MLP) make of it.

    In the pass for a channel, every writer that is not passed through is put at what this channel reads of it.
    """
    row = tokens(ROW)
    known: Values = {c: base[c] for c in writers(model) if c in (EMBED, POS)}

    def stream(receiver: Component, channel: str, keep: Sequence[str]) -> dict[str, Tensor]:
        puts = {
            s: mixed(lambda t, s=s: live(s, receiver, channel, t), value, frozen[s]) for s, value in known.items()
        }
        return model.run(row, putting(model, puts), keep)

    for layer in range(model.layers):
        block, heads = f"blocks.{layer}", [Component("head", layer, h) for h in range(4)]
        edits: dict[str, Edit] = {}
        for channel in ("q", "k", "v"):
            pre = [stream(h, channel, [f"{block}.hook_resid_pre"])[f"{block}.hook_resid_pre"] for h in heads]
            edits[f"{block}.attn.hook_{channel}_input"] = constant(torch.stack(pre, dim=1))
        z = model.run(row, edits, [f"{block}.attn.hook_z"])[f"{block}.attn.hook_z"]
        known.update({h: z[:, i] for i, h in enumerate(heads) if h not in passed})
        neuron = Component("mlp", layer)
        if neuron not in passed:
            read = stream(neuron, "input", [f"{block}.hook_mlp_in"])[f"{block}.hook_mlp_in"]
            out = model.run(row, {f"{block}.hook_mlp_in": constant(read)}, [f"{block}.hook_mlp_out"])
            known[neuron] = out[f"{block}.hook_mlp_out"]
    return stream(LOGITS, "input", [])["logits"]


def constant(value: Tensor) -> Edit:
    return lambda _: value[None].clone()


def direct_paths(model: Hooked, clean: Row, corrupted: Row, channel: str) -> list[tuple[Component, Tensor]]:
    """TransformerLens' own: head 0.1's clean write for one channel of a later head, in the corrupted run.

    The logits for every third head of layers 1 and 2; some differ from the plain run where it ends.
    """
    from transformer_lens.patching import get_act_patch_direct_path

    assert len(clean) == len(corrupted)
    caches = [{"blocks.0.attn.hook_z": model.own(row)["blocks.0.attn.hook_z"][None]} for row in (clean, corrupted)]
    theirs: list[Tensor] = []

    def metric(logits: Tensor) -> Tensor:
        theirs.append(logits[0])
        return logits.sum()

    with torch.no_grad():
        batch: Any = torch.tensor([corrupted])
        get_act_patch_direct_path(model.bridge, batch, *caches, metric, 0, 1, channel, verbose=False)  # type: ignore
    receivers = [Component("head", layer, head) for layer in (1, 2) for head in range(4)]
    assert len(theirs) == len(receivers)
    differs(torch.stack(theirs)[:, -1], model.plain(corrupted)[-1])
    return list(zip(receivers, theirs, strict=True))[::3]
