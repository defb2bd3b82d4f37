"""What the training scripts of the zoo share: the loop, the optimiser, and the two files that a model leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

import scrub.zoo
from scrub.zoo.loading import booted, digest

IGNORED = -100  # the target of a position that is not trained on


def native(fields: dict[str, Any], seed: int) -> NativeModel:
    """The plain torch module inside a native bridge, freshly initialised: faster to train than the bridge."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = TransformerBridgeConfig(**fields, seed=seed)
    model = NativeModel(config)
    initialize_native_model(model, config)
    return model


def train(
    model: NativeModel,
    batch: Callable[[], dict[str, Tensor]],
    steps: int,
    rate: float,
    decay: float,
    warmup: int = 100,
) -> None:
    """AdamW with a linear warm-up and decay; `batch` gives `tokens`, `targets` and, if padded, `mask`."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))
    )
    bar = tqdm(range(steps), unit="step", mininterval=1.0)
    for step in bar:
        given = batch()
        logits = model(given["tokens"], attention_mask=given.get("mask"))
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), given["targets"].flatten(), ignore_index=IGNORED
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")


def state(model: NativeModel) -> dict[str, Tensor]:
    """The weights under the bridge's names, rounded to half precision as they are stored."""
    renamed = {"tok_embed.": "embed.", "pos.": "pos_embed.", "layers.": "blocks.", "ln_out.": "ln_final.", "head.": "unembed."}
    found: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        prefix = next(old for old in renamed if key.startswith(old))
        name = renamed[prefix] + key.removeprefix(prefix).replace("fc_in", "in").replace("fc_out", "out")
        found[name] = value.detach().half().contiguous()
    return found


def accuracy(bridge: Any, rows: list[scrub.zoo.Row], position: str, label: str) -> float:
    """The share of rows whose best token at `position` is the column `label`, run in groups of equal length."""
    groups: dict[int, list[scrub.zoo.Row]] = {}
    for row in rows:
        groups.setdefault(len(row["tokens"]), []).append(row)
    right = 0
    for group in groups.values():
        with torch.no_grad():
            logits = bridge(torch.tensor([row["tokens"] for row in group]))
        at = torch.tensor([row["positions"][position] for row in group])
        best = logits[torch.arange(len(group)), at].argmax(-1).tolist()
        right += sum(found == row["columns"][label] for found, row in zip(best, group, strict=True))
    return right / len(rows)
