"""What a thing computes, as a digest: weights, a graph of functions, a metric of one's own.

Numbers that are kept are used again only where this is equal, so it errs to one side: a function counts as another
when its code, or anything that its code names, has changed, and an object that shows no data is like no other.
What belongs to an installed package is known by its name. What code reads while it runs, from a file, from the
environment or by a name that it makes up, is not seen.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import uuid4

import attrs
import numpy as np
import torch

from scrub.claims.content import array_parts, copied_from
from scrub.storage.code import OURS, class_parts, code_parts, function_parts, module_parts, own
from scrub.storage.version import VERSION

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Fraction)


class _Unknown(Exception):
    """Something that cannot be told apart was met."""


def identity(*values: object) -> str:
    """A digest of what values are and compute: equal for equal ones in every process, as far as can be told."""
    return known_identity(*values) or uuid4().hex


def known_identity(*values: object) -> str | None:
    """The identity, or None where something in it is like nothing else, not even itself."""
    state = hashlib.blake2b(digest_size=16)
    try:
        for piece in _pieces(values, {}, []):
            state.update(len(piece).to_bytes(8, "little"))
            state.update(piece)
    except (_Unknown, RecursionError):  # or nested too deeply to be told
        return None
    return state.hexdigest()


def _told(value: object) -> str:
    found = known_identity(value)
    if found is None:
        raise _Unknown
    return found


def of_scrub() -> str:
    """A digest of the code that makes numbers: they are used again with exactly this code."""
    return of_rooms("anatomy", "claims", "model", "engine", "metrics", "score", "zoo")


@cache  # kept by the rooms for the process, which runs the code that its files held when it began
def of_rooms(*rooms: str) -> str:
    """A digest of the code of some rooms."""
    files = sorted(file for room in rooms for file in (OURS / room).rglob("*.py"))
    return identity([(file.relative_to(OURS).as_posix(), file.read_bytes()) for file in files])


def versions() -> dict[str, str]:
    """What must be equal where numbers of one result are computed."""
    return {
        "scrub": f"{VERSION} (code {of_scrub()[:8]})",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _pieces(value: Any, seen: dict[int, int], kept: list[object]) -> Iterator[bytes]:
    """Bytes that tell a value apart; what was met before is told by its number, so that circles end."""
    if type(value) in _PLAIN:
        yield f"{type(value).__name__}:{value!r}".encode()
        return
    if not isinstance(value, tuple):  # which tuples are one object differs between processes
        if id(value) in seen:
            yield f"met:{seen[id(value)]}".encode()
            return
        seen[id(value)] = len(seen)
        kept.append(value)  # an id names a thing as long as it lives
    yield type(value).__qualname__.encode()
    try:
        parts = _parts(value)
    except Exception as error:  # whatever a value's own code raises: it is like nothing else
        raise _Unknown from error
    for part in parts:
        yield from _pieces(part, seen, kept)


def _parts(value: Any) -> list[Any]:
    """What a value consists of, its own class and attributes included."""
    if (array := array_parts(value)) is not None:
        return [*array, getattr(value, "__dict__", None)]
    if type(value) is dict:
        return [part for pair in value.items() for part in pair]
    if type(value) in (set, frozenset):
        return sorted(map(_told, value))
    if type(value) in (tuple, list):
        return list(value)
    return _code(value) or _instance(value)


def _code(value: Any) -> list[Any] | None:
    """What a function, a class or a module consists of; None for anything else."""
    if isinstance(value, FunctionType):
        return function_parts(value)
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, CodeType):
        return code_parts(value)
    if isinstance(value, BuiltinFunctionType):
        of = value.__self__
        return [value.__module__, value.__qualname__, None if isinstance(of, ModuleType) else of]
    if isinstance(value, ModuleType):
        return module_parts(value)
    if isinstance(value, type):
        return class_parts(value)
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, np.ufunc) and getattr(np, value.__name__, None) is value:
        return [value.__name__]
    return [value.func, value.attrname] if isinstance(value, cached_property) else None


def _instance(value: Any) -> list[Any]:
    """An object by its class, what it would be copied from, and its attributes."""
    held = sorted(vars(value).items()) if hasattr(value, "__dict__") else []
    if not own(type(value)):  # what it is copied from says all, but for what a decorator wraps
        held = [pair for pair in held if pair[0] == "__wrapped__"]
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if isinstance(value, Path):
        return [str(value)]
    if isinstance(value, Mapping):
        held += [part for pair in value.items() for part in pair]
    if attrs.has(type(value)):
        fields = [getattr(value, field.name) for field in attrs.fields(type(value))]
        return [type(value), fields, held]
    return [type(value), *copied_from(value), held]  # what a name alone wraps stands among its attributes
