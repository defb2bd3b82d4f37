"""Functions without shapes in their annotations are checked by beartype itself, as strictly as by way of jaxtyping.

The wrapper that jaxtyping puts around every function binds its arguments and keeps the sizes of axes, whether or not
there are any: that took half of the time of all tests. It stays where an annotation names a shape.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isfunction
from typing import Any, get_args, get_type_hints

import jaxtyping

Decorator = Callable[[Any], Any]
whole = jaxtyping.jaxtyped


def has_shape(hint: Any) -> bool:
    own = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return own or any(map(has_shape, get_args(hint)))


def jaxtyped(*, typechecker: Decorator) -> Decorator:
    def checked(made: Any) -> Any:
        hints = hints_of(made) if isfunction(made) else None
        if hints is None or any(map(has_shape, hints.values())):
            return whole(typechecker=typechecker)(made)
        told, made.__annotations__ = made.__annotations__, hints
        try:
            return typechecker(made)
        except Exception:  # beartype cannot make a check of such a hint
            made.__annotations__ = told
            return whole(typechecker=typechecker)(made)

    return checked


def hints_of(function: Any) -> dict[str, Any] | None:
    """The annotations as they are meant; None where one cannot be evaluated (it names what is local)."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:
        return None


def install() -> None:
    """The hook of jaxtyping looks the decorator up by this name as it imports a module."""
    jaxtyping.jaxtyped = jaxtyped
