"""What a loaded model is at a moment: its weights, whatever was hooked into it, and how it is built.

Two states are equal only where the model computes the same. Weights are told by their numbers and not by torch's
counters, since a change by way of `.data`, or of numpy, is counted nowhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import torch
from torch import Tensor, nn

from scrub.model.take import configuration

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_AT_ONCE = 2**26  # bytes that are looked at together: of weights on another device a copy is made
_PASSING = "training"  # what the self-check sets and puts back
State = tuple[Hashable, ...]
Numbers = tuple[tuple[Hashable, int], ...]  # of every tensor, by its form


@attrs.define(eq=False)
class Adapted:
    """What was found of a bridge while it was built so and had these numbers."""

    built: State
    numbers: Numbers
    found: dict[Hashable, Any] = attrs.field(factory=dict[Hashable, Any])  # kept by what it is and its arguments
    used: bool = False  # whether somebody went by these numbers since they were read

    @property
    def forms(self) -> State:
        return tuple(form for form, _ in self.numbers)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made before, or is made now; what raises is made again."""
        if key not in self.found:
            self.found[key] = make()
        return self.found[key]

    def ran(self, bridge: Any) -> None:
        """A bridge that has run: some put hooks of their own into place the first time."""
        self.built = built_of(bridge)


# Kept by the bridge, as long as it lives, in the state in which it was met last.
_bridges: WeakKeyDictionary[Any, Adapted] = WeakKeyDictionary()


def adapted(bridge: Any, read: Adapted | None = None) -> Adapted:
    """What was found of a bridge as it is now: nothing, where it was changed since.

    All its numbers are read, unless whoever asks had them `read` a moment ago and nobody went by them yet.
    """
    if read is not None and not read.used and read is built_alike(bridge):
        read.used = True
        return read
    built, numbers = built_of(bridge), numbers_of(bridge)
    known = _bridges.get(bridge)
    if known is None or (known.built, known.numbers) != (built, numbers):
        known = _bridges[bridge] = Adapted(built, numbers)
    return known


def built_alike(bridge: Any) -> Adapted | None:
    """What was found of a bridge that is built as it is now and whose tensors lie where they lay, unread.

    Enough for its shape. Whoever computes with its numbers asks for `adapted`, which reads all of them. None where
    nothing was found of such a one.
    """
    known = _bridges.get(bridge)
    alike = known is not None and known.built == built_of(bridge) and known.forms == forms_of(bridge)
    return known if alike else None


def built_of(bridge: Any) -> State:
    """How a bridge and the model inside are built and hooked, and how they are configured."""
    said = repr(vars(bridge.cfg)), repr(configuration(bridge)), getattr(bridge, "_weights_processed", False)
    return (*_built(bridge, ""), *_built(bridge.original_model, "model"), *said)


def numbers_of(bridge: Any) -> Numbers:
    """Every tensor of a bridge: other numbers have another text, but by chance (one in 2^32)."""
    return tuple(_numbers(bridge, bridge.original_model))


def forms_of(bridge: Any) -> State:
    """Every tensor of a bridge by where it lies and how."""
    return tuple(_form(tensor) for tensor in _tensors(bridge, bridge.original_model))


def place_of(module: nn.Module) -> State:
    """How a model is built, and where its weights lie, whatever they are now."""
    return tuple(_built(module, "")), tuple(tensor.data_ptr() for tensor in _tensors(module))


def _built(root: nn.Module, name: str) -> Iterator[Hashable]:
    for path, module in root.named_modules(prefix=name):
        yield path, id(module), type(module).__qualname__
        # Hooks are numbered once in a process, whoever adds them.
        yield tuple(module._forward_pre_hooks), tuple(module._forward_hooks)  # pyright: ignore[reportPrivateUsage]
        # What begins with an underline a module keeps for itself, and changes as it runs.
        said = ((key, _plain(value)) for key, value in vars(module).items() if key[0] != "_" and key != _PASSING)
        yield tuple(said)


def _plain(value: Any) -> Hashable:
    """Numbers and words as they are, functions (one that took the place of `forward`) as the objects they are."""
    if isinstance(value, _PLAIN):
        return value
    return id(value) if isinstance(value, Callable) else None


def _tensors(*roots: nn.Module) -> Iterator[Tensor]:
    for root in roots:
        for module in root.modules():
            yield from module.parameters(recurse=False)
            yield from module.buffers(recurse=False)


def _numbers(*roots: nn.Module) -> Iterator[tuple[Hashable, int]]:
    """Every tensor by its form and its numbers; what several parts share is read once."""
    known: dict[Hashable, int] = {}
    for tensor in _tensors(*roots):
        form = _form(tensor)
        if form not in known:
            known[form] = 0 if tensor.is_meta else _sum(tensor)
        yield form, known[form]


def _form(tensor: Tensor) -> Hashable:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), str(tensor.dtype), str(tensor.device)


@torch.no_grad()
def _sum(tensor: Tensor) -> int:
    found, flat = 0, _in_order(tensor.detach()).reshape(-1)
    for piece in flat.split(max(1, _AT_ONCE // tensor.element_size())):
        found = zlib.crc32(piece.contiguous().view(torch.uint8).cpu().numpy().data, found)
    return found


def _in_order(tensor: Tensor) -> Tensor:
    """The same numbers in the order in which they lie, so that a transposed matrix is not copied."""
    axes = sorted(range(tensor.ndim), key=lambda axis: -tensor.stride(axis))
    return tensor.permute(axes)
