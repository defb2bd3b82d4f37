"""Whether the weights taken from a bridge compute what the bridge computes, and a digest that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scrub.errors import ModelError
from scrub.model.layers import trace, unembed
from scrub.model.weights import Transformer

PROBE_ROWS = 4
PROBE_LENGTH = 16
# The largest error of a logit, in standard deviations of the logits. Half precision rounds the bridge's own
# logits; a wrong architecture is off by more than one.
TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.3}


def probe(model: Transformer, length: int) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
    """Random tokens and mixed lengths, the longest `length`; seeded, the global generator stays untouched."""
    length = max(1, min(length, model.shape.n_ctx))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(model.W_E.shape[0], (PROBE_ROWS, length), generator=generator)
    lengths = torch.linspace(length, max(1, length // 2), PROBE_ROWS).long()
    return tokens.to(model.device), lengths.to(model.device)


@torch.no_grad()
def self_check(model: Transformer, bridge: Any, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"]) -> float:
    """The largest difference between our logits, of padded rows, and the bridge's own, without padding.

    In standard deviations of the bridge's logits over real positions. Raises ModelError above `TOLERANCE`.
    """
    ours = unembed(model, trace(model, tokens, lengths))
    theirs = _bridge_logits(bridge, tokens, lengths)
    real = torch.arange(tokens.shape[1]) < lengths.cpu()[:, None]
    found, wanted = ours.cpu().double()[real], theirs[real]
    if found.shape != wanted.shape:
        raise ModelError(f"{model.name} gives {wanted.shape[-1]} logits, its weights {found.shape[-1]}.")
    spread = wanted.std().item() or 1.0
    error = (found - wanted).abs().max().item() / spread
    tolerance = max(TOLERANCE[dtype] for dtype in (model.dtype, next(bridge.original_model.parameters()).dtype))
    if not error <= tolerance:
        raise ModelError(
            f"{model.name} ({model.shape.family}) is not reproduced: our logits differ from its own by "
            f"up to {error:.2g} standard deviations (at most {tolerance:g} is accepted), so its architecture "
            "computes something that is not supported, or hooks that change values are active on it."
        )
    return error


def _bridge_logits(bridge: Any, tokens: Tensor, lengths: Tensor) -> Float[Tensor, "row t v"]:
    # One run for each length, without padding: the reference then depends on nobody's treatment of masks.
    tokens, lengths = tokens.to(next(bridge.original_model.parameters()).device), lengths.cpu()
    found = torch.empty(0)
    with _evaluating(bridge):
        for length in sorted(set(lengths.tolist())):
            rows = (lengths == length).nonzero()[:, 0]
            logits = bridge(tokens[rows.to(tokens.device), :length]).cpu().double()
            if not len(found):
                found = logits.new_zeros(*tokens.shape, logits.shape[-1])
            found[rows, :length] = logits
    return found


@contextmanager
def _evaluating(bridge: Any) -> Generator[None]:
    modules = {*bridge.modules(), *bridge.original_model.modules()}
    before = {module: module.training for module in modules}
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def digest(model: Transformer) -> str:
    """A digest of the weights as fp32 numbers: the same in whatever dtype and on whatever device they are."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in _tensors(attrs.asdict(model)):
        state.update(str(tuple(tensor.shape)).encode())
        state.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _tensors(item)
