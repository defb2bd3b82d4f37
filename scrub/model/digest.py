"""Digests that name a model's weights. What is taken from files is looked at once, as long as they stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from scrub.model.later import Later
from scrub.model.weights import Transformer, emptied


def digest(model: Transformer) -> str:
    """A digest of the weights as fp32 numbers: the same in whatever dtype and on whatever device they are."""
    state = hashlib.blake2b(digest_size=16)
    for tensor in _tensors(_alone(model)):
        for piece in _shape(tensor), _bytes(tensor.detach().float()):
            state.update(piece)
    return state.hexdigest()


def digest_as_it_is(model: Transformer) -> tuple[str, Transformer]:
    """A digest that tells every bit of the weights, and what is fixed about the model, without their numbers."""
    state = hashlib.blake2b(digest_size=16)
    alone = _alone(model)
    for shape, told in _sums_of(alone):
        state.update(shape)
        state.update(told)
    return state.hexdigest(), emptied(alone, _fixed)


def _alone(model: Transformer) -> Transformer:
    """Without what holds tensors that are none of its weights."""
    return attrs.evolve(model, passes=None, lending=None)


@frozen(eq=False)
class SeenPart:
    """What was seen of a part that is taken later: shapes and digests of its tensors, and all else about it."""

    sums: tuple[tuple[bytes, bytes], ...]
    fixed: Any


# Kept by the part, as long as it lives: the files that it is taken from stay what they are.
_parts: WeakKeyDictionary[Later[Any], SeenPart] = WeakKeyDictionary()


def _seen(part: Later[Any]) -> SeenPart:
    if part not in _parts:
        taken = part()
        _parts[part] = SeenPart(tuple(_sums_of(taken)), emptied(taken, _fixed))
    return _parts[part]


def _fixed(part: Later[Any]) -> Any:
    return _seen(part).fixed


# Kept by the tensor, as long as it lives, and by how often it was written to.
_sums = WeakTensorKeyDictionary()


def _sums_of(value: Any) -> Iterator[tuple[bytes, bytes]]:
    for found in _leaves(value):
        if isinstance(found, Later):
            yield from _seen(found).sums
        else:
            yield _shape(found), _sum(found)


def _sum(tensor: Tensor) -> bytes:
    """A digest of every bit of a tensor, which several models may share."""
    known = _sums.get(tensor)
    if known is None or known[0] != tensor._version:
        known = _sums[tensor] = tensor._version, hashlib.blake2b(_bytes(tensor.detach()), digest_size=16).digest()
    return known[1]


def _shape(tensor: Tensor) -> bytes:
    return str(tuple(tensor.shape)).encode()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _tensors(value: Any) -> Iterator[Tensor]:
    for found in _leaves(value):
        yield from _tensors(found()) if isinstance(found, Later) else (found,)


def _leaves(value: Any) -> Iterator[Tensor | Later[Any]]:
    """The tensors of a value, and parts that are to be taken."""
    if isinstance(value, Tensor | Later):
        yield value
    # Sorted by name: the order in which a module registers its parts changes nothing that it computes.
    elif isinstance(value, nn.Module):  # what a black box runs
        yield from (tensor for _, tensor in sorted(value.state_dict(keep_vars=True).items()))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _leaves(item)
    elif attrs.has(type(value)):
        for part in attrs.fields(type(value)):
            yield from _leaves(getattr(value, part.name))
