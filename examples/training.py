"""What the training scripts of the zoo share: the loop, the score, and the two files that a model leaves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

from scrub.model.checkpoints.settings import Settings
from scrub.model.recorded import record, whole
from scrub.model.transformer import native_bridge
from scrub.zoo.cards import FOLDER, logits_path
from scrub.zoo.data import Prompt
from scrub.zoo.loading import digest

UNTRAINED = -100  # the target of a position that is not trained on
RECORDED = 4  # rows of its own data whose logits are stored, beside random tokens
BRIDGE_NAMES = {
    "tok_embed": "embed",
    "pos": "pos_embed",
    "layers": "blocks",
    "ln_out": "ln_final",
    "head": "unembed",
}
Batch = tuple[Tensor, Tensor, Tensor | None]  # tokens, targets and the mask of real tokens


def native(config: dict[str, Any], seed: int, spread: float = 0.05) -> NativeModel:
    """The torch module inside a native bridge, freshly initialised: it trains faster than the bridge.

    `spread` is the standard deviation of the weights.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    filled = TransformerBridgeConfig(**config, initializer_range=spread)
    model = NativeModel(filled)
    initialize_native_model(model, filled)
    return model


def train(
    model: NativeModel,
    batch: Callable[[], Batch],
    *,
    steps: int,
    rate: float,
    sparse: float,
    quiet: float = 0.0,
    window: tuple[float, float] = (0, 2 / 3),
) -> None:
    """AdamW with a warm-up and a linear decay, and two penalties that make for circuits one can tell.

    Left alone, training spreads one job over every head and position that is there. `sparse` weighs what a
    component can write at all (a group lasso over heads and MLPs), `quiet` what it does write at each
    position. They act in the given window of the training; after it, so that what remains is not held
    back, only a tenth of `quiet` is left.
    """
    volume = Volume.listening(model) if quiet else None
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / 100, (steps - step) / (steps - 100))
    )
    bar = tqdm(range(steps), unit="step", mininterval=1.0)
    for step in bar:
        tokens, targets, mask = batch()
        logits = model(tokens, attention_mask=mask).flatten(0, 1)
        loss = cross_entropy(logits, targets.flatten(), ignore_index=UNTRAINED, label_smoothing=0.02)
        inside, after = window[0] <= step / steps < window[1], step / steps >= window[1]
        penalty = sparse * written(model) if inside else torch.zeros(())
        if volume is not None and mask is not None:
            penalty = penalty + quiet * (1.0 if inside else 0.1 * after) * volume.take(mask)
        optimiser.zero_grad()
        (loss + penalty).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")


def written(model: NativeModel) -> Tensor:
    """How much the components can write: sqrt(|W_O| |W_V|) of heads, sqrt(|W_out| |W_in|) of MLPs, summed."""
    total = torch.zeros(())
    for block in model.layers:
        heads, size = block.attn.n_heads, block.attn.d_head
        out = block.attn.o.weight.unflatten(1, (heads, size)).norm(dim=(0, 2))
        value = block.attn.v.weight.unflatten(0, (heads, size)).norm(dim=(1, 2))
        total = total + (out * value).sqrt().sum()
        if hasattr(block, "mlp"):
            total = total + (block.mlp.fc_in.weight.norm() * block.mlp.fc_out.weight.norm()).sqrt()
    return total


class Volume:
    """Listens to how much heads and MLPs write during a forward pass."""

    def __init__(self) -> None:
        self.norms: list[Tensor] = []  # each [row, position]

    @classmethod
    def listening(cls, model: NativeModel) -> Volume:
        found = cls()
        for block in model.layers:
            block.attn.o.register_forward_pre_hook(partial(found.heads, block.attn))
            block.mlp.fc_out.register_forward_hook(found.mlp)
        return found

    def heads(self, attn: Any, module: Any, inputs: tuple[Tensor]) -> None:
        z = inputs[0].unflatten(-1, (attn.n_heads, attn.d_head))
        out = attn.o.weight.unflatten(1, (attn.n_heads, attn.d_head))
        # |W_O z| from the small matrix W_O' W_O: the heads' outputs themselves are never needed.
        gram = torch.einsum("dhi,dhj->hij", out, out)
        squares = (torch.einsum("bthi,hij->bthj", z, gram) * z).sum(-1)
        self.norms.append((squares + 1e-6).sqrt().sum(-1))

    def mlp(self, module: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        self.norms.append(((output - module.bias).square().sum(-1) + 1e-6).sqrt())

    def take(self, mask: Tensor) -> Tensor:
        """The mean over real positions since the last call."""
        total, self.norms = torch.stack(self.norms).sum(0), []
        return (total * mask).sum() / mask.sum()


def state(model: NativeModel) -> dict[str, Tensor]:
    """The weights under the bridge's names, rounded to half precision as they are stored."""
    found: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        first, rest = key.split(".", 1)
        rest = rest.replace("fc_in", "in").replace("fc_out", "out")
        found[f"{BRIDGE_NAMES[first]}.{rest}"] = value.detach().half().contiguous()
    return found


def label_id(row: Prompt, label: str, vocabulary: Sequence[str]) -> int:
    """The token id that the column `label` means, whether it holds the id or the word."""
    value = row["columns"][label]
    return vocabulary.index(value) if isinstance(value, str) else int(value)


def accuracy(model: Any, rows: Sequence[Prompt], position: str, labels: Sequence[int]) -> float:
    """The share of rows whose best token at `position` is the labelled one; no padding is used."""
    groups: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(len(row["tokens"]), []).append(index)
    right = 0
    for group in groups.values():
        with torch.no_grad():
            best = model(torch.tensor([rows[index]["tokens"] for index in group])).argmax(-1).tolist()
        for index, line in zip(group, best, strict=True):
            right += line[rows[index]["positions"][position]] == labels[index]
    return right / len(rows)


def finish(
    model: NativeModel,
    rows: Sequence[Prompt],
    *,
    config: dict[str, Any],
    vocabulary: Sequence[str],
    position: str,
    out: Path | None,
    label: str = "label",
    **card: Any,
) -> None:
    """Stores weights, card and the bridge's logits of a trained model, and prints what they record."""
    name, weights, folder = card["name"], state(model), out or FOLDER
    labels = [label_id(row, label, vocabulary) for row in rows]
    bridge = native_bridge(config, weights, name)
    found = accuracy(bridge, rows, position, labels)
    commonest = Counter(labels).most_common(1)[0][1]
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / f"{name}.safetensors")
    said = record(bridge, whole(weights, Settings.of(config, name)), [row["tokens"] for row in rows[:RECORDED]])
    said.write(folder / logits_path(name).name)
    card |= {
        "accuracy": round(found, 4),
        "chance": round(commonest / len(rows), 4),
        "rows": len(rows),
        "digest": digest(weights),
        "config": config,
        "vocabulary": list(vocabulary),
    }
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: accuracy {found:.4f} on {len(rows)} rows, digest {card['digest']}, written to {folder}")


def sampler(
    rows: Sequence[Prompt], vocabulary: Sequence[str], position: str, draws: torch.Generator, size: int = 128
) -> Callable[[], Batch]:
    """Batches of random rows, right-padded; only the column `label` at `position` is trained on."""
    longest = max(len(row["tokens"]) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    mask, targets = torch.zeros_like(tokens), torch.full_like(tokens, UNTRAINED)
    for index, row in enumerate(rows):
        length = len(row["tokens"])
        tokens[index, :length], mask[index, :length] = torch.tensor(row["tokens"]), 1
        targets[index, row["positions"][position]] = label_id(row, "label", vocabulary)

    def batch() -> Batch:
        chosen = torch.randint(len(rows), (size,), generator=draws)
        return tokens[chosen], targets[chosen], mask[chosen]

    return batch
