"""What cannot be tested is refused in words about the model: no error of Python's, none of a library's, is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn
from transformer_lens.model_bridge.sources import build_bridge_from_module

from model.tiny_models import EXACT, bridged, hugging_face, native
from scrub.errors import ModelError
from scrub.model.built import running, said_by
from scrub.model.load import load
from scrub.model.source import find
from scrub.model.transformer import adapt, bridge_of, wrapped

OPT: dict[str, Any] = {"ffn_dim": 24, "word_embed_proj_dim": 16, "vocab_size": 31}
T5: dict[str, Any] = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
BART: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "pad_token_id": 1,
}  # fmt: skip
PADDED: dict[str, Any] = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0)
INTERNALS = re.compile(
    r"object has no attribute|missing \d required|Bridge'|NoneType|set_original_component|Traceback"
)


def without_norms(kind: str) -> Any:
    module: Any = hugging_face(kind)
    for name, part in list(module.named_modules()):
        if "norm" in type(part).__name__.lower():
            module.set_submodule(name, nn.Identity())
    return module


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("T5ForConditionalGeneration", T5, "has relative_positional_bias positions and an encoder with a decoder"),
        ("BartForConditionalGeneration", BART, "has an encoder with a decoder"),
        ("MarianMTModel", {**BART, "decoder_start_token_id": 1}, "has an encoder with a decoder"),
        ("OPTForCausalLM", {**OPT, "word_embed_proj_dim": 8}, "has no norm after its last layer"),
        ("ModernBertDecoderForCausalLM", PADDED, "has layers of its own between the last norm and the unembedding"),
        ("LagunaForCausalLM", {"head_dim": 4}, "has gates on what heads read"),
        ("BitNetForCausalLM", {"head_dim": 4}, "has a norm over what all heads of a layer read"),
        ("JetMoeForCausalLM", {"kv_channels": 4}, "has mixtures of attention heads"),
        ("MambaForCausalLM", {}, "has a recurrent state and layers without attention, which"),
    ],
)
def test_what_a_bridge_has_or_lacks_is_said(kind: str, changes: dict[str, Any], reason: str) -> None:
    bridge = bridged(kind, torch.float32, **changes)
    for refuse in (find, load):
        with pytest.raises(ModelError, match=rf"{kind}\) {reason}") as caught:
            refuse(bridge)
        assert not INTERNALS.search(str(caught.value))


def test_norms_that_were_taken_out() -> None:
    for kind in ("GPT2LMHeadModel", "LlamaForCausalLM"):
        model = adapt(bridge_of(without_norms(kind), "mine"))
        assert {model.ln_final.kind, model.blocks[0].ln1.kind, model.blocks[1].ln2.kind} == {"none"}
    bridge = build_bridge_from_module(
        gpt2 := without_norms("GPT2LMHeadModel"), "GPT2LMHeadModel", hf_config=gpt2.config
    )
    with pytest.raises(
        ModelError, match=r"has lost its norms \(nn.Identity .* give the model that it wraps as model="
    ):
        adapt(bridge)  # TransformerLens does not run it so


def test_joint_queries_keys_and_values_need_no_bias() -> None:
    bridge = bridged("GPTNeoXForCausalLM", attention_bias=False)
    assert adapt(bridge, dtype=torch.float64).blocks[0].attn.b_Q.abs().max() == 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_broken_weights_are_named_as_in_their_file(value: float) -> None:
    module, name = hugging_face("GPTNeoXForCausalLM"), "gpt_neox.layers.0.attention.query_key_value.bias"
    with torch.no_grad():
        module.get_parameter(name)[3:5] = value
    for refuse in (find, load):
        with pytest.raises(ModelError, match=rf"NaN or infinite are {re.escape(name)} \(2 of its numbers\)"):
            refuse(module)


def test_broken_weights_of_a_bridge_are_named() -> None:
    bridge = native()
    with torch.no_grad():
        bridge.blocks[1].mlp.out.original_component.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"native .* are layers\.1\.mlp\.fc_out\.weight \(1 of"):
        adapt(bridge)


def test_a_model_that_was_wrapped_twice() -> None:
    module = hugging_face("LlamaForCausalLM")
    bridge_of(module, "once")
    with pytest.raises(ModelError, match="was wrapped by TransformerLens twice: load the model anew"):
        adapt(bridge_of(module, "twice"))
    with pytest.raises(ModelError, match="this LlamaForCausalLM is inside a TransformerBridge already"):
        wrapped(module)


def test_a_model_that_transformer_lens_does_not_know() -> None:
    with pytest.raises(ModelError, match=r"does not load BioGptForCausalLM .*: Unsupported architecture"):
        wrapped(hugging_face("BioGptForCausalLM"))


def test_a_model_without_a_head() -> None:
    with pytest.raises(ModelError, match="of the class GPT2Model gives no logits of tokens"):
        wrapped(hugging_face("GPT2Model"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AttributeError("'BlockBridge' object has no attribute 'x'"), "missing or of another form (AttributeError"),
        (AssertionError(), "missing or of another form (AssertionError"),
        (RuntimeError("CUDA out of memory.\nTried"), "CUDA out of memory"),
    ],
)
def test_errors_of_a_library(error: Exception, said: str) -> None:
    assert said in said_by(error)
    with pytest.raises(ModelError, match=r"mine does not run in TransformerLens: .*[^.]\.$") as caught, \
            running(EXACT["gpt2"](), "mine"):  # fmt: skip
        raise error
    assert not INTERNALS.search(str(caught.value))
