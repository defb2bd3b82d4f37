"""Values of variables: what may be compared for equality, and how rows fall into classes by it.

A value is `None`, a bool, an int, a str, a `Fraction`, or a tuple of these. `True` and 1 differ. A float is
refused, because whether two floats agree is a choice that only the author can make.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from scrub.claims.content import DEEPEST, fit, shown, stable

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Int

A = TypeVar("A", bound=np.ndarray)
Value = None | bool | int | str | Fraction | tuple["Value", ...]


def canonical(value: object, depth: int = 0) -> Value:
    """`value` as plain Python, numpy scalars converted. Raises ValueError with the reason when it is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str | Fraction):
        fit(value)
        return value
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, tuple):
        return tuple(canonical(part, depth + 1) for part in value)
    if isinstance(value, float):
        raise ValueError(
            f"{value!r} is a float: say how it is rounded, with @story.variable(round=0.25) or an int of your own"
        )
    raise ValueError(
        f"{shown(value)} ({type(value).__name__}) is no value: use None, bool, int, str, Fraction or tuples of these"
    )


def binned(value: object, step: float, depth: int = 0) -> Value:
    """The multiple of `step` nearest to a number, as a Fraction: the bin that a rounded variable stores.

    A tuple is rounded part by part; what is no number stays as it is.
    """
    if isinstance(value, tuple) and depth <= DEEPEST:
        return tuple(binned(part, step, depth + 1) for part in value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or not isinstance(value, int | float | Fraction) or isinstance(value, bool):
        return canonical(value, depth)
    fit(value)
    if not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be rounded: a value must be finite")
    width = Fraction(str(step))
    return round(Fraction(value) / width) * width


def key(value: Value) -> Hashable:
    """A hashable key with the equality of this module: `True` is not 1, `Fraction(2)` is 2."""
    if isinstance(value, tuple):
        return ("tuple", *(key(part) for part in value))
    return ("bool", value) if isinstance(value, bool) else value


def equal(a: Value, b: Value) -> bool:
    return key(a) == key(b)


def fixed(array: A) -> A:
    """The same array, which nobody can write to any more: what is kept and handed out must stay what it is."""
    array.flags.writeable = False
    return array


def codes(values: Iterable[Hashable]) -> Int[np.ndarray, " row"]:
    """Class numbers of hashable keys in order of first appearance: equal numbers, equal keys."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def joint_codes(parts: Sequence[Int[np.ndarray, " row"]], rows: int) -> Int[np.ndarray, " row"]:
    """Classes of rows that agree on all of several codings at once; one class when there are none."""
    if not parts:
        return np.zeros(rows, dtype=np.int64)
    return np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)[1].reshape(rows).astype(np.int64)


def read_only(value: Any) -> Any:
    """The value as a function may have it, since other calls read the same one.

    An array is a view that cannot be written to; a list, a dict or a set is a copy.
    """
    if isinstance(value, list | dict | set | bytearray):
        return deepcopy(value)
    if not isinstance(value, np.ndarray):
        return value
    view: np.ndarray[Any, Any] = value.view()
    view.flags.writeable = False
    return view


def printed(value: Value) -> str:
    """A value as digests know it; what a class of the user's adds to it, a name of a number, leaves no trace."""
    return repr(_bare(value))


def _bare(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(map(_bare, value))
    if value is None or type(value) in (bool, int, str, Fraction):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return Fraction(value.numerator, value.denominator) if isinstance(value, Fraction) else int.__int__(value)


def digest(*parts: object, size: int = 16) -> str:
    """Hex digest of values, by their stable text."""
    return hashlib.blake2b(stable(parts).encode(), digest_size=size).hexdigest()
