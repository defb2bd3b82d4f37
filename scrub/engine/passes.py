"""One pass of a slice of rows, of which arrays are read where they are kept, else run, and kept then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Int
from torch import Tensor

from scrub.engine.needs import Kind
from scrub.model.kept import Tokens
from scrub.model.trace import trace
from scrub.model.weights import Transformer

# Kept by the model: the arrays of its passes, in the order in which they come.
_names: WeakKeyDictionary[Transformer, list[Kind]] = WeakKeyDictionary()


def arrays_of_rows(
    model: Transformer, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"], kinds: Collection[str]
) -> dict[Kind, Tensor]:
    """All arrays of these kinds, `[row t ...]`, on the model's device; past the end of a row they have no meaning."""
    with torch.no_grad():
        if model.passes is None:
            return _run(model, tokens, lengths, kinds)
        names, rows = [name for name in _named(model) if name[0] in kinds], _rows(tokens, lengths)
        if model.passes.known(model, rows, names):
            return {name: model.passes.read(model, rows, name) for name in names}
        found = _run(model, tokens, lengths, kinds)
        model.passes.keep(model, rows, found)
        return found


def _run(
    model: Transformer, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"], kinds: Collection[str]
) -> dict[Kind, Tensor]:
    found = dict[Kind, Tensor]()

    def record(kind: str, layer: int, value: Tensor) -> None:
        if kind in kinds:
            found[kind, layer] = value.to(model.device).contiguous()  # as it lies where it is read

    trace(model, tokens, lengths, record)
    return found


def _named(model: Transformer) -> list[Kind]:
    """Found by a pass of one token."""
    if model not in _names:
        found, token = list[Kind](), torch.zeros(1, 1, dtype=torch.int64, device=model.device)
        trace(model, token, token[0] + 1, lambda kind, layer, value: found.append((kind, layer)))
        _names[model] = found
    return _names[model]


def _rows(tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"]) -> Sequence[Tokens]:
    return [tuple(row[:length]) for row, length in zip(tokens.tolist(), lengths.tolist(), strict=True)]
