"""Query heads that share a key/value head have keys and values of their own in circuits and paths.

Other tools refuse such models, or patch one of the query heads and change all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from torch import Tensor

import scrub
from model.tiny_models import native
from scrub import Dataset
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer

ROWS = Dataset.from_rows(
    {"tokens": [(5 * i + 3 * t + i * t) % 31 for t in range(4)], "columns": {"a": i, "b": i + 7}} for i in range(6)
)


def grouped() -> Transformer:
    """Query heads 0 and 1 share a key/value head, and so do 2 and 3."""
    return adapt(native(positional_embedding_type="rotary", n_key_value_heads=2))


def last_attention(weights: Transformer, **arrays: Tensor) -> Transformer:
    """The weights with other arrays in the attention of the last layer."""
    *blocks, last = weights.blocks
    return evolve(weights, blocks=(*blocks, evolve(last, attn=evolve(last.attn, **arrays))))


def patched(text: str, model: Transformer, by: str) -> np.ndarray:
    """What an edge's ablation changes on each row, as a circuit or as a path."""
    options: dict[str, Any] = {"model": model, "data": ROWS, "metric": "logit_diff(a, b)", "dtype": "float64"}
    if by == "edges":
        run = scrub.run_circuit(text, without=True, **options)
    else:
        run = scrub.patch_paths(f"{text} ~all~> logits", **options)
    return np.array(run.table["score"]) - np.array(run.table["base"])


@pytest.mark.parametrize("by", ["edges", "paths"])
@pytest.mark.parametrize("channel", ["k", "v"])
def test_heads_that_share_keys_and_values_are_patched_apart(channel: str, by: str) -> None:
    """Head 1.0 writes nothing here, so that its keys and values matter to nobody; those of 1.1 do."""
    weights = grouped()
    W_O = weights.blocks[1].attn.W_O.clone()
    W_O[0] = 0
    silent = last_attention(weights, W_O=W_O)
    assert np.abs(patched(f"embed -> 1.0.{channel}", silent, by)).max() < 1e-9
    assert np.abs(patched(f"embed -> 1.1.{channel}", silent, by)).max() > 1e-2
    apart = [patched(f"embed -> 1.{head}.{channel}", weights, by) for head in (0, 1)]
    assert np.abs(apart[0] - apart[1]).max() > 1e-2


def written_out(weights: Transformer) -> Transformer:
    """The same model with keys and values of its own for every query head."""
    blocks = list(weights.blocks)
    for layer, block in enumerate(blocks):
        arrays = {name: getattr(block.attn, name) for name in ("W_K", "W_V", "b_K", "b_V")}
        twice = {name: None if a is None else a.repeat_interleave(2, 0) for name, a in arrays.items()}
        blocks[layer] = evolve(block, attn=evolve(block.attn, **twice))
    return evolve(weights, shape=evolve(weights.shape, n_kv_heads=4), blocks=tuple(blocks))


@pytest.mark.parametrize("by", ["edges", "paths"])
@pytest.mark.parametrize("edge", ["embed -> 1.0.k", "0.3 -> 1.1.v", "mlp 0 -> 1.3.k", "embed -> 0.1.k"])
def test_grouped_heads_are_those_of_the_model_written_out(edge: str, by: str) -> None:
    found, expected = patched(edge, grouped(), by), patched(edge, written_out(grouped()), by)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
