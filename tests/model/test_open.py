"""Weights must have the shape that the claim was checked against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

from model.tiny_models import hugging_face
from scrub.anatomy.transformer import TransformerGraph
from scrub.errors import ModelError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.precision import own_of
from scrub.model.source import Streamed, find
from scrub.verbs.setup import model_record


def test_zoo_weights_have_the_shape_of_their_card() -> None:
    for name in ("induction", "brackets", "names", "compiled-induction", "compiled-compose"):
        source = find(f"zoo:{name}")
        assert open_weights(source, Backend()).shape.n_layers == source.graph.shape.n_layers


def test_weights_of_another_shape_are_refused() -> None:
    source = find("zoo:induction")
    assert isinstance(source.graph, TransformerGraph)
    other = evolve(source, graph=evolve(source.graph, shape=evolve(source.graph.shape, n_heads=8, d_mlp=64)))
    with pytest.raises(ModelError, match=r"n_heads 4 instead of 8, d_mlp 0 instead of 64\. Give the loaded"):
        open_weights(other, Backend())


def test_a_directory_is_computed_in_its_own_half_precision(tmp_path: Path) -> None:
    """And in any other that is asked for; the weights are the same ones."""
    module: Any = hugging_face("LlamaForCausalLM").to(torch.bfloat16)
    module.save_pretrained(tmp_path)
    source = find(str(tmp_path))
    found = {dtype: open_weights(source, Backend(dtype=dtype)) for dtype in ("auto", "float32", "float16")}
    told = {dtype: model_record(source, weights)["dtype"] for dtype, weights in found.items()}
    assert told == {"auto": "bfloat16", "float32": "float32", "float16": "float16"}
    assert found["auto"].revision == found["float32"].revision
    assert open_weights(find("zoo:induction"), Backend()).precision == torch.float32


def test_a_model_in_double_precision_is_computed_in_it(tmp_path: Path) -> None:
    """Loaded, from its directory and from its files; what has some weights in fp32 is computed in fp32."""
    module: Any = hugging_face("LlamaForCausalLM").double()
    module.save_pretrained(tmp_path)
    for given in (module, str(tmp_path), Streamed(tmp_path)):
        source = find(given)
        found = {dtype: open_weights(source, Backend(dtype=dtype)) for dtype in ("auto", "float32")}
        told = {dtype: model_record(source, weights)["dtype"] for dtype, weights in found.items()}
        assert told == {"auto": "float64", "float32": "float32"}
    mixed: Any = hugging_face("LlamaForCausalLM").double()
    mixed.lm_head.float()
    assert own_of(mixed) == torch.float32


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ModelError, match=r"dtype 'bfloat6' is unknown\. Did you mean 'bfloat16'\? There are auto"):
        open_weights(find("zoo:induction"), Backend(dtype="bfloat6"))
