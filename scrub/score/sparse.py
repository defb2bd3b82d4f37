"""A small TopK dictionary of vectors at hand (Gao et al. 2024, arXiv 2406.04093, without their auxiliary loss)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Bool, Float
from torch import Tensor

BATCH, RATE = 128, 3e-2


@frozen
class Sparse:
    """How many latents, how many of them are active at once, and for how many steps of Adam they are trained."""

    latents: int
    topk: int
    steps: int
    seed: int = 0


def train_dictionary(
    x: Float[np.ndarray, "row d"], held_out: Bool[np.ndarray, " row"], asked: Sparse, done: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays as SAELens names them, decoder rows of length one, and how well they do on rows that are `held_out`.

    `explained` is the share of the variance there, `dead` the latents that are active on none of all rows.
    """
    every = torch.from_numpy(x)
    fitted, scale = every[torch.from_numpy(~held_out)], float(x.std()) or 1.0
    found = _start(fitted / scale, asked)
    rng = np.random.default_rng([asked.seed, 0x5AE])
    with torch.inference_mode(mode=False), torch.enable_grad():
        trained = [array.clone().requires_grad_() for array in found]
        optimiser = torch.optim.Adam(trained, RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, asked.steps)
        for _ in range(asked.steps):
            some = fitted[rng.choice(len(fitted), min(BATCH, len(fitted)), replace=False)] / scale
            loss = (some - _made(some, trained, asked.topk)).square().mean()
            optimiser.zero_grad()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                trained[2].div_(trained[2].norm(dim=1, keepdim=True))
            done(1)
    found = [array.detach() for array in trained]
    told = _judged(every / scale, torch.from_numpy(held_out), found, asked.topk)
    encoder, bias, decoder, centre = (array.numpy() for array in found)
    return {"W_enc": encoder, "b_enc": bias * scale, "W_dec": decoder, "b_dec": centre * scale}, told


def _start(x: Float[Tensor, "row d"], asked: Sparse) -> list[Tensor]:
    """Encoder, bias, decoder and centre: directions of single rows, as far as there are rows, with some noise."""
    generator = torch.Generator().manual_seed(asked.seed)
    take = torch.randint(len(x), (asked.latents,), generator=generator)
    centre = x.mean(0)
    decoder = x[take] - centre + 0.1 * torch.randn(asked.latents, x.shape[1], generator=generator, dtype=x.dtype)
    decoder = decoder / decoder.norm(dim=1, keepdim=True)
    return [decoder.T.clone(), x.new_zeros(asked.latents), decoder, centre]


def _active(x: Tensor, arrays: list[Tensor], topk: int) -> Float[Tensor, "row m"]:
    encoder, bias, _, centre = arrays
    found = ((x - centre) @ encoder + bias).relu().topk(topk, dim=-1)
    return x.new_zeros(len(x), len(bias)).scatter(-1, found.indices, found.values)


def _made(x: Tensor, arrays: list[Tensor], topk: int) -> Float[Tensor, "row d"]:
    return _active(x, arrays, topk) @ arrays[2] + arrays[3]


def _judged(x: Tensor, held_out: Tensor, arrays: list[Tensor], topk: int) -> dict[str, Any]:
    rest = x[held_out]
    error = (rest - _made(rest, arrays, topk)).square().sum()
    active = (_active(x, arrays, topk) > 0).any(0)
    spread = (rest - rest.mean(0)).square().sum()
    return {"explained": float(1 - error / spread), "dead": int((~active).sum()), "held_out": len(rest)}
