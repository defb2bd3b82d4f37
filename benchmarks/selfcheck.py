"""What the self-check of a model costs, and what it holds beyond its weights, however long the rows."""

from __future__ import annotations

import sys

import torch
from measuring import best_of, growth, in_fresh_process

BOUND = 0.2  # GB
PASSES = 2.0  # forward passes
# (kind, length, vocabulary, dtype): four layers of width 64
CASES = {
    "GPT-2, 512 tokens, V = 50,257": ("GPT2LMHeadModel", 512, 50257, "float32"),
    "GPT-2, 1,024 tokens, V = 50,257": ("GPT2LMHeadModel", 1024, 50257, "float32"),
    "Llama, 512 tokens, V = 256,000": ("LlamaForCausalLM", 512, 256000, "float32"),
    "Llama, 4,096 tokens, V = 32,000": ("LlamaForCausalLM", 4096, 32000, "float32"),
    "Llama in bf16, 512 tokens, V = 50,257": ("LlamaForCausalLM", 512, 50257, "bfloat16"),
    "native, 512 tokens, V = 50,257": ("native", 512, 50257, "float32"),
}
WIDTH, HEADS, LAYERS = 64, 8, 4


def memory(case: str) -> float:
    """GB at the peak of a self-check, beyond the bridge and the weights taken from it."""
    return in_fresh_process(__file__, case)


def passes(rows: int = 100, length: int = 16, rounds: int = 3) -> dict[str, float]:
    """CPU time of the self-check of GPT-2 (124M, random) over that of its bridge on the rows.

    On the rows that are compared, one at a time as the check runs them, and on all rows of the data in batches of 16.
    """
    import transformers

    from scrub.claims.dataset import Dataset
    from scrub.model.selfcheck import probe_data, self_check
    from scrub.model.transformer import adapt, bridge_of

    bridge = bridge_of(transformers.GPT2LMHeadModel(transformers.GPT2Config()), "gpt2")
    model, random = adapt(bridge), torch.Generator().manual_seed(0)
    tokens = torch.randint(model.shape.d_vocab, (rows, length), generator=random)
    compared = probe_data(model, Dataset.from_rows([{"tokens": row} for row in tokens.tolist()]))
    each = [row[None, :end] for row, end in zip(compared[0], compared[1].tolist(), strict=True)]
    with torch.no_grad():
        found = best_of({
            "check": lambda: self_check(model, bridge, *compared),
            "the rows that it compares": lambda: [bridge(row) for row in each],
            f"{rows} rows of {length} tokens": lambda: [bridge(part) for part in tokens.split(16)],
        }, rounds)  # fmt: skip
    check = found.pop("check")
    return {name: check / seconds for name, seconds in found.items()}


def _bridge(kind: str, length: int, vocabulary: int, dtype: str) -> object:
    import transformers

    from scrub.model.transformer import bridge_of

    if kind == "native":
        return _native(length, vocabulary)
    if kind == "GPT2LMHeadModel":
        sizes = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "n_positions": length}
    else:
        sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS // 2}
        sizes |= {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "max_position_embeddings": length}
    module = getattr(transformers, kind)
    made = module(module.config_class(vocab_size=vocabulary, bos_token_id=0, eos_token_id=0, **sizes))
    return bridge_of(made.to(getattr(torch, dtype)), kind)


def _native(length: int, vocabulary: int) -> object:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    config = TransformerBridgeConfig(
        n_layers=LAYERS, n_heads=HEADS, d_model=WIDTH, d_head=WIDTH // HEADS, d_mlp=4 * WIDTH, d_vocab=vocabulary,
        n_ctx=length, act_fn="gelu", normalization_type="LN", positional_embedding_type="standard", seed=0,
    )  # fmt: skip
    return TransformerBridge.boot_native(config)


def _peak(case: str) -> float:
    from scrub.claims.dataset import Dataset
    from scrub.model.selfcheck import probe_data, self_check
    from scrub.model.transformer import adapt

    torch.set_num_threads(1)
    kind, length, vocabulary, dtype = CASES[case]
    bridge = _bridge(kind, length, vocabulary, dtype)
    model = adapt(bridge)  # imports and weights are there before anything is measured
    rows = [{"tokens": [(7 * row + i) % vocabulary for i in range(length - row)]} for row in range(20)]
    data = Dataset.from_rows(rows)
    return growth(lambda: self_check(model, bridge, *probe_data(model, data)))


def main() -> None:
    torch.set_num_threads(1)
    for name, found in passes().items():
        print(f"{name}: {found:.2f} forward passes (bound {PASSES})", flush=True)
    for case in CASES:
        found = memory(case)
        print(f"{case}: {found:.3f} GB (bound {BOUND})", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(_peak(sys.argv[1]))
    else:
        main()
