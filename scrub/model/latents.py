"""Latents of dictionaries as a code: what their encoder reads, with its activation, thresholds, gates and scaling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.part import HostPart
from scrub.model.block import mlp_normed
from scrub.model.layers import norm
from scrub.model.places import beside
from scrub.model.upload import some
from scrub.model.weights import Block

Numbers = Callable[[np.ndarray], Tensor]
_EPS = 1e-5  # of SAELens' layer_norm, which divides by the deviation and this


@frozen(eq=False)
class LatentCode:
    """Some latents of a dictionary: `act((x - centre) encoder + bias)`, zero up to the threshold where one is given.

    With a `gate`, a latent is on where `(x - centre) encoder + gate` is above zero, and is then `relu` of that
    product times its `gain`, plus bias (Rajamanoharan et al. 2024, equation 6). With `topk`, all but so many of all
    latents are zero: then encoder and bias hold all of them, and `take` are those that are meant. With a `scaling`
    the input is of norm sqrt(d) (`rms`), or centred and of deviation one (`layer`), and latents are in the stream's
    own units.
    """

    rows: Float[Tensor, "k d"]
    encoder: Float[Tensor, "d m"]
    arrays: dict[str, Tensor] = field(factory=dict[str, Tensor])
    take: list[int] = field(factory=list[int])
    topk: int = 0
    scaling: str = ""

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch k"]:
        x, unit = self._scaled(x)
        centre = self.arrays.get("centre")
        found = self._active((x if centre is None else x - beside(x, centre)) @ beside(x, self.encoder))
        return found if unit is None else found * unit

    def write(self, numbers: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch d"]:
        return numbers @ beside(numbers, self.rows)

    def _active(self, x: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch k"]:
        here = {name: beside(x, array) for name, array in self.arrays.items()}
        gate, bias, floor = (here.get(name) for name in ("gate", "bias", "threshold"))
        on = None if gate is None else x + gate > 0
        x = x if gate is None else x * here["gain"]
        x = x if bias is None else x + bias
        on = x > floor if floor is not None else on
        x = x.relu() if on is None else torch.where(on, x, torch.zeros_like(x)).relu()
        return some(self._largest(x), self.take, -1) if self.topk else x

    def _largest(self, x: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        found = x.topk(self.topk, dim=-1)
        return torch.zeros_like(x).scatter(-1, found.indices, found.values)

    def _scaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.scaling == "rms":
            unit = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
            return x / unit, unit
        if self.scaling == "layer":
            x = x - x.mean(-1, keepdim=True)
            unit = x.std(-1, keepdim=True)
            return x / (unit + _EPS), unit
        return x, None


def latent_code(part: HostPart, tensor: Numbers) -> LatentCode:
    """The code of a part; `tensor` brings an array to the model's device."""
    made = {name: tensor(array) for name, array in part.arrays.items()}
    decoder, encoder = made.pop("decoder"), made.pop("encoder")
    topk = int(part.setting("topk") or 0)
    return LatentCode(decoder, encoder, made, list(part.indices), topk, part.setting("scaling"))


def transcoder_reads(block: Block, reads: str, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """What a transcoder reads, of the stream that its MLP reads."""
    if reads == "stream" or block.ln2 is None:
        return x
    return mlp_normed(block, x) if reads == "normed" else norm(evolve(block.ln2, weight=None, bias=None), x)
