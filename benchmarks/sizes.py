"""By the size of a model: what its weights take, and what the IOI claim costs on it. Planned, without weights.

python benchmarks/sizes.py    # some seconds

Of each size a directory with a `config.json` is planned as `scrub plan` does it; what 124M measures stands in the
first table of docs/benchmarks.md, what 1.5B measures is benchmarks/stream.py's.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve
from ioi import CLAIM, DRAWS, LENGTH, rows_of
from shapes import SHAPES, parameters

import scrub
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.collect import collect
from scrub.engine.cost import forward_work

ROWS = 100
HEAD = (
    "| planned | weights in bf16, GB | two blocks, GB | a draw, direct | through MLPs | a test through MLPs, TFLOP |"
)


def config_of(shape: Shape) -> dict[str, Any]:
    """What a published model of the shape says of itself."""
    s = shape
    if s.family == "gpt2":
        return {
            "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": s.n_layers, "n_head": s.n_heads,
            "n_embd": s.d_model, "n_inner": s.d_mlp, "vocab_size": s.d_vocab, "n_positions": s.n_ctx,
        }  # fmt: skip
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": s.n_layers,
        "num_attention_heads": s.n_heads, "num_key_value_heads": s.n_kv_heads, "hidden_size": s.d_model,
        "intermediate_size": s.d_mlp, "vocab_size": s.d_vocab, "max_position_embeddings": s.n_ctx,
        "head_dim": s.d_head, "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    }  # fmt: skip


def planned(shape: Shape) -> tuple[float, float]:
    """A draw of a row in forward passes, direct and through MLPs."""
    hypothesis = next(h for h in collect([f"{CLAIM}::ioi"]).hypotheses).but(data=rows_of(ROWS, 5000))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config_of(shape)))
        plans = [scrub.plan(hypothesis.but(through=t), model=folder, draws=DRAWS) for t in (None, "mlps")]
    direct, mlps = ((plan.forwards or 0.0) / (plan.rows * plan.draws) for plan in plans)
    return direct, mlps


def line_of(name: str, shape: Shape) -> str:
    direct, mlps = planned(shape)
    without = parameters(shape) - parameters(evolve(shape, n_layers=0))
    weights, blocks = (2 * count / 1e9 for count in (parameters(shape), 2 * without / shape.n_layers))
    row = 2 * forward_work(TransformerGraph(name, shape), LENGTH) / 1e12
    test = ROWS * row * (1 + DRAWS * mlps)
    return f"| {name} | {weights:.1f} | {blocks:.2f} | {direct:.4f} | {mlps:.3f} | {test:,.0f} |"


def table() -> list[str]:
    return [HEAD, "|---|---|---|---|---|---|", *(line_of(name, shape) for name, shape in SHAPES.items())]


if __name__ == "__main__":
    print("\n".join(table()))
