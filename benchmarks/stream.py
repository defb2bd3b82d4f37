"""A model of GPT-2 XL's shape (1.5B parameters, random, bf16) tested from its files: the peak of memory, and time.

python benchmarks/stream.py [FOLDER]

The model is written layer by layer to a folder (3 GB), which is deleted afterwards.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch
from measuring import in_fresh_process
from safetensors.torch import save_file

import scrub
from scrub import Dataset, Hypothesis, Interpretation, claim, embed, heads, logits, recovers

LAYERS, WIDTH, HEADS, VOCABULARY, CONTEXT = 48, 1600, 25, 50257, 1024
BOUND, MEMORY = 4.0, "1GB"  # the peak, and what may be filled at once beside weights
ROWS, DRAWS = 32, 5


def written(folder: Path) -> None:
    """`config.json` and a file for each layer, as transformers would write them."""
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": LAYERS, "n_head": HEADS,
        "n_embd": WIDTH, "n_positions": CONTEXT, "vocab_size": VOCABULARY, "activation_function": "gelu_new",
        "dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    d, index, generator = WIDTH, dict[str, str](), torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return (0.02 * torch.randn(shape, generator=generator)).bfloat16()

    def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
        save_file(tensors, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(tensors, name))

    for layer in range(LAYERS):
        found = {
            "attn.c_attn.weight": normal(d, 3 * d), "attn.c_attn.bias": normal(3 * d),
            "attn.c_proj.weight": normal(d, d), "attn.c_proj.bias": normal(d),
            "mlp.c_fc.weight": normal(d, 4 * d), "mlp.c_fc.bias": normal(4 * d),
            "mlp.c_proj.weight": normal(4 * d, d), "mlp.c_proj.bias": normal(d),
        }  # fmt: skip
        for norm in ("ln_1", "ln_2"):
            found |= {f"{norm}.weight": 1 + normal(d), f"{norm}.bias": normal(d)}
        save(f"model-{layer:02d}.safetensors", {f"transformer.h.{layer}.{name}": x for name, x in found.items()})
    outside = {"wte.weight": normal(VOCABULARY, d), "wpe.weight": normal(CONTEXT, d)}
    outside |= {"ln_f.weight": 1 + normal(d), "ln_f.bias": normal(d)}
    save("model-outside.safetensors", {f"transformer.{name}": x for name, x in outside.items()})
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)


def claimed(through: str | None) -> Hypothesis:
    """Two sites of heads, one above the other, on random rows."""
    story = Interpretation()
    story.add("found", lambda a: a)
    story.add("answer", lambda found: found)
    tokens = torch.randint(VOCABULARY, (ROWS, 16), generator=torch.Generator().manual_seed(1)).tolist()
    rows = [{"tokens": t, "positions": {"A": 3, "END": -1}, "columns": {"a": t[3]}} for t in tokens]

    @claim(
        story, model="given", data=Dataset.from_rows(rows), metric="kl", through=through, expect=recovers(0.5),
        predicts="a",
    )  # fmt: skip
    def copying() -> Mapping[str, Any]:
        found = heads("12.3 20.5 30.7", at="END").reads(v="a")
        return {"a": embed("A"), "found": found, "answer": logits("END")}

    return copying


def tested(folder: str, through: str, dtype: str) -> float:
    """The peak of a process that tests a claim, in GB; the seconds of opening it, and of the test, beside it."""
    from scrub.model.memory import Backend
    from scrub.model.open import open_weights
    from scrub.model.source import Streamed, find

    torch.set_num_threads(1)
    hypothesis = claimed(through or None)
    begun = time.process_time()
    open_weights(find(Streamed(folder)), Backend(memory=MEMORY, dtype=dtype), hypothesis.data)
    opened = time.process_time()
    # Through MLPs without its controls, each of which runs every MLP again.
    alone: Mapping[str, Any] = {"controls": "none", "parts": "none"} if through else {}
    alone = {**alone, "explain": False, "stream": True, "dtype": dtype}
    scrub.test(hypothesis, folder, draws=DRAWS, memory=MEMORY, **alone)
    seconds = opened - begun, time.process_time() - opened
    print("CPU seconds to open and to compare, and of the test: {:.0f}, {:.0f}".format(*seconds), file=sys.stderr)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def main(where: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=where) as name:
        written(Path(name))
        for through, dtype in product(("", "mlps"), ("auto", "float32")):
            found = in_fresh_process(__file__, "--test", name, through, dtype)
            told = f"1.5B in bf16 from disk, {through or 'direct'}, dtype {dtype}"
            print(f"{told}: {found:.2f} GB (bound {BOUND})", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--test"]:
        print(tested(*sys.argv[2:]))
    else:
        main(*sys.argv[1:] or [None])
