"""The adapter: our numbers are the bridge's own, the bridge stays as it was, and what differs is refused."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from model.tiny_models import EXACT, ROUNDED, bridged, native, shared
from scrub.errors import ModelError
from scrub.model.digest import digest
from scrub.model.layers import (
    Scoring,
    attend,
    expand,
    neurons,
    norm,
    project,
    some_neurons,
    unembed,
    visible,
    write,
)
from scrub.model.selfcheck import probe, self_check
from scrub.model.trace import trace
from scrub.model.transformer import adapt, official_name
from scrub.model.weights import Transformer
from scrub.proposals.rules import RELP, steps_of

F64 = torch.float64


LATER = (
    "gemma 2, norms after, caps", "gemma 3, angles by type of layer", "mixtral, experts", "granite, multipliers",
    "gpt-oss, sinks", "deepseek 3, latents", "nanochat", "exaone 4", "apertus, an activation with weights",
    "command-r, norms by head", "stablelm 2, norms by head",
)  # fmt: skip
UNTURNED = ("deepseek 3, latents", "nanochat", "exaone 4", "apertus, an activation with weights", "gpt-oss, sinks")


@pytest.mark.parametrize("kind", EXACT)
def test_fp64_logits_are_the_bridges_own_to_rounding(kind: str) -> None:
    bridge = shared(kind)
    model = adapt(bridge, dtype=F64)
    assert self_check(model, bridge, *probe(model, 16)) < 1e-10


@pytest.mark.parametrize("kind", ROUNDED)
def test_where_the_bridge_rounds_to_fp32_inside_we_agree_to_fp32(kind: str) -> None:
    bridge = shared(kind)
    model = adapt(bridge, dtype=F64)
    assert self_check(model, bridge, *probe(model, 16)) < 1e-5


@pytest.mark.parametrize("kind", [*EXACT, *ROUNDED])
def test_fp32_logits_agree(kind: str) -> None:
    bridge = shared(kind)
    model = adapt(bridge, dtype=torch.float32)
    assert {model.dtype, model.blocks[1].attn.W_Q.dtype} == {torch.float32}
    assert self_check(model, bridge, *probe(model, 16)) < 2e-5


def test_the_shape_says_what_the_architecture_is() -> None:
    shape = adapt(bridged("MistralForCausalLM", sliding_window=3)).shape
    assert (shape.n_layers, shape.n_heads, shape.n_kv_heads, shape.d_mlp) == (2, 4, 2, 24)
    assert (shape.positions, shape.parallel, shape.causal, shape.d_vocab) == ("rotary", False, True, 31)
    assert adapt(bridged("GPTNeoXForCausalLM")).shape.parallel
    attention_only = adapt(native(attn_only=True, attention_dir="bidirectional")).shape
    assert (attention_only.d_mlp, attention_only.causal, attention_only.positions) == (0, False, "learned")


def test_windows_are_per_layer() -> None:
    model = adapt(ROUNDED["qwen2 with a window in its last layer"]())
    assert [block.attn.window for block in model.blocks] == [None, 3]
    local = adapt(ROUNDED["gpt-neo local and global"]())
    assert [block.attn.window for block in local.blocks] == [None, 4]


def test_both_rotary_conventions_are_recognised() -> None:
    assert not adapt(bridged("LlamaForCausalLM")).blocks[0].attn.rotary.interleaved
    assert adapt(native(positional_embedding_type="rotary")).blocks[0].attn.rotary.interleaved
    assert adapt(bridged("GPTJForCausalLM", rotary_dim=2)).blocks[0].attn.rotary.interleaved


def recorded(model: Transformer, tokens: Tensor) -> dict[tuple[str, int], Tensor]:
    kept: dict[tuple[str, int], Tensor] = {}
    lengths = torch.full((len(tokens),), tokens.shape[1])
    trace(model, tokens, lengths, lambda kind, layer, value: kept.update({(kind, layer): value}))
    return kept


NORMED = [kind for kind in EXACT if "norms of the stream itself" in kind]
AT_LN2 = re.compile(r"ln2|resid_mid")
BARE = ("gpt2 without norms", "gpt2 with folded norms", "solu, a norm of neurons")


@pytest.mark.parametrize(
    "kind", ["gpt2", *NORMED, *BARE, "neox parallel", "neox sequential", "llama", "qwen3 with head norms", *LATER]
)
@torch.no_grad()
def test_what_is_recorded_is_what_the_hooks_see(kind: str) -> None:
    bridge = shared(kind)
    tolerance = 1e-10 if kind in EXACT else 1e-5
    model = adapt(bridge, dtype=F64)
    tokens, _ = probe(model, 9)
    # the hooks at the second norm of OPT-350m take its stream apart
    _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: "opt" not in kind or not AT_LN2.search(name))
    kept = recorded(model, tokens)
    for layer in range(2):
        where = f"blocks.{layer}."
        wanted = {
            "resid_pre": cache[where + "hook_resid_pre"],
            "v": cache[where + "attn.hook_v"],
            "z": cache[where + "attn.hook_z"],
            "mlp_out": cache[where + "hook_mlp_out"],
        }
        if model.shape.positions == "learned":
            wanted |= {"q": cache[where + "attn.hook_q"], "k": cache[where + "attn.hook_k"]}
        elif kind in ROUNDED and kind not in UNTURNED:  # the hooks after rotary do not fire on NeoX
            turned = {name: cache[f"{where}attn.hook_rot_{name}"] for name in ("q", "k")}
            wanted |= {name: value.reshape_as(kept[name, layer]) for name, value in turned.items()}
        if kind in NORMED:  # whose `hook_attn_out` has the stream after its norm
            out = kept["attn_out", layer] + model.blocks[layer].attn.b_O
            mid = "mlp.hook_in" if "gpt" in kind else "ln1.hook_out" if "opt" in kind else "hook_attn_out"
            wanted |= {"resid_mid": cache[where + mid]}
            kept["attn_out", layer] = out
            wanted |= {"attn_out": cache[where + "attn.o.hook_out"]}
        if "latents" in kind:  # the hook has the heads before the positions
            del wanted["v"]
        for name, value in wanted.items():
            error = (kept[name, layer].reshape(value.shape) - value).abs().max().item()
            assert error < tolerance, (name, layer)
    last = "ln2.hook_out" if kind in NORMED and "opt" not in kind else "hook_resid_post"
    assert (kept["resid_pre", 2] - cache[f"blocks.1.{last}"]).abs().max().item() < tolerance


@torch.no_grad()
def test_one_head_is_the_bridges_hook_result() -> None:
    bridge = EXACT["gpt2"]()
    bridge.set_use_attn_result(True)
    model = adapt(bridge, dtype=F64)
    tokens, _ = probe(model, 9)
    _, cache = bridge.run_with_cache(tokens)
    results, block = cache["blocks.1.attn.hook_result"], model.blocks[1]
    positions, heads = torch.arange(9).expand(tokens.shape), [2, 1]
    read = norm(block.ln1, recorded(model, tokens)["resid_pre", 1])
    q, k, v = (project(block.attn, channel, read, heads, positions) for channel in "qkv")
    mask = visible(block.attn, positions, positions, torch.full((len(tokens),), 9))
    z = attend(q, k, v, mask, Scoring(block.attn.scale))
    for place, head in enumerate(heads):
        torch.testing.assert_close(write(block.attn, z[:, :, [place]], [head]), results[:, :, head])


@torch.no_grad()
def test_grouped_heads_from_three_different_streams_are_split_hooks() -> None:
    bridge = bridged("LlamaForCausalLM", dtype=torch.float32)
    bridge.set_use_split_qkv_input(True)
    bridge.set_use_attn_result(True)
    model = adapt(bridge)
    shape, tokens = model.shape, probe(model, 8)[0]
    streams = dict(zip("qkv", torch.randn(3, 4, 8, 16, generator=torch.Generator().manual_seed(1)), strict=True))
    seen: dict[str, Tensor] = {}

    def put(channel: str) -> Any:
        return lambda value, hook: streams[channel].unsqueeze(2).expand_as(value).clone()

    hooks = [(f"blocks.0.hook_{c}_input", put(c)) for c in "qkv"]
    hooks.append(("blocks.0.attn.hook_result", lambda value, hook: seen.update(result=value)))
    bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    attn, positions = model.blocks[0].attn, torch.arange(8).expand(4, 8)
    q, k, v = (project(attn, c, norm(model.blocks[0].ln1, streams[c]), None, positions) for c in "qkv")
    mask = visible(attn, positions, positions, torch.full((4,), 8))
    z = attend(q, expand(attn, k), expand(attn, v), mask, Scoring(attn.scale))
    for head in range(shape.n_heads):
        ours = write(attn, z[:, :, [head]], [head])
        torch.testing.assert_close(ours, seen["result"][:, :, head], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padded_rows_are_the_bridges_masked_rows() -> None:
    bridge = native(attention_dir="bidirectional").eval()
    model = adapt(bridge, dtype=F64)
    tokens, lengths = probe(model, 12)
    real = torch.arange(12) < lengths[:, None]
    theirs = bridge(tokens, attention_mask=real.long())
    torch.testing.assert_close(unembed(model, trace(model, tokens, lengths))[real], theirs[real])


def test_the_bridge_stays_as_it_was_and_weights_that_are_cast_are_copies() -> None:
    bridge = native()
    assert bridge.training
    bridge.blocks[0].eval()
    modes = {name: module.training for name, module in bridge.named_modules()}
    before = torch.random.get_rng_state()
    model = adapt(bridge, dtype=F64)
    assert {name: module.training for name, module in bridge.named_modules()} == modes
    assert torch.equal(torch.random.get_rng_state(), before)
    cast = adapt(bridge, dtype=torch.float32)
    kept = cast.blocks[0].attn.W_Q.clone()
    with torch.no_grad():
        for parameter in bridge.original_model.parameters():
            parameter.zero_()
    assert torch.equal(cast.blocks[0].attn.W_Q, kept)
    assert not model.blocks[0].attn.W_Q.requires_grad
    assert cast.W_E.abs().max() > 0


def test_dropout_of_a_model_in_training_does_not_reach_the_check() -> None:
    bridge = bridged("GPT2LMHeadModel", resid_pdrop=0.5)
    bridge.original_model.train()
    adapt(bridge, dtype=F64)
    assert bridge.original_model.training


def test_weights_that_are_cast_are_no_views_of_the_joint_matrix() -> None:
    attn = adapt(bridged("GPT2LMHeadModel"), dtype=torch.float32).blocks[0].attn
    assert attn.W_Q.transpose(1, 2).is_contiguous()
    assert attn.W_Q.untyped_storage().nbytes() == attn.W_Q.numel() * attn.W_Q.element_size()


def test_tied_embeddings_stay_tied_and_untied_ones_apart() -> None:
    assert adapt(bridged("GPT2LMHeadModel")).tied
    assert not adapt(bridged("GPT2LMHeadModel", tie_word_embeddings=False)).tied


def test_compatibility_mode_is_accepted_and_recorded() -> None:
    bridge = EXACT["gpt2"]()
    raw = adapt(bridge, dtype=F64)
    bridge.enable_compatibility_mode(disable_warnings=True)
    folded = adapt(bridge, dtype=F64)
    assert (raw.processing, folded.processing) == ("raw", "compat")
    assert raw.revision != folded.revision
    assert not folded.tied
    tokens, lengths = probe(raw, 9)
    logits = [unembed(m, trace(m, tokens, lengths)).log_softmax(-1) for m in (raw, folded)]
    real = torch.arange(9) < lengths[:, None]
    # TransformerLens folds in fp32 whatever the dtype is.
    torch.testing.assert_close(logits[0][real], logits[1][real], rtol=1e-4, atol=1e-4)


def test_compatibility_mode_without_processing_is_raw() -> None:
    bridge = EXACT["gpt2"]()
    bridge.enable_compatibility_mode(disable_warnings=True, no_processing=True)
    assert adapt(bridge, dtype=F64).processing == "raw"


def test_the_digest_names_the_weights_and_not_their_dtype() -> None:
    bridge = bridged("GPT2LMHeadModel", dtype=torch.float32)
    model = adapt(bridge)
    assert model.revision == digest(model) == adapt(bridge, dtype=F64).revision
    other = attrs.evolve(model, b_U=torch.ones(31))
    assert digest(other) != model.revision


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("OPTForCausalLM", {"word_embed_proj_dim": 8}, "no norm after its last layer"),
        ("Llama4ForCausalLM", {"head_dim": 4, "num_local_experts": 2}, "attention in chunks"),
        ("GPT2LMHeadModel", {"scale_attn_weights": False}, r"than by itself, by up to [\d.]+ standard deviations"),
        (
            "BloomForCausalLM",
            {"apply_residual_connection_post_layernorm": True},
            r"random tokens .* up to [\d.]+ standard deviations",
        ),
    ],
)
def test_other_architectures_are_refused_by_name(kind: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        adapt(bridged(kind, torch.float32, **changes), name="mine")
    assert "mine" in str(caught.value)
    assert kind in str(caught.value)


def test_positions_that_are_counted_past_padding() -> None:
    """RoBERTa: a padding token inside a row would move all positions behind it, and is refused."""
    model = adapt(bridged("RobertaForMaskedLM", pad_token_id=1), dtype=F64)
    assert model.counted_past == 1
    tokens = torch.tensor([[5, 7, 1, 8]])
    trace(model, tokens, torch.tensor([2]))
    with pytest.raises(ModelError, match="a row holds token 1, which RobertaForMaskedLM takes for padding"):
        trace(model, tokens, torch.tensor([3]))


def test_a_bridge_with_an_active_hook_is_refused() -> None:
    bridge = EXACT["gpt2"]()
    bridge.add_hook("blocks.0.attn.hook_z", lambda value, hook: value * 0)
    with pytest.raises(ModelError, match="hooks that change values"):
        adapt(bridge, dtype=F64)


def test_the_self_check_sees_a_single_wrong_number() -> None:
    bridge = EXACT["native"]()
    model = adapt(bridge, dtype=F64)
    wrong = model.W_E.clone()
    wrong[int(probe(model, 16)[0][0, 0]), 0] += 0.1
    with pytest.raises(ModelError, match=r"native \(TransformerLensNative\) is not reproduced"):
        self_check(attrs.evolve(model, W_E=wrong), bridge, *probe(model, 16))
    not_a_number = attrs.evolve(model, W_E=torch.full_like(wrong, torch.nan))
    with pytest.raises(ModelError, match="nan standard deviations"):
        self_check(not_a_number, bridge, *probe(model, 16))


def test_a_window_longer_than_the_probe_is_checked_by_a_longer_probe() -> None:
    bridge = bridged("MistralForCausalLM", torch.float32, sliding_window=20)
    model = adapt(bridge)
    blocks = tuple(attrs.evolve(b, attn=attrs.evolve(b.attn, window=None)) for b in model.blocks)
    blind = attrs.evolve(model, blocks=blocks)
    self_check(blind, bridge, *probe(blind, 16))
    with pytest.raises(ModelError, match="not reproduced"):
        self_check(blind, bridge, *probe(blind, 24))
    assert probe(blind, 1000)[0].shape[1] == 24  # cut to the context


def test_short_names_are_the_hubs_names() -> None:
    assert official_name("gpt2-small") == "gpt2"
    assert official_name("somebody/something") == "somebody/something"


@torch.no_grad()
def test_neurons_of_solu_are_those_that_the_last_matrix_reads() -> None:
    """`hook_post`: each normed with all the others, by whatever rule gradients are taken."""
    bridge = EXACT["solu, a norm of neurons"]()
    model = adapt(bridge, dtype=F64)
    tokens, _ = probe(model, 9)
    _, cache = bridge.run_with_cache(tokens)
    read = norm(model.blocks[1].ln2, recorded(model, tokens)["resid_mid", 1])
    own, wanted = model.blocks[1].mlp, cache["blocks.1.mlp.hook_post"]
    for found in (neurons(own, read), steps_of(RELP).neurons(own, read)):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(some_neurons(own, read, [5, 2]), wanted[..., [5, 2]], rtol=1e-10, atol=1e-12)
