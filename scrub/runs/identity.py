"""What a thing computes, as a digest: weights, a graph of functions, a metric of one's own.

Numbers that are kept are used again only where this is equal, so it errs to one side: a function counts as another
when its code, or anything that its code names, has changed, and an object that shows no data is like no other.
Functions of installed packages are known by their names.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import uuid4

import attrs
import numpy as np
import torch

_OURS = Path(__file__).parents[1]
_LIBRARIES = (*(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")), str(_OURS))
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Fraction)


def identity(*values: object) -> str:
    """A digest of what values are and compute: equal for equal ones in every process, as far as can be told."""
    state = hashlib.blake2b(digest_size=16)
    seen: dict[int, int] = {}
    kept: list[object] = []  # an id names a thing as long as it lives
    for piece in _pieces(values, seen, kept):
        state.update(len(piece).to_bytes(8, "little"))
        state.update(piece)
    return state.hexdigest()


def of_scrub() -> str:
    """A digest of the code that makes numbers: they are used again with exactly this code."""
    rooms = ("claims", "model", "engine", "score", "zoo")
    files = sorted(file for room in rooms for file in (_OURS / room).rglob("*.py"))
    return identity([(str(file.relative_to(_OURS)), file.read_bytes()) for file in files])


def _pieces(value: Any, seen: dict[int, int], kept: list[object]) -> Iterator[bytes]:
    """Bytes that tell a value apart; what was met before is told by its number, so that circles end."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__}:{value!r}".encode()
        return
    if not isinstance(value, tuple):  # which tuples are one object differs between processes
        if id(value) in seen:
            yield f"met:{seen[id(value)]}".encode()
            return
        seen[id(value)] = len(seen)
        kept.append(value)
    yield type(value).__qualname__.encode()
    for part in _parts(value):
        yield from _pieces(part, seen, kept)


def _parts(value: Any) -> list[Any]:
    """What a value consists of."""
    if isinstance(value, torch.Tensor):
        raw = value.detach().cpu().contiguous()
        return [str(raw.dtype), str(tuple(raw.shape)), raw.flatten().view(torch.uint8).numpy().tobytes()]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [str(value.dtype), str(value.shape), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, set | frozenset):
        return sorted(map(identity, value))
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, FunctionType):
        return _function(value)
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, CodeType):
        return [value.co_code, value.co_consts, value.co_names, value.co_varnames]
    if isinstance(value, BuiltinFunctionType | np.ufunc):
        return [getattr(value, "__module__", None), getattr(value, "__qualname__", value.__name__)]
    if isinstance(value, ModuleType):
        return _module(value)
    if isinstance(value, type):
        return _class(value)
    if attrs.has(type(value)):
        return [getattr(value, field.name) for field in attrs.fields(type(value))]
    return _object(value)


def _function(function: FunctionType) -> list[Any]:
    """Its code, defaults, closure, and the globals that its code names; one of a library is known by its name."""
    code = function.__code__
    if code.co_filename.startswith(_LIBRARIES):
        return [function.__module__, function.__qualname__, _cells(function)]
    known = function.__globals__
    used = [(name, known[name]) for name in sorted(_names(code)) if name in known]
    return [code, function.__defaults__, function.__kwdefaults__, _cells(function), used]


def _cells(function: Callable[..., Any]) -> list[Any]:
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _names(code: CodeType) -> set[str]:
    """The names that a function's code reads, those of functions inside it included."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _class(cls: type) -> list[Any]:
    """The functions of a class of one's own and of those it is made from; one of a library is known by its name."""
    named = [cls.__module__, cls.__qualname__]
    members = [getattr(member, "__func__", member) for _, member in sorted(vars(cls).items())]
    functions = [member for member in members if isinstance(member, FunctionType)]
    if all(f.__code__.co_filename.startswith(_LIBRARIES) for f in functions):
        return named
    return [*named, *functions, *cls.__bases__]


def _module(module: ModuleType) -> list[Any]:
    """The text of a module of one's own, and those that it imports; one of a library is known by its name."""
    file = getattr(module, "__file__", None)
    if file is None or file.startswith(_LIBRARIES):
        return [module.__name__]
    inner = [value for _, value in sorted(vars(module).items()) if isinstance(value, ModuleType)]
    return [module.__name__, Path(file).read_bytes(), *inner]


def _object(value: Any) -> list[Any]:
    """An object by its class and what it would be copied from; one that cannot be copied is like no other."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # whatever its own code raises
        return [uuid4().bytes]
    if isinstance(reduced, str):
        return [type(value), reduced]
    make, arguments, state, listed, keyed = (*reduced, None, None, None)[:5]
    return [type(value), make, arguments, state, list(listed or ()), list(keyed or ())]
