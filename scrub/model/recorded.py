"""Logits that were recorded from a model's bridge when its file was written, so that it is opened without one.

A model of the native form is checked against its record: the weights and the settings are those that the bridge had,
to the bit, and our logits are the bridge's, to `LOGIT`, on random tokens as long as the context and, for the zoo, on
rows of its own data. So what every bridge is asked for each time was asked once, of the same weights, and its answers
are compared each time. Where there is no record, or anything differs, the bridge is asked itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.tolerances import LOGIT
from scrub.model.checkpoints.beside import settings_beside
from scrub.model.checkpoints.bridge import LAYOUT
from scrub.model.checkpoints.settings import Settings
from scrub.model.checkpoints.stored import read_state
from scrub.model.layers import unembed
from scrub.model.native import native_weights
from scrub.model.precision import HALF
from scrub.model.selfcheck import probe
from scrub.model.take import Take
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from scrub.zoo.cards import Card, info, logits_path

LOGITS = "logits.safetensors"  # beside the weights
_NUMBERS = 2**13  # of a record (32 kB), beside the last logits of each row

Native = tuple[Mapping[str, Tensor], Settings]


@frozen(eq=False)
class RecordedLogits:
    """A bridge's own logits at the last `n` positions of some rows, of shorter ones some twice.

    `told` is the digest of the weights and settings that it had.
    """

    tokens: Int[Tensor, "row t"]
    lengths: Int[Tensor, " row"]
    logits: Float[Tensor, "row n v"]
    told: str = field(kw_only=True)

    def write(self, file: Path) -> None:
        from safetensors.torch import save_file

        found = {"tokens": self.tokens, "lengths": self.lengths, "logits": self.logits.contiguous()}
        save_file(found, file, {"weights and settings": self.told})

    @classmethod
    def read(cls, file: Path) -> RecordedLogits | None:
        """None without such a file, or where it holds something else."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "pt") as opened:
                found = {name: opened.get_tensor(name) for name in ("tokens", "lengths", "logits")}
                return cls(**found, told=(opened.metadata() or {}).get("weights and settings", ""))
        except (OSError, SafetensorError):
            return None


def whole(state: Mapping[str, Tensor], settings: Settings) -> Native:
    """Tensors under native names with all their settings. Raises ModelError."""
    return state, settings.joined(LAYOUT.shows(state, settings)).whole()


def recorded_checkpoint(path: Path, name: str, take: Take) -> Transformer | None:
    """The weights of a file beside which a record lies; None where the bridge must be asked. Raises ModelError."""
    record, said = RecordedLogits.read(path.with_name(LOGITS)), settings_beside(path)
    if record is None or said is None:
        return None
    state, _ = read_state(path)
    return checked(whole(state, said), record, name, take) if LAYOUT.looks(state) else None


def recorded_zoo(name: str, take: Take) -> Transformer | None:
    """The same of a model of the zoo. Raises ModelError when it has no such model."""
    record = RecordedLogits.read(logits_path(name))
    return checked(native_of(info(name)), record, name, take)


def native_of(card: Card) -> Native:
    from scrub.zoo.loading import weights

    return whole(weights(card), Settings.of(card.config, f"zoo:{card.name}"))


def checked(native: Native, record: RecordedLogits | None, name: str, take: Take) -> Transformer | None:
    """The weights, checked against a record; None where the bridge must be asked."""
    if record is None or take.dtype in HALF or record.told != told_by(native):
        return None
    model = native_weights(*native, name).to(take.dtype, take.device)
    return model if apart(model, record) <= LOGIT else None


def told_by(native: Native) -> str:
    """A digest of names, shapes, types, values and settings."""
    state, settings = native
    summary = hashlib.blake2b(json.dumps(settings.native(), sort_keys=True).encode(), digest_size=16)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        summary.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        summary.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return summary.hexdigest()


@torch.no_grad()
def apart(model: Transformer, record: RecordedLogits) -> float:
    """The largest difference between our logits and those recorded, in standard deviations of these."""
    theirs = record.logits.to(model.device, model.dtype)
    final = trace(model, record.tokens.to(model.device), record.lengths.to(model.device))
    at = _last(record.lengths, theirs.shape[1]).to(model.device)
    found = unembed(model, final.take_along_dim(at[..., None], dim=1))
    return float((found - theirs).abs().max() / theirs.std())


@torch.no_grad()
def record(bridge: Any, native: Native, rows: Sequence[Sequence[int]] = ()) -> RecordedLogits:
    """What a bridge with these weights says of random tokens and of `rows`."""
    model = native_weights(*native, "")
    tokens, lengths = probe(model, model.shape.n_ctx)
    more = [torch.tensor([*row, *[0] * (tokens.shape[1] - len(row))]) for row in rows]
    tokens = torch.cat([tokens, *(row[None] for row in more)])
    lengths = torch.cat([lengths, torch.tensor([len(row) for row in rows], dtype=lengths.dtype)])
    n = min(tokens.shape[1], max(1, _NUMBERS // (len(tokens) * model.W_U.shape[1])))
    there = next(bridge.original_model.parameters()).device
    said = [bridge(row[None, :length].to(there))[0] for row, length in zip(tokens, lengths.tolist(), strict=True)]
    logits = [one[at.to(there)].float().cpu() for one, at in zip(said, _last(lengths, n), strict=True)]
    return RecordedLogits(tokens, lengths, torch.stack(logits), told=told_by(native))


def _last(lengths: Int[Tensor, " row"], n: int) -> Int[Tensor, "row n"]:
    return (lengths[:, None] - 1 - torch.arange(n)).clamp_min(0)
