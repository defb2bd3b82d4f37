"""Codes of parts: which numbers of what its host computes a part is, and which vector they are written as.

`encode` reads k numbers of what the host writes; `write` turns k numbers linearly into what is added in its place.
A new code is a new class here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.part import DIRECTIONS, REMAINDER, HostPart, LatentSource, orthonormal
from scrub.anatomy.table import MLP_INPUT, before_angles
from scrub.anatomy.tolerances import RANK
from scrub.errors import ClaimError, ModelError
from scrub.model.block import entering
from scrub.model.experts import BlackBox
from scrub.model.latents import LatentCode, latent_code, transcoder_reads
from scrub.model.layers import kv_head, write
from scrub.model.memory import Memory, Piece
from scrub.model.places import beside
from scrub.model.upload import some
from scrub.model.weights import Block, Mlp, Transformer

Kind = tuple[str, int]


@runtime_checkable
class PartCode(Protocol):
    """`rows` span what is written, `[k, d]`."""

    @property
    def rows(self) -> Float[Tensor, "k d"]: ...
    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch k"]: ...
    def write(self, numbers: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch d"]: ...


@frozen(eq=False)
class Whole:
    """Every number of a vector: a query, a key, a value."""

    rows: Float[Tensor, "d d"]

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return x

    def write(self, numbers: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return numbers


@frozen(eq=False)
class Subspace:
    """Coordinates along orthonormal directions."""

    rows: Float[Tensor, "k d"]

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch k"]:
        return x @ beside(x, self.rows).T

    def write(self, numbers: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch d"]:
        return numbers @ beside(numbers, self.rows)


@frozen(eq=False)
class NeuronCode:
    """One activation, as W_out reads it, written as its row."""

    rows: Float[Tensor, "1 d"]

    def encode(self, x: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 1"]:
        return x

    def write(self, numbers: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch d"]:
        return numbers @ beside(numbers, self.rows)


@frozen(eq=False)
class RemainderCode:
    """What latents leave of a vector: other latents, and the dictionary's error."""

    rows: Float[Tensor, "d d"]
    named: LatentCode

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return x - self.named.write(self.named.encode(x))

    def write(self, numbers: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return numbers


@frozen(eq=False)
class CodedPart:
    """A part of a model: the array of a pass that it is taken from, what of that is its host's, and its code.

    `host` cuts the array to the host, `reads` turns what the host holds (a head's z) into what the code encodes. A
    transcoder is `of_input`: its host is what the MLP reads, not what it writes.
    """

    component: Component
    array: Kind
    code: PartCode
    host: Callable[[Tensor], Tensor]
    reads: Callable[[Tensor], Tensor]
    of_input: bool = False

    def of_array(self, array: Tensor) -> Float[Tensor, "*batch k"]:
        return self.of_host(self.host(array))

    def of_host(self, value: Tensor) -> Float[Tensor, "*batch k"]:
        return self.code.encode(self.reads(value))


@frozen(eq=False, slots=False)
class PartCodes:
    """The parts of one model, each with its code on the model's device."""

    model: Transformer
    # kept by component, of this model
    _known: dict[Component, CodedPart] = field(factory=dict, init=False, repr=False)
    _spans: dict[Component, Tensor] = field(factory=dict, init=False, repr=False)

    def of(self, component: Component) -> CodedPart:
        """Raises ModelError for a neuron of an MLP that is known as a function alone."""
        if component not in self._known:
            self._known[component] = _taken(self.model, component)
        return self._known[component]

    def span(self, component: Component) -> Float[Tensor, "rank d"]:
        """Orthonormal directions of what a part writes."""
        if component not in self._spans:
            self._spans[component] = span(self.of(component).code)
        return self._spans[component]

    def using(self, component: Component, code: PartCode) -> PartCodes:
        """The same with another code for a part."""
        found = PartCodes(self.model)
        found._known[component] = evolve(self.of(component), code=code)
        return found


def _same(x: Tensor) -> Tensor:
    return x


def _taken(model: Transformer, component: Component) -> CodedPart:
    layer, traits = component.layer or 0, component.traits
    block = model.blocks[layer] if layer < len(model.blocks) else None
    if traits.scalar:
        assert block is not None
        mlp, unit = known_mlp(block, component), component.unit or 0
        code = NeuronCode(some(mlp.W_out, [unit], 0).to(model.device, model.dtype))
        return CodedPart(component, ("neurons", layer), code, lambda x: some(x, [unit], -1), _same)
    code = _code(model, component)
    if traits.is_channel:
        assert block is not None
        head = component.unit or 0
        held = head if component.kind == "q" else kv_head(block.attn, head)
        return CodedPart(component, (before_angles(component.kind), layer), code, lambda x: x[..., held, :], _same)
    if traits.is_head:
        assert block is not None
        head, attn = component.unit or 0, block.attn
        return CodedPart(
            component, ("z", layer), code, lambda x: some(x, [head], -2), lambda z: write(attn, z, [head])
        )
    if traits.attends:
        assert block is not None
        return CodedPart(component, ("attn_out", layer), code, _same, partial(entering, block))
    if (reads := component.part.setting("reads") if component.part else "") and block is not None:
        return CodedPart(component, (MLP_INPUT, layer), code, _same, partial(transcoder_reads, block, reads), True)
    return CodedPart(component, (traits.array, layer), code, _same, _same)


def known_mlp(block: Block, component: Component) -> Mlp:
    """The MLP of a layer, whose neurons are known. Raises ModelError where it is a function alone."""
    if not isinstance(block.mlp, Mlp):
        kind = "a function" if isinstance(block.mlp, BlackBox) else "missing"
        raise ModelError(
            f"{component} is no neuron that can be claimed: MLP {component.layer} of this model is {kind} here, such "
            "as a mixture of experts. Claim the whole MLP, or directions of what it writes."
        )
    return block.mlp


def _code(model: Transformer, component: Component) -> PartCode:
    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float64)).to(model.device, model.dtype)

    part = component.part
    if part is None:
        return Whole(tensor(np.eye(model.shape.d_head)))
    if part.code == DIRECTIONS:
        return Subspace(tensor(orthonormal(part.arrays["basis"])))
    named = latent_code(part, tensor)
    return RemainderCode(tensor(np.eye(part.width)), named) if part.code == REMAINDER else named


LATENTS_AT_ONCE, LATENTS = 4096, 0.125  # of a dictionary, at most; share of the memory


def all_of(part: HostPart) -> LatentSource:
    """The dictionary of which a part has latents.

    Raises ClaimError for latents of a frozen claim whose dictionary is not at hand: no others travel with it.
    """
    if part.source is None:
        where = f"which lay at {part.lies}" if part.lies else "which was one of arrays"
        way = f": put it there, or by its name ({Path(part.lies).name}) beside the frozen claim" if part.lies else ""
        raise ClaimError(
            f"a frozen claim has its own latents alone, and their dictionary, {where}, is not here, so that no "
            f"others are drawn{way}."
        )
    return part.source


def all_latents(
    part: HostPart, x: Float[Tensor, "n d"], memory: Memory, of: Sequence[int] | None = None
) -> Iterator[LatentCode]:
    """The codes of all latents of a part's dictionary, or of some, to encode some vectors: as many as memory holds.

    Of one whose latents are compared (`topk`) all at a time, whatever the memory. Raises as `all_of`.
    """
    source = all_of(part)
    listed = list(range(source.count) if of is None else of)
    size = len(listed) if part.setting("topk") else memory.fit(_latent_piece(x), LATENTS_AT_ONCE)
    for start in range(0, len(listed), size):
        some = listed[start : start + size]
        held = evolve(part, indices=tuple(some), arrays=source.cut(some))
        yield latent_code(held, lambda array: torch.from_numpy(array).to(x.dtype))


def _latent_piece(x: Float[Tensor, "n d"]) -> Piece:
    """A latent: how it is read and written, as it lies on disk and as it is multiplied, and its numbers twice."""
    return Piece("a latent", (4 * x.shape[1] + 2 * len(x)) * x.dtype.itemsize, LATENTS)


def latent_activity(
    part: HostPart, x: Float[Tensor, "n d"], memory: Memory, of: Sequence[int] | None = None
) -> Float[Tensor, " latent"]:
    """On which share of some vectors each latent of a part's dictionary, or some, are active. Raises as `all_of`.

    In single precision where the dictionary lies so: of all latents of a large one nothing but counts is kept.
    """
    single = all(array.dtype == np.float32 for array in part.arrays.values())
    read = x.float() if single else x
    active = [(code.encode(read) > 0).sum(0) for code in all_latents(part, read, memory, of)]
    return torch.cat(active).to(x.dtype) / len(x)


def reconstructed(
    part: HostPart, x: Float[Tensor, "n d"], memory: Memory
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
    """How many latents of a part's dictionary are active on each vector, and what all together write of it.

    Raises as `all_latents` does.
    """
    active, made = x.new_zeros(len(x)), torch.zeros_like(x)
    for code in all_latents(part, x, memory):
        numbers = code.encode(x)
        active, made = active + (numbers > 0).sum(-1), made + code.write(numbers)
    return active, made


def span(code: PartCode) -> Float[Tensor, "rank d"]:
    """Orthonormal directions of what a code writes."""
    _, values, found = torch.linalg.svd(code.rows.double(), full_matrices=False)
    return found[values > RANK * values.max()].to(code.rows.dtype)
