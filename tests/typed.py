"""Functions without shapes in their annotations are checked by beartype itself, as strictly as by way of jaxtyping.

The wrapper that jaxtyping puts around every function binds its arguments and keeps the sizes of axes, whether or not
there are any: that took half of the time of all tests. It stays where an annotation names a shape, and there looks at
the first calls of every test and at some of those that follow: a test of a thousand draws calls a function with the
same few shapes a thousand times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any, get_args, get_type_hints

import jaxtyping

Decorator = Callable[[Any], Any]
whole = jaxtyping.jaxtyped
FIRST, EVERY = 16, 16  # calls of a function that are looked at in each test
calls = Counter[Any]()  # of the code of functions, in this test


def has_shape(hint: Any) -> bool:
    own = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return own or any(map(has_shape, get_args(hint)))


def jaxtyped(*, typechecker: Decorator) -> Decorator:
    def checked(made: Any) -> Any:
        hints = hints_of(made) if isfunction(made) else None
        if hints is None or any(map(has_shape, hints.values())):
            return sometimes(made, whole(typechecker=typechecker)(made))
        told, made.__annotations__ = made.__annotations__, hints
        try:
            return typechecker(made)
        except Exception:  # beartype cannot make a check of such a hint
            made.__annotations__ = told
            return whole(typechecker=typechecker)(made)

    return checked


def sometimes(plain: Any, checked: Any) -> Any:
    """A function that is checked at its first calls and now and then; a class is as it was checked."""
    if not isfunction(plain):
        return checked

    code = plain.__code__  # a function made in another holds what that one held

    @wraps(checked)
    def called(*args: Any, **kwargs: Any) -> Any:
        calls[code] += 1
        looked_at = calls[code] <= FIRST or not calls[code] % EVERY
        return (checked if looked_at else plain)(*args, **kwargs)

    return called


def hints_of(function: Any) -> dict[str, Any] | None:
    """The annotations as they are meant; None where one cannot be evaluated (it names what is local)."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:
        return None


def install() -> None:
    """The hook of jaxtyping looks the decorator up by this name as it imports a module."""
    jaxtyping.jaxtyped = jaxtyped
