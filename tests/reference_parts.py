"""What the oracle knows of parts: for each what it reads, and what its numbers are written as."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.claims.resolved import Claim


class Code(NamedTuple):
    encode: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]
    span: Tensor


def code_of(component: Component) -> Code:
    """A channel without a code is itself; a neuron is one number, whose row only its MLP knows."""
    part = component.part
    if part is None:
        return Code(lambda x: x, lambda x: x, torch.eye(1))
    return _code(component)


@cache
def _code(component: Component) -> Code:
    part = component.part
    assert part is not None
    arrays = {name: torch.tensor(array, dtype=torch.float64) for name, array in part.arrays.items()}
    if part.code == "directions":
        rows = torch.linalg.svd(arrays["basis"], full_matrices=False).Vh
        return Code(lambda x: x @ rows.T, lambda c: c @ rows, rows)
    decoder, encoder, bias = arrays["decoder"], arrays["encoder"], arrays["bias"]
    floor = arrays["threshold"] if "threshold" in arrays else torch.zeros(len(bias), dtype=torch.float64)

    def encode(x: Tensor) -> Tensor:
        found = (x - arrays["centre"]) @ encoder + bias
        return torch.where(found > floor, found, 0 * found).clamp(min=0)

    return Code(encode, lambda c: c @ decoder, torch.linalg.qr(decoder.T).Q.T)


def parts_of(claim: Claim, host: Component) -> list[Component]:
    return [part for part in parts_claimed(claim) if part.host == host]


@lru_cache(64)
def parts_claimed(claim: Claim) -> list[Component]:
    return sorted({c for c, _ in claim.claimed if c.is_part})
