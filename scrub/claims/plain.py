"""Values as JSON and back, exactly: `True` and 1 differ, a tuple is a list, a Fraction says that it is one."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from attrs import asdict, fields

from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import Component
from scrub.errors import some

_FRACTION = re.compile(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?")
_EXACT = (bool, int, str)


class RepeatedKeyError(Exception):
    """An object of JSON names a key twice."""


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values, for `json.loads`. Raises RepeatedKeyError: JSON itself keeps the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = dict.fromkeys(name for name in names if names.count(name) > 1)
        raise RepeatedKeyError(f"{some(map(repr, twice))} stands twice in one object: write each key once.")
    return found


def to_plain(value: object) -> Any:
    """A value, or a column's value, as JSON knows it.

    Raises ValueError for what would not come back the same: other types, and those derived from these.
    """
    if value is None or type(value) in _EXACT:
        return value
    if type(value) is tuple:
        return [to_plain(part) for part in value]
    if type(value) is Fraction:
        return {"fraction": str(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    found = f"{value!r} ({type(value).__name__})"
    raise ValueError(f"{found} cannot be written as data: use None, bool, int, float, str, Fraction, tuples")


def from_plain(found: Any, *, floats: bool = False) -> Any:
    """What `to_plain` wrote. Raises ValueError for anything else; variables have no `floats`."""
    match found:
        case None | bool() | int() | str():
            return found
        case float() if floats:
            return found
        case list():
            return tuple(from_plain(part, floats=floats) for part in found)
        case {"fraction": str(text), **others} if not others and _FRACTION.fullmatch(text):
            return Fraction(text)  # 1e999999999 would be one too, and never end
        case {"float": "nan" | "inf" | "-inf" as text, **others} if floats and not others:
            return float(text)
        case _:
            raise ValueError(f"{json.dumps(found)} is no value")


def as_dict(value: Any, *without: str) -> dict[str, Any]:
    """The fields of a frozen value by name, as JSON knows them, except for those `without`.

    Every `to_dict` is this, and what JSON has beside the fields or under another name. Parts with their own `to_dict`
    are what it gives; what has a name (a component, an edge, a path) is its name.
    """
    out = {id(part) for part in fields(type(value)) if part.name in without}  # parts may have equal ones
    return asdict(value, filter=lambda part, _: id(part) not in out, value_serializer=_written)


def _written(_: Any, __: Any, part: Any) -> Any:
    if isinstance(part, list | tuple):
        return [_written(None, None, one) for one in part]
    if isinstance(part, Component | Edge | Node | Path):
        return str(part)
    return part.to_dict() if hasattr(part, "to_dict") else part
