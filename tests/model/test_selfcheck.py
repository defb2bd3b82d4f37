"""The self-check: on rows of the data, in half precision, of what a configuration says, in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import attrs
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import MixtralConfig, MixtralForCausalLM

import scrub
from model.tiny_models import EXACT, ROUNDED, bridged, hugging_face, native, shared
from scrub.claims.dataset import Dataset
from scrub.errors import ModelError
from scrub.model import selfcheck
from scrub.model.configuration import unknown, unread
from scrub.model.layers import attend, unembed
from scrub.model.selfcheck import probe, probe_data, rounding_check, self_check
from scrub.model.trace import trace
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Mlp, Transformer, lifted

HALF = [torch.bfloat16, torch.float16]
LARGE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 1.0,
    "pad_token_id": 0,
}
LARGE_GPT: dict[str, Any] = {"n_layer": 6, "n_embd": 64, "initializer_range": 1.0}


def dataset(*rows: list[int]) -> Dataset:
    return Dataset.from_rows({"tokens": row} for row in rows)


# Rows of the data

RARE = 250  # in no random row


def clipping() -> Any:
    """A bridge that clips where only one token reaches, and no configuration says so."""
    bridge = bridged("GPT2LMHeadModel", vocab_size=300)
    with torch.no_grad():
        table = bridge.embed.weight
        limit = 1.5 * float(table.abs().max())
        table[RARE] *= 30
    bridge.add_hook("hook_embed", lambda value, hook: value.clamp(-limit, limit))
    return bridge


def test_a_clip_that_only_the_data_reach_is_found_and_the_rows_are_named() -> None:
    bridge, calm, wild = clipping(), [5, 6, 7, 8], [5, RARE, 7]
    adapt(bridge)
    adapt(bridge, data=dataset(calm, [1, 2]))
    with pytest.raises(ModelError, match=r"on row 2 of the data, not on random tokens, our logits differ"):
        adapt(bridge, data=dataset(calm, [1, 2], wild))
    with pytest.raises(ModelError, match=r"on rows 0 and 2 of the data, not on random tokens, our logits differ"):
        adapt(bridge, data=dataset(wild, [1, 2], wild))


def test_rows_of_a_part_of_the_data_have_the_numbers_of_the_whole() -> None:
    model = adapt(bridged("GPT2LMHeadModel"))
    whole = dataset([1], [2, 3], [4, 5, 6])
    part = attrs.evolve(dataset([2, 3], [4, 5, 6]), whole=whole, numbers=torch.tensor([1, 2]).numpy())
    tokens, lengths, numbers = probe_data(model, part)
    assert numbers == (None, None, 2, 1)
    assert tokens[2:].tolist() == [[4, 5, 6], [2, 3, 0]]
    assert lengths.tolist() == [3, 1, 3, 2]


def test_long_rows_are_cut_and_unknown_tokens_left_to_other_words() -> None:
    model = adapt(bridged("GPT2LMHeadModel"))
    tokens, lengths, numbers = probe_data(model, dataset([1] * 40, [99, 1]))
    assert (tokens.shape[1], int(lengths.max()), numbers[2:]) == (24, 24, (0,))


@pytest.mark.parametrize(("floats", "together"), [(2**20, 4), (2 * 6 * 300, 2), (300, 1)])
def test_rows_of_one_length_are_one_run_of_the_bridge_where_a_piece_holds_them(
    floats: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, seen = bridged("GPT2LMHeadModel", vocab_size=300), list[tuple[int, ...]]()
    model, data = adapt(bridge), dataset([1] * 6, [2] * 6, [3] * 4, [4] * 6, [5] * 3)
    bridge.original_model.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    monkeypatch.setattr(selfcheck, "_FLOATS", floats)
    assert self_check(model, bridge, *probe_data(model, data)) < 1e-3
    assert max(rows for rows, _ in seen) == together  # with the random row that is as long
    if together == 4:
        assert sorted(seen) == [(1, 4), (2, 3), (4, 6)]


def test_a_hook_on_all_but_the_first_of_a_batch_is_found() -> None:
    bridge = bridged("GPT2LMHeadModel")
    bridge.add_hook("hook_embed", lambda value, hook: torch.cat([value[:1], 2 * value[1:]]))
    with pytest.raises(ModelError, match="hooks that change values"):
        adapt(bridge, data=dataset([1, 2, 3], [4, 5, 6]))


# Half precision


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("LlamaForCausalLM", LARGE),
        ("Qwen2ForCausalLM", LARGE),
        ("MistralForCausalLM", LARGE),
        ("GraniteForCausalLM", LARGE),
        ("SmolLM3ForCausalLM", {**LARGE, "no_rope_layers": [1] * 4}),
        ("GemmaForCausalLM", {**LARGE, "head_dim": 4}),
        ("NemotronForCausalLM", LARGE),
        ("GPT2LMHeadModel", LARGE_GPT),  # so large that fp32 is off by more than the tolerance
    ],
)
def test_right_models_with_large_weights_are_accepted_in_half_precision(
    kind: str, sizes: dict[str, Any], dtype: torch.dtype
) -> None:
    """And their values are those of the same weights in fp32, and the weights stay what and where they were."""
    module = hugging_face(kind, **sizes).to(dtype)
    exact = hugging_face(kind, **sizes)
    exact.load_state_dict(module.state_dict())
    for (name, own), other in zip(exact.named_buffers(), module.buffers(), strict=True):
        if name.endswith("inv_freq"):  # no weights, but `.to` rounds them too, and the model computes with that
            own.copy_(other)
    bridge = bridge_of(module, kind)
    before = {name: (p.data_ptr(), p.dtype) for name, p in bridge.original_model.named_parameters()}
    model = adapt(bridge)
    assert before == {name: (p.data_ptr(), p.dtype) for name, p in bridge.original_model.named_parameters()}
    tokens, _ = probe(model, 12)
    with torch.no_grad():
        wanted = exact(tokens).logits
        ours = unembed(model, trace(model, tokens, torch.full((len(tokens),), 12)))
    assert (ours - wanted).abs().max() < 1e-3 * wanted.std()
    own = adapt(bridge, dtype=None)
    assert (own.precision, own.dtype, own.ln_final.weight.dtype) == (dtype, torch.float32, torch.float32)
    assert own.revision == model.revision
    held = {parameter.untyped_storage().data_ptr() for parameter in bridge.original_model.parameters()}
    assert all({m.W_in.untyped_storage().data_ptr(), m.W_out.untyped_storage().data_ptr()} <= held for m in mlps(own))


def mlps(model: Transformer) -> list[Mlp]:
    return [block.mlp for block in model.blocks if isinstance(block.mlp, Mlp)]


def test_a_layer_that_is_lifted_is_held_no_longer_than_it_is_used() -> None:
    half = adapt(bridged("LlamaForCausalLM", torch.bfloat16), dtype=None)
    layers = lifted(half, torch.float32).blocks
    first = ref(layers[0])
    assert layers[1].attn.W_Q.dtype == torch.float32
    assert first() is None


def test_large_logits_in_fp16_have_a_spread() -> None:
    """Squares of fp16 overflow from 256 on."""
    bridge = bridged("LlamaForCausalLM", torch.float16)
    with torch.no_grad():
        bridge.original_model.lm_head.weight.mul_(200)
    model = adapt(bridge, dtype=None)
    tokens, lengths = probe(model, 8)
    assert 256 < unembed(model, trace(model, tokens, lengths)).abs().max() < 60_000


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_a_head_scaled_by_a_hook_is_no_rounding(dtype: torch.dtype) -> None:
    bridge = bridged("LlamaForCausalLM", dtype)
    adapt(bridge)
    scale = torch.tensor([1, 1, 0.9, 1], dtype=dtype)[:, None]
    bridge.add_hook("blocks.1.attn.hook_z", lambda value, hook: value * scale)
    with pytest.raises(ModelError, match=r"not reproduced.*hooks that change values"):
        adapt(bridge)


def test_values_in_half_precision_may_round_as_the_model_does_and_no_more() -> None:
    bridge = bridged("LlamaForCausalLM", torch.float32)
    exact = adapt(bridge)
    rows = probe(exact, 16)
    half = adapt(bridge, dtype=torch.bfloat16)
    assert (half.precision, half.dtype) == (torch.bfloat16, torch.float32)
    assert 0.3 < rounding_check(half, exact, bridge, *rows) < 3
    with pytest.raises(ModelError, match="not reproduced"):
        rounding_check(with_head_scaled(half, 0.2), exact, bridge, *rows)


def test_an_expert_that_rounding_changes_for_us_alone_is_no_fault() -> None:
    """Routers of a random model nearly tie: few rows may hold a tie for us, and none for the model itself."""
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=4, vocab_size=64, max_position_embeddings=64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10)
        config = MixtralConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, num_local_experts=16)
        module = MixtralForCausalLM(config).eval().to(torch.bfloat16)
    rows = [{"tokens": [(7 * i + 3 * j * j) % 64 for j in range(4 + i % 2)]} for i in range(20)]
    adapt(bridge_of(module, "mixtral"), dtype=None, data=Dataset.from_rows(rows))


def with_head_scaled(model: Transformer, factor: float) -> Transformer:
    first, last = model.blocks
    W_O = last.attn.W_O.clone()
    W_O[2] *= factor
    return attrs.evolve(model, blocks=(first, attrs.evolve(last, attn=attrs.evolve(last.attn, W_O=W_O))))


def test_hooks_that_do_not_bear_fp32_are_told() -> None:
    bridge = bridged("LlamaForCausalLM", torch.bfloat16)
    wide = torch.ones(16, 1, dtype=torch.bfloat16)
    seen: list[Tensor] = []
    bridge.add_hook("blocks.0.hook_mlp_out", lambda value, hook: seen.append(value @ wide))
    with pytest.raises(ModelError, match=r"does not run with its weights in float32.*take off its hooks"):
        adapt(bridge)


def test_logits_that_are_no_numbers_are_not_blamed_on_the_architecture() -> None:
    bridge = bridged("LlamaForCausalLM", torch.float32)
    with torch.no_grad():
        bridge.original_model.lm_head.weight[3] = 3e38  # every weight is a number, their sum is none
    with pytest.raises(ModelError, match="itself gives logits that are NaN or infinite"):
        adapt(bridge)


# What a configuration says


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("GemmaForCausalLM", {"head_dim": 4, "use_bidirectional_attention": True}, "bidirectional attention"),
        ("LlamaForCausalLM", {"attention_chunk_size": 8}, r"attention in chunks \(attention_chunk_size 8\)"),
    ],
)
def test_a_key_that_changes_the_function_and_is_not_read_is_refused_by_name(
    kind: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelError, match=f"{reason}.*, which is not supported"):
        adapt(bridged(kind, torch.float32, **changes))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("OlmoForCausalLM", {"clip_qkv": 8.0, "pad_token_id": 0}),
        ("Gemma2ForCausalLM", {"head_dim": 4, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
        ("SmolLM3ForCausalLM", {"no_rope_layers": [1, 0], "pad_token_id": 0}),
    ],
)
def test_a_bound_that_no_row_reaches_is_read_all_the_same(kind: str, changes: dict[str, Any]) -> None:
    """The self-check does not see it there: it stands in what was taken."""
    model = adapt(bridged(kind, torch.float32, **changes))
    attn = model.blocks[1].attn
    read = [attn.clip, attn.cap, model.logit_cap, None if attn.rotary else "none"]
    assert (
        read
        == {"O": [8.0, None, None, None], "G": [None, 50.0, 30.0, None], "S": [None, None, None, "none"]}[kind[0]]
    )


def test_a_key_that_is_read_or_does_nothing_is_accepted() -> None:
    adapt(bridged("GraniteForCausalLM", torch.float32, attention_multiplier=0.3))
    adapt(bridged("OlmoForCausalLM", torch.float32, clip_qkv=None, pad_token_id=0))


def test_an_unknown_key_is_told_and_a_harmless_one_is_not() -> None:
    changes = {"florp_scale": 3.0, "florp_off": False, "temperature": 0.6, "resid_florp_dropout": 0.1}
    (note,) = adapt(bridged("LlamaForCausalLM", torch.float32, **changes)).notes
    assert note.startswith("the model's configuration sets florp_scale 3.0, and it is not known here what that does")


@pytest.mark.parametrize(
    "kind", ["GPT2", "GPTNeoX", "Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "OPT", "Phi3", "GPTJ"]
)
def test_nothing_is_told_of_the_configuration_that_a_family_has_by_default(kind: str) -> None:
    import transformers

    config = getattr(transformers, f"{kind}Config")().to_dict()
    assert (unknown(config), list(unread(config))) == ([], [])


# Pieces


@pytest.mark.parametrize("kind", [*EXACT, *ROUNDED])
def test_pieces_are_the_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some positions at a time, with the keys and values of those before them, or one run unembedded in parts."""
    bridge = shared(kind)
    model = adapt(bridge, dtype=torch.float64)
    monkeypatch.setattr(selfcheck, "_FLOATS", 400)
    assert self_check(model, bridge, *probe(model, 24)) < (1e-10 if kind in EXACT else 1e-5)


@pytest.mark.parametrize(
    ("make", "whole"),
    [
        (EXACT["gpt2"], 4 * 24 * 24),  # all scores of a row
        (ROUNDED["llama"], 4 * 24 * 24),
        (lambda: native(d_vocab=500), 24 * 500),  # all logits of a row
        (lambda: bridged("GPT2LMHeadModel", vocab_size=500), 24 * 500),
    ],
)
def test_the_logits_and_scores_of_a_whole_row_are_never_held(
    make: Callable[[], Any], whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make()
    model = adapt(bridge)
    tokens, lengths = probe(model, 24)
    monkeypatch.setattr(selfcheck, "_FLOATS", 8 * model.shape.d_vocab)
    scores: list[int] = []

    def attend_told(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> Tensor:
        scores.append(q.shape[0] * q.shape[2] * q.shape[1] * k.shape[1])
        return attend(q, k, v, mask, scale)

    monkeypatch.setattr(selfcheck, "attend", attend_told)
    largest = Largest()
    with largest:
        self_check(model, bridge, tokens, lengths)
    assert largest.found < whole
    assert max(scores) <= 8 * model.shape.d_vocab  # ours, which one call computes and does not show


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is made."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.found = max([self.found, *(t.numel() for t in (made,) if isinstance(t, Tensor))])
        return made


# Through the verbs


def claim_on(bridge: Any, rows: list[list[int]]) -> scrub.Hypothesis:
    story = scrub.Interpretation()

    @story.variable
    def answer(token: int) -> int:
        return token

    columns = [{"tokens": row, "positions": {"END": -1}, "columns": {"token": row[-1]}} for row in rows]
    setting = {"model": bridge, "data": scrub.Dataset.from_rows(columns), "metric": "kl", "predicts": "token"}

    @scrub.claim(story, **setting, expect=scrub.recovers(0.5))
    def last() -> dict[str, Any]:
        return {"token": scrub.embed("END"), "answer": scrub.logits("END")}

    return last


def test_every_verb_checks_on_the_rows_that_it_reads() -> None:
    rows = [[3, number, 5] for number in range(12)]
    rows[7] = [3, 7, RARE, 5]  # the longest
    with pytest.raises(ModelError, match="on row 7 of the data, not on random tokens"):
        scrub.test(claim_on(clipping(), rows))


def test_a_result_warns_of_what_is_told_of_the_configuration() -> None:
    bridge = bridged("LlamaForCausalLM", torch.float32, florp_scale=3.0)
    result = scrub.test(claim_on(bridge, [[3, number % 5, number] for number in range(12)]), draws=1)
    assert "warning: the model's configuration sets florp_scale 3.0, and it is not known here" in str(result)
