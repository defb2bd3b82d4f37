"""What a value is, as a text: equal content has equal texts in every process, and other content has other ones.

Identities of rows, digests, and the sharing of what was computed on a row rest on it. An array or a tensor is its
bytes, dtype and shape (not its device); any other object is its class's name and what it would be copied from, as
`copy` and `pickle` have it, so that dataclasses and pandas' tables are told apart by what they hold and never by
what they print. Where a library keeps more than the content (how a table was put together), equal things may have two
texts; two things never have one. What shows no content has no text: a function, an open file, a bare `object()`.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_LONE = re.compile("[\ud800-\udfff]")
_PRINTED = frozenset((type(None), bool, int, float, complex, str, bytes, Fraction))  # these print what they are
_LONG = 14_000  # bits: Python prints integers of up to 4,300 digits
DEEPEST = 100  # tuples, lists and dicts in one another
_CODE = (FunctionType, MethodType, CodeType, ModuleType)


def stable(value: object) -> str:
    """The text of a value. Lists and tuples of equal parts are equal; `True` and 1 are not.

    Raises ValueError with the reason for a value without one.
    """
    try:
        return _text(value)
    except RecursionError:
        raise ValueError("it is nested too deeply, or holds itself") from None


def exactly(value: object) -> str:
    """As `stable`, with all that a function can tell equal values apart by: the order of keys, the type of a number.

    Raises ValueError as `stable` does.
    """
    text, beside = stable(value), ";".join(_beside(value))
    return f"{text}|{beside}" if beside else text


def _beside(value: Any) -> Iterator[str]:
    if type(value) is dict:
        yield _listed(value)
    elif isinstance(value, np.generic):
        yield str(value.dtype)
    for part in _parts(value):
        yield from _beside(part)


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else value if type(value) in (tuple, list) else ()


def alike(value: object) -> str:
    """`exactly`; for a value without a text, one that no other value has as long as it lives."""
    try:
        return exactly(value)
    except ValueError:
        return f"only:{id(value)}"


def _text(value: Any) -> str:
    if type(value) in _PRINTED:
        return f"{type(value).__name__}:{_print(value)}"
    if type(value) in (tuple, list):
        return f"({_listed(value)})"
    if type(value) is dict:
        return "{" + ",".join(f"{_text(k)}:{_text(value[k])}" for k in sorted(value, key=_rank)) + "}"
    if type(value) in (set, frozenset):
        return "{" + ",".join(sorted(map(_text, value))) + "}" if value else "set()"
    if isinstance(value, np.generic):
        return _scalar(value)
    try:
        array = array_parts(value)
    except Exception as error:  # whatever the library raises
        raise _without(value, "its numbers cannot be read") from error
    if array is not None:
        return f"array[{array[0]}]{array[1]}:{hashlib.blake2b(array[2], digest_size=16).hexdigest()}"
    return _object(value)


def _print(value: Any) -> str:
    if not _is_long(value):
        return repr(value)
    return hex(value) if isinstance(value, int) else f"{value.numerator:#x}/{value.denominator:#x}"


def _is_long(value: Any) -> bool:
    """Whether an integer, or a part of a fraction, has more digits than Python prints."""
    if isinstance(value, Fraction):
        return _is_long(value.numerator) or _is_long(value.denominator)
    return isinstance(value, int) and value.bit_length() > _LONG


def _listed(values: Iterable[Any]) -> str:
    return ",".join(map(_text, values))


def _rank(name: Any) -> tuple[str, str]:
    """Where a key of a dict stands among the others."""
    text = _text(name)
    return str(name) if type(name) in _PRINTED or type(name) is tuple else text, text


def _scalar(value: np.generic) -> str:
    plain = value.item()
    if isinstance(plain, np.generic) or value.dtype.kind in "mMV":  # Python has no such number, date or record
        return _text(np.asarray(value))
    return _text(plain)


def array_parts(value: Any) -> tuple[str, str, bytes] | None:
    """Dtype, shape and bytes of an array or a tensor; None for what is none, or holds more than numbers."""
    if type(value) in (np.ndarray, np.memmap):
        plain = not value.dtype.hasobject
        return (str(value.dtype), str(value.shape), np.ascontiguousarray(value).tobytes()) if plain else None
    torch = sys.modules.get("torch")  # without it there are no tensors
    if torch is None or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return None
    if value.layout is not torch.strided:
        raise TypeError(f"a tensor of layout {value.layout}")
    raw = value.detach().resolve_conj().resolve_neg().cpu().contiguous().flatten().view(torch.uint8)
    return str(value.dtype), str(tuple(value.shape)), raw.numpy().tobytes()


def _object(value: Any) -> str:
    """The text of anything else, or ValueError."""
    if isinstance(value, type):
        return f"class:{value.__qualname__}"
    if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, ModuleType | None):
        return f"function:{value.__module__}.{value.__qualname__}"
    if isinstance(value, _CODE):
        raise _without(value, "it is code: give the data that it stands for")
    try:
        held = _held(value)
    except RecursionError:
        raise
    except Exception as error:  # whatever the value's own code raises
        raise _without(value, "it cannot be copied") from error
    if not held:
        raise _without(value, "it holds nothing")
    return f"<{type(value).__qualname__} {_listed(held)}>"


def _without(value: object, why: str) -> ValueError:
    return ValueError(f"nothing tells {shown(value)} ({type(value).__name__}) from others of its kind: {why}")


def _held(value: Any) -> list[Any]:
    """What tells an object apart from others of its class; nothing where it holds nothing."""
    if type(value) is np.ndarray:
        return [str(value.dtype), value.shape, value.ravel().tolist()]
    if type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocoo"):
        found = value.tocoo(copy=True)
        found.sum_duplicates()  # which also sorts; how entries were written is no content
        return [found.shape, *map(np.asarray, found.coords), found.data]
    make, arguments, *others = copied_from(value)
    if all(part is None for part in others) and all(isinstance(part, type) for part in arguments):
        return []
    return [getattr(make, "__qualname__", ""), arguments, *others]


def copied_from(value: Any) -> list[Any]:
    """What copies a value: a function, its arguments, a state, listed and keyed items; None for what is not needed.

    Raises whatever the value's own code raises.
    """
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):  # the name of a thing of which there is one
        return [type(value), (reduced,), None, None, None]
    make, arguments, state, listed, keyed = (*reduced, None, None, None)[:5]
    return [make, arguments, state, *(None if items is None else list(items) for items in (listed, keyed))]


def fit(value: Any, depth: int = 0) -> None:
    """Raises ValueError with the reason where a value cannot stand in a row, or be a variable's value.

    It must have a text, and be such that it can be printed, and written to a file.
    """
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, str) and not value.isascii() and (lone := _LONE.search(value)):
        raise ValueError(f"{shown(value)} holds {lone[0]!r}, half of a character (a lone surrogate): replace it")
    if isinstance(value, int | Fraction) and _is_long(value):
        raise ValueError("an integer of more than 4,200 digits is no value: write it as text")
    if isinstance(value, dict):
        value = (*value, *value.values())
    if isinstance(value, tuple | list | set | frozenset):
        for part in value:
            fit(part, depth + 1)
    elif type(value) not in _PRINTED:
        stable(value)


def shown(value: object, longest: int = 80) -> str:
    """A value in a sentence: its print, cut where it is long; its type where it has none that can be shown."""
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits, or a print of the user's own that fails
        return f"{type(value).__name__} (too long to print)" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
