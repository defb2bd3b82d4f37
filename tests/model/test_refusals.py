"""What is refused says of which architecture, what is not understood, its value, and what would do instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.tiny_models import bridged, hugging_face
from scrub.errors import ModelError
from scrub.model.source import find
from scrub.model.transformer import adapt, wrapped

LISTED = "docs/models.md lists the architectures that are read."


def refused(kind: str, **changes: Any) -> Callable[[Path], object]:
    return lambda _: adapt(bridged(kind, torch.float32, **changes), name="mine")


def described(**config: Any) -> Callable[[Path], object]:
    def tried(folder: Path) -> object:
        (folder / "config.json").write_text(json.dumps(config))
        return find(str(folder))

    return tried


@pytest.mark.parametrize(
    ("tried", "sentences"),
    [
        (refused("LlamaForCausalLM", attention_chunk_size=8),
         ["mine (LlamaForCausalLM) has attention in chunks (attention_chunk_size 8), which is not supported.",
          "A revision whose configuration leaves attention_chunk_size out may be;"]),
        (refused("LlamaForCausalLM", attention_chunk_size=8, lm_head_multiplier=2.0),
         ["attention in chunks (attention_chunk_size 8) and multiplied logits (lm_head_multiplier 2.0), which",
          "leaves attention_chunk_size and lm_head_multiplier out may be;"]),
        (refused("FalconForCausalLM", alibi=True),
         ["mine (FalconForCausalLM) has ALiBi that TransformerLens adds twice (alibi True), which is not"]),
        (refused("MambaForCausalLM"),
         ["mine (MambaForCausalLM) has a recurrent state and layers without attention", "No other revision or"]),
        (refused("GPT2LMHeadModel", scale_attn_weights=False),
         ["mine (GPT2LMHeadModel) gives other logits in TransformerLens than by itself, by up to 0."]),
        (refused("Gemma3ForCausalLM", head_dim=4, query_pre_attn_scalar=4, attn_logit_softcapping=2.0),
         ["mine (Gemma3ForCausalLM) gives other logits in TransformerLens", "would not be this model; docs/"]),
        (refused("StableLmForCausalLM"), ["than by itself, by up to "]),  # a single rotary number
        (refused("GPT2LMHeadModel", activation_function="mish"),
         ["mine (GPT2LMHeadModel) is not built like", "its activation 'mish' is none of gelu, ",
          "(act_fn, or hidden_act, says it)", "Another revision of it, or a bridge whose weights are raw, may be;"]),
        (lambda _: wrapped(hugging_face("BioGptForCausalLM")),
         ["TransformerLens does not load BioGptForCausalLM", "Unsupported architecture: BioGptForCausalLM;"]),
        (described(model_type="t5", is_encoder_decoder=True),
         ['an encoder with a decoder ("t5"), as is_encoder_decoder says', "No other revision or processing of it"]),
        (described(model_type="vit"),
         ["the family 'vit' gives no logits of tokens (architectures [])", "head can be tested;"]),
        (described(model_type="mamba", vocab_size=31, hidden_size=16),
         ["(MambaForCausalLM) has a recurrent state", "No other revision or processing of it is;"]),
    ],
)  # fmt: skip
def test_a_refusal_says_what_it_is_about_and_what_would_do(
    tried: Callable[[Path], object], sentences: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as told:
        tried(tmp_path)
    text = str(told.value)
    assert [sentence for sentence in sentences if sentence not in text] == [], text
    assert text.endswith(LISTED)
    assert "\n" not in text


def test_other_words_and_other_classes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="load one with a language model's head, GPT2LMHeadModel"):
        wrapped(hugging_face("GPT2Model"))
    with pytest.raises(ModelError, match=r"'num_hidden_layers' is missing \(is it 'num_hiden_layers'\?\)"):
        described(model_type="llama", num_hiden_layers=2)(tmp_path)
    with pytest.raises(ModelError, match=r"rope_type 'dynamic'; default, linear, llama3 and yarn do not"):
        adapt(bridged("LlamaForCausalLM", torch.float32,
                      rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}))  # fmt: skip


def test_weights_that_are_brought_as_they_run_are_refused() -> None:
    """They are nowhere while nothing runs: for a check as for a test."""
    bridge = bridged("GPT2LMHeadModel")
    bridge.original_model.transformer.h[1].to("meta")
    told = (
        r"lie on no device \(transformer.h.1.ln_1.weight, .* and 15 more\).*Give every layer a device, or .*--stream"
    )
    for refused in (adapt, find):
        with pytest.raises(ModelError, match=told):
            refused(bridge)


def test_a_model_that_does_not_run_in_the_dtype_of_its_weights_is_told_another() -> None:
    """XGLM masks by a number that no fp32 holds."""
    bridge = bridged("XGLMForCausalLM", ffn_dim=24, num_key_value_heads=4)
    told = r"mine \(XGLMForCausalLM\) does not run .*: value cannot .* are in float64: .*--dtype float32, .*float\(\)"
    with pytest.raises(ModelError, match=told):
        adapt(bridge, name="mine", dtype=None)
