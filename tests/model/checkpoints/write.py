"""Writes the checkpoints beside it. Run once with TransformerLens 2.18.0, whose HookedTransformer they are of:

    python tests/model/checkpoints/write.py

Each file holds a state dict, its configuration as `cfg.to_dict()` gives it, tokens, and the model's logits on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig  # pyright: ignore

SIZES: dict[str, Any] = {
    "n_layers": 2, "d_model": 6, "n_ctx": 5, "d_head": 3, "n_heads": 2, "d_mlp": 7, "d_vocab": 8, "act_fn": "gelu",
    "seed": 0,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "layernorm": {},
    "attention_only": {"attn_only": True, "normalization_type": None, "d_vocab_out": 4},
    "folded": {"normalization_type": "LNPre", "act_fn": "gelu_new", "attention_dir": "bidirectional"},
    "scores": {"attn_scale": 3.0, "scale_attn_by_inverse_layer_idx": True, "attn_scores_soft_cap": 2.0,
               "output_logits_soft_cap": 3.0, "act_fn": "relu", "final_rms": True},
    "unscaled": {"use_attn_scale": False, "normalization_type": "RMSPre", "act_fn": "solu"},
    "rotary": {"positional_embedding_type": "rotary", "rotary_dim": 4, "d_head": 6, "n_heads": 4,
               "n_key_value_heads": 2, "gated_mlp": True, "act_fn": "silu", "normalization_type": "RMS"},
    "neighbours": {"positional_embedding_type": "rotary", "rotary_dim": 2, "rotary_adjacent_pairs": True},
}  # fmt: skip


def write(name: str, changes: dict[str, Any]) -> None:
    cfg = HookedTransformerConfig(**{**SIZES, **changes})
    model = HookedTransformer(cfg)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=random))
        tokens = torch.randint(0, cfg.d_vocab, (3, 5), generator=random)
        made = {"state_dict": model.state_dict(), "cfg": cfg.to_dict(), "tokens": tokens, "logits": model(tokens)}
    torch.save(made, Path(__file__).with_name(f"{name}.pt"))


if __name__ == "__main__":
    for kind, changes in KINDS.items():
        write(kind, changes)
