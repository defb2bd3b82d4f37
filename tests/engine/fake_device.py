"""Devices that are none: tensors say that they lie on one, are computed on the CPU, and the host's waits are counted.

What a host waits for is what CUDA's does: a number that is read from a tensor, a shape that depends on numbers
(`nonzero`, a mask as an index), and copies between the two, but for those of pinned memory that need not block. Lists
and host tensors as indices are such copies. Tensors of two devices, or of one and the host, in one operation are an
error there, and here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import pytest
import torch
from attrs import define, field
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import scrub
from scrub.model.weights import Transformer

DEVICE, OTHER = torch.device("meta"), torch.device("meta:1")  # of a kind that torch knows without a driver
READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "unique_dim"}
ON_NUMBERS = {"index", "index_put", "index_put_", "_index_put_impl_"}
ROOM = f"{Path(scrub.__file__).parent}/"


class OnDevice(Tensor):
    """A tensor on a device, with the numbers that it has."""

    numbers: Tensor
    is_meta = False  # it has numbers

    @staticmethod
    def __new__(cls, numbers: Tensor, device: torch.device = DEVICE) -> OnDevice:
        found = Tensor._make_wrapper_subclass(  # pyright: ignore
            cls, numbers.shape, strides=numbers.stride(), storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype, device=device,
        )  # fmt: skip
        found.numbers = numbers
        return found

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({tuple(self.shape)}, {self.device})"

    def data_ptr(self) -> int:
        return self.numbers.data_ptr()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_from_the_host(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_from_the_host(index), value)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside of the devices' own mode")


def _from_the_host(index: Any) -> Any:
    """An index whose lists are tensors of the host."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts)


@define(eq=False, init=False)
class FakeDevice(TorchDispatchMode):
    """Runs what is called on its tensors; `waits` are the operations for which the host waited, and where.

    `crossed` are the arrays that were copied from one device to another.
    """

    waits: list[str] = field(factory=list[str])
    launches: int = 0
    crossed: list[Tensor] = field(factory=list[Tensor])

    def __init__(self) -> None:
        super().__init__()
        self.__attrs_init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), func._schema.name.split("::")[1]
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = [x for x in tensors if isinstance(x, OnDevice)]
        assert all(isinstance(x, OnDevice) or not x.is_meta for x in tensors), f"{name} of no numbers at {_place()}"
        onto = _onto(there, kwargs)
        if self._waits(name, args, kwargs, onto):
            self.waits.append(f"{name} at {_place()}")
        elif there and name not in ("_to_copy", "copy_"):
            mixed = [x for x in tensors if not isinstance(x, OnDevice) and x.ndim]
            assert not mixed or name in ON_NUMBERS, f"{name} of tensors on two devices at {_place()}"
        if name == "_to_copy" and there and onto not in (there[0].device, torch.device("cpu")):
            self.crossed.append(there[0].numbers)
        if name not in ("_to_copy", "copy_"):
            assert len({x.device for x in there}) < 2, f"{name} of tensors on two devices at {_place()}"
        self.launches += onto.type == DEVICE.type and not func.is_view
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("cpu")
        plain = tree_map(lambda x: x.numbers if isinstance(x, OnDevice) else x, (args, kwargs))
        found = func(*plain[0], **plain[1])
        if name.endswith("_") and not name.startswith("__"):
            return args[0]
        if onto.type != DEVICE.type:
            return found
        return tree_map(lambda x: OnDevice(x, onto) if isinstance(x, Tensor) else x, found)

    def _waits(self, name: str, args: Any, kwargs: Any, onto: torch.device) -> bool:
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name == "_to_copy":
            off = isinstance(first, OnDevice)
            free = kwargs.get("non_blocking") and (off or getattr(first, "pinned", False))
            return off != (onto.type == DEVICE.type) and not (free and not off)
        if name == "copy_":
            return isinstance(args[0], OnDevice) != isinstance(args[1], OnDevice)
        if not any(isinstance(x, OnDevice) for x in tree_leaves((args, kwargs))):
            return False
        if name in ON_NUMBERS:
            indices = [x for x in args[1] if x is not None]
            return any(x.dtype == torch.bool or not isinstance(x, OnDevice) for x in indices)
        return name in READS or name.startswith("linalg")


def _onto(there: list[OnDevice], kwargs: dict[str, Any]) -> torch.device:
    """Where what comes out lies."""
    return torch.device(kwargs.get("device") or (there[0].device if there else "cpu"))


def _place() -> str:
    """Where scrub asked for it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(ROOM):
        frame = frame.f_back
    return "the test" if frame is None else f"{frame.f_code.co_filename.removeprefix(ROOM)}:{frame.f_lineno}"


@contextmanager
def fake_device() -> Generator[FakeDevice]:
    """The device, for as long as tensors of it are used."""
    with pytest.MonkeyPatch.context() as patch, FakeDevice() as found:
        patch.setattr(Tensor, "pin_memory", _pinned)
        patch.setattr(torch, "tensor", _by_the_host(torch.tensor))
        yield found


def _by_the_host(tensor: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Made from numbers: on the host, then copied."""

    def made(data: Any, device: Any = None, **options: Any) -> Tensor:
        return tensor(data, **options).to(device or "cpu")

    return made


def _pinned(self: Tensor) -> Tensor:
    found = self.clone()
    found.pinned = True  # pyright: ignore
    return found


def spread(model: Transformer) -> Transformer:
    """A model of which every second layer and the unembedding lie on another device than all else."""
    home, away = model.to(device=DEVICE), model.to(device=OTHER)
    blocks = tuple(pair[layer % 2] for layer, pair in enumerate(zip(home.blocks, away.blocks, strict=True)))
    return attrs.evolve(home, blocks=blocks, ln_final=away.ln_final, W_U=away.W_U, b_U=away.b_U)
