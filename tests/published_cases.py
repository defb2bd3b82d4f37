"""Directories of the shapes of published circuits' models, with a tokenizer and without weights."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[1] / "hypotheses"
DATA = Path(os.environ.get("SCRUB_TEST_DATA", GALLERY.parents[1] / "shared" / "data"))
TOKENIZER = DATA / "gpt2-tokenizer"
needs_tokenizer = pytest.mark.skipif(not TOKENIZER.is_dir(), reason=f"no GPT-2 tokenizer at {TOKENIZER}")

GPT2 = {"model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257, "n_positions": 1024}
ATTN_ONLY = {
    "model_type": "transformer_lens_native", "attn_only": True, "n_layers": 4, "n_heads": 8, "d_model": 512,
    "d_head": 64, "d_vocab": 50257, "n_ctx": 1024, "positional_embedding_type": "standard",
    "normalization_type": "LN",
}  # fmt: skip
GEMMA = {
    "model_type": "gemma", "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1,
    "head_dim": 256, "hidden_size": 2048, "intermediate_size": 16384, "vocab_size": 256000,
    "max_position_embeddings": 8192,
}  # fmt: skip
MODELS = {
    "ioi": ("gpt2", GPT2),
    "greater_than": ("gpt2", GPT2),
    "induction_gpt2": ("gpt2", GPT2),
    "docstring": ("attn-only-4l", ATTN_ONLY),
    "agreement": ("gemma-2b", GEMMA),
}


def outline(claim: str, folder: Path) -> Path:
    """A directory below `folder` with the shape of a claim's model and the tokenizer of GPT-2."""
    name, config = MODELS[claim]
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(config))
    shutil.copy(TOKENIZER / "tokenizer.json", place)
    return place
