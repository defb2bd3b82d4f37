"""Functions without shapes in their annotations are checked by beartype itself, as strictly as by way of jaxtyping.

The wrapper that jaxtyping puts around every function binds its arguments and keeps the sizes of axes, whether or not
there are any: that took half of the time of all tests. It stays where an annotation names a shape, and there looks at
every call with arrays of shapes that were not met before, at the first call in every test, and at some of those that
follow: a test of a thousand draws calls a function with the same few shapes a thousand times. So it is with functions
that are made in another's body, each time anew: making their checks took a third of what was left, and a fifth again
where a layer is a function of its own, so that these are looked at more seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any, get_args, get_type_hints

import jaxtyping
from numpy import ndarray
from torch import Tensor

Decorator = Callable[[Any], Any]
whole = jaxtyping.jaxtyped
EVERY, ANEW = (
    64,
    1024,
)  # the first call of a test and each 64th are looked at, whatever their shapes; of what is made anew
calls = Counter[Any]()  # of the code of functions, in this test
met = set[Any]()  # the code of functions with the forms of what they were given
ARRAYS = Tensor, ndarray


def has_shape(hint: Any) -> bool:
    own = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return own or any(map(has_shape, get_args(hint)))


def jaxtyped(*, typechecker: Decorator) -> Decorator:
    by_shape = whole(typechecker=typechecker)

    def checked(made: Any) -> Any:
        if not isfunction(made):
            return by_shape(made)
        if "<locals>" in made.__qualname__ or names_shapes(made):
            return sometimes(made, lambda: by_shape(made))
        return by_type(made, typechecker, by_shape)

    return checked


def by_type(made: Any, typechecker: Decorator, by_shape: Decorator) -> Any:
    told, made.__annotations__ = made.__annotations__, hints_of(made)
    try:
        return typechecker(made)
    except Exception:  # beartype cannot make a check of such a hint
        made.__annotations__ = told
        return by_shape(made)


def sometimes(plain: Any, make: Callable[[], Any]) -> Any:
    """A function whose check is made when a call is looked at."""
    code = plain.__code__  # a function made in another holds what that one held
    every = ANEW if "<locals>" in plain.__qualname__ else EVERY
    kept: list[Any] = []

    @wraps(plain)
    def called(*args: Any, **kwargs: Any) -> Any:
        calls[code] += 1
        values = (*args, *kwargs.values()) if kwargs else args
        given = (code, *[(v.shape, v.dtype) if type(v) in ARRAYS else type(v) for v in values])
        if given in met and calls[code] % every != 1:
            return plain(*args, **kwargs)
        if not kept:
            kept.append(make())
        found = kept[0](*args, **kwargs)
        met.add(given)
        return found

    return called


def names_shapes(function: Any) -> bool:
    """Whether an annotation names a shape, or may: one that cannot be evaluated names what is local."""
    hints = hints_of(function)
    return hints is None or any(map(has_shape, hints.values()))


def hints_of(function: Any) -> dict[str, Any] | None:
    """The annotations as they are meant; None where one cannot be evaluated (it names what is local)."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:
        return None


def install() -> None:
    """The hook of jaxtyping looks the decorator up by this name as it imports a module."""
    jaxtyping.jaxtyped = jaxtyped
