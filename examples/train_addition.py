"""Trains the zoo's `addition`: the sum of two numbers modulo 59, by their waves. Minutes on one core.

As in N. Nanda et al., "Progress measures for grokking via mechanistic interpretability" (2023): one layer, no norms,
ReLU, all pairs that are trained on in every step, strong weight decay. The numbers are fewer (59, not 113), and more
of the pairs are trained on (seven of ten, not three), so that it takes minutes. What generalises is found early;
the steps after that wear away waves that nothing needs.

python examples/train_addition.py --out somewhere
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import training
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformer_lens.model_bridge.sources.native import NativeModel

from scrub.zoo.data import Prompt, every_addition
from scrub.zoo.words import ADDITION

SEED, STEPS, RATE, DECAY, SPREAD = 3, 9000, 1e-3, 0.4, 0.1
CONFIG = {
    "n_layers": 1,
    "n_heads": 4,
    "d_model": 64,
    "d_head": 16,
    "d_mlp": 256,
    "n_ctx": 3,
    "d_vocab": len(ADDITION),
    "act_fn": "relu",
    "normalization_type": None,
}


def at_the_end(model: NativeModel, a: Tensor, b: Tensor) -> Tensor:
    """The logits at the end of every pair; keys and values of a number are computed once for all its pairs."""
    attn, embedded, position = model.layers[0].attn, model.tok_embed.weight, model.pos.weight
    numbers, end = embedded[:-1], embedded[-1] + position[2]
    streams = [numbers + position[0], numbers + position[1], end[None]]
    query, places = attn.q(end).view(attn.n_heads, -1), [a, b, torch.zeros_like(a)]
    keys, values = ([channel(x).unflatten(-1, (attn.n_heads, -1)) for x in streams] for channel in (attn.k, attn.v))
    scores = [((key * query).sum(-1) / attn.scale)[place] for key, place in zip(keys, places, strict=True)]
    pattern = torch.stack(scores).softmax(0)
    z = sum(weight[:, :, None] * value[place] for weight, value, place in zip(pattern, values, places, strict=True))
    middle = end + attn.o(z.flatten(1))
    return model.head(middle + model.layers[0].mlp(middle))


def train(model: NativeModel, rows: Sequence[Prompt]) -> None:
    """AdamW on all rows at once, at one rate that falls over the last fifth; the loss in double precision."""
    a, b, right = (torch.tensor([row["columns"][name] for row in rows]) for name in ("a", "b", "sum"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / 10, 1.0, max(5 * (STEPS - step) / STEPS, 0.0))
    )
    bar = tqdm(range(STEPS), unit="step", mininterval=1.0)
    for step in bar:
        loss = cross_entropy(at_the_end(model, a, b).double(), right)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.1e}")


def main(out: Path | None, seed: int = SEED) -> None:
    model = training.native(CONFIG, seed, SPREAD)
    train(model, [row for row in every_addition() if row["columns"]["trained"]])
    training.finish(
        model,
        [row for row in every_addition() if not row["columns"]["trained"]],
        name="addition",
        note="The sum of two numbers modulo 59; its accuracy is that on pairs that it was not trained on.",
        config=CONFIG,
        vocabulary=ADDITION,
        position="END",
        data_seed=0,
        script="examples/train_addition.py",
        out=out,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for weights and card (default: the zoo's own)")
    main(parser.parse_args().out)
