"""What one row takes while a transformer runs on it, in bytes: what a `Memory` is asked to fit.

Counted are the largest arrays that are alive together; small ones, and what a library holds for itself, are not.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from attrs import frozen

from scrub.anatomy.shape import Shape
from scrub.model.memory import Memory, Piece
from scrub.model.weights import UNBOUND, Transformer


@runtime_checkable
class SizedModel(Protocol):
    """What sizes depend on: a model's, or that of one whose weights are not loaded."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def memory(self) -> Memory: ...
    @property
    def streamed(self) -> bool: ...
    def at_most(self, in_caches: int) -> int: ...
    def fit(self, piece: Piece, most: int) -> int: ...


@frozen
class Outlined:
    """A model of which the form is known, on a CPU, or `streamed`; `dtype` is that of what is computed."""

    shape: Shape
    memory: Memory
    dtype: torch.dtype = torch.float32
    streamed: bool = False

    def at_most(self, in_caches: int) -> int:
        """How many items go together, whatever the memory holds."""
        return UNBOUND if self.streamed else in_caches

    def fit(self, piece: Piece, most: int) -> int:
        """How many pieces go together, as `Memory.fit` says, of `at_most` so many."""
        return self.memory.fit(piece, self.at_most(most))


def row_bytes(model: SizedModel, length: int) -> int:
    """What a row fills while a layer runs on it: streams, queries to z, scores of a head's keys, neurons."""
    s = model.shape
    each = 8 * s.d_model + 4 * s.n_heads * s.d_head + s.n_heads * length + 3 * s.d_mlp
    return length * each * model.dtype.itemsize


def values_bytes(model: SizedModel, length: int) -> int:
    """What all writers of a row write at every position, with the streams between them."""
    s = model.shape
    each = s.n_layers * (s.n_heads * s.d_head + 3 * s.d_model) + 3 * s.d_model
    return length * each * model.dtype.itemsize


def written_bytes(model: SizedModel, length: int) -> int:
    """What all writers of a row write at every position, without the streams between them."""
    s = model.shape
    return length * (s.n_layers * (s.n_heads * s.d_head + s.d_model) + 2 * s.d_model) * model.dtype.itemsize


def pass_bytes(model: Transformer, length: int) -> int:
    """All that a pass computes of a row, whatever it is called."""
    s = model.shape
    heads = 9 * s.n_heads * max(s.d_head, model.blocks[0].attn.W_Q.shape[-1]) if model.blocks else 0
    return length * (s.n_layers * (7 * s.d_model + heads + s.d_mlp) + 3 * s.d_model) * model.dtype.itemsize


def logits_bytes(model: SizedModel, copies: int = 4) -> int:
    """What the logits of an answer take; a metric has them, their logarithms and those of the model beside them."""
    return copies * model.shape.d_vocab * model.dtype.itemsize
