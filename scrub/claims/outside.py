"""Metrics of one's own that read files or the environment: a result knows them by their code and values alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from scrub.claims.metric import Metric

OUTSIDE = ("open", "Path", "environ", "getenv", "read_text", "read_bytes")


def reads_outside(metric: object) -> Iterator[str]:
    """A sentence on a metric whose code, or that of functions of its module that it uses, names such a thing."""
    if not isinstance(metric, Metric):
        return
    names = _names(_function(metric.function), set())
    if found := [name for name in OUTSIDE if name in names]:
        yield (
            f"metric {metric} names {', '.join(found)}: what it reads from files or the environment is in no digest, "
            "so that kept numbers may be those of other contents. Read it beforehand, and hold it in a variable."
        )


def _function(given: Any) -> FunctionType | None:
    """The function below a partial, a method, a wrapper or an object that is called."""
    while isinstance(given, partial | MethodType) or hasattr(given, "__wrapped__"):
        given = given.func if isinstance(given, partial) else getattr(given, "__wrapped__", None) or given.__func__
    if isinstance(given, FunctionType):
        return given
    call = vars(type(given)).get("__call__")
    return call if isinstance(call, FunctionType) else None


def _names(function: FunctionType | None, seen: set[CodeType]) -> set[str]:
    if function is None or function.__code__ in seen:
        return set()
    seen.add(function.__code__)
    names = _of_code(function.__code__)
    held = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    used = [function.__globals__[name] for name in names if name in function.__globals__]
    own = [f for f in [*held, *used] if isinstance(f, FunctionType) and f.__module__ == function.__module__]
    return names.union(*(_names(other, seen) for other in own))


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # nothing was put into it yet
        return False
    return True


def _of_code(code: CodeType) -> set[str]:
    """The names that code reads, those of functions inside it included."""
    inner = (_of_code(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)
