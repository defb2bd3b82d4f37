"""Half precision: what is computed beside it, and live models that compute in another precision for a while."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)
_ANGLES = ("inv_freq", "original_inv_freq")  # Hugging Face computes with these in fp32 whatever the dtype


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """The dtype of streams, changes, norms, softmax and metrics of a model with matrices of a dtype."""
    return torch.float32 if dtype in HALF else dtype


def own_of(module: nn.Module) -> torch.dtype:
    """The dtype that a model is computed in unless another is asked for.

    The half precision in which it holds its weights, or some of them; fp64 where all are in it; else fp32.
    """
    found = dtypes(module)
    half = next((dtype for dtype in HALF if dtype in found), None)
    return half or (torch.float64 if found == {torch.float64} else torch.float32)


@contextmanager
def computing(module: nn.Module, dtype: torch.dtype, left: Callable[[], None] = lambda: None) -> Generator[None]:
    """Inside, a block's weights are cast to `dtype` as it is entered and put back as it is left; `left` hears of it.

    One block at a time, so that a copy of the whole model is never held. The tensors that come back are the very
    ones that were there: what shares their storage still does.
    """
    handles: list[Any] = []
    kept: dict[nn.Module, list[tuple[nn.Module, str, Tensor]]] = {}

    def enter(unit: nn.Module, _: Any) -> None:
        if unit not in kept:
            kept[unit] = _cast(unit, dtype)

    def leave(unit: nn.Module, *_: Any) -> None:
        _put_back(kept.pop(unit, []))
        left()

    try:
        for unit in _units(module):
            handles += [unit.register_forward_pre_hook(enter), unit.register_forward_hook(leave)]
        yield
    finally:
        for handle in handles:
            handle.remove()
        for changed in kept.values():
            _put_back(changed)


def dtypes(module: nn.Module) -> set[torch.dtype]:
    """The dtypes of a model's weights."""
    return {parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()}


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """The members of lists of layers, and what stands beside those lists: together all that holds weights."""
    if isinstance(module, nn.ModuleList):
        yield from module
    elif any(isinstance(inner, nn.ModuleList) for inner in module.modules()):
        for child in module.children():
            yield from _units(child)
    else:
        yield module


@torch.no_grad()
def _cast(unit: nn.Module, dtype: torch.dtype) -> list[tuple[nn.Module, str, Tensor]]:
    changed: list[tuple[nn.Module, str, Tensor]] = []
    for inner in unit.modules():
        for name, parameter in inner._parameters.items():  # pyright: ignore[reportPrivateUsage]
            if parameter is not None and _differs(parameter, dtype):
                changed.append((inner, name, parameter.data))
                parameter.data = parameter.data.to(dtype)
        for name, buffer in inner._buffers.items():  # pyright: ignore[reportPrivateUsage]
            if buffer is not None and name not in _ANGLES and _differs(buffer, dtype):
                changed.append((inner, name, buffer))
                inner._buffers[name] = _precise(inner, name, buffer).to(dtype)  # pyright: ignore[reportPrivateUsage]
    return changed


def _put_back(changed: list[tuple[nn.Module, str, Tensor]]) -> None:
    for module, name, tensor in changed:
        parameter = module._parameters.get(name)  # pyright: ignore[reportPrivateUsage]
        if parameter is None:
            module._buffers[name] = tensor  # pyright: ignore[reportPrivateUsage]
        else:
            parameter.data = tensor


def _differs(tensor: Tensor, dtype: torch.dtype) -> bool:
    return tensor.is_floating_point() and tensor.dtype != dtype


def _precise(module: nn.Module, name: str, buffer: Tensor) -> Tensor:
    """A buffer as it was before it was rounded with the weights, where the module still knows the number."""
    number = getattr(module, f"scalar_{name}", None)
    return buffer if number is None else torch.tensor(number, dtype=torch.float64, device=buffer.device)
