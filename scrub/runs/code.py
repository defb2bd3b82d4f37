"""Functions, classes and modules of a user: what they consist of, for telling whether they still compute the same."""

from __future__ import annotations

import builtins
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

OURS = Path(__file__).resolve().parents[1]
_LIBRARIES = (OURS, *(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "platstdlib", "purelib", "platlib")))
_SLOTS = (GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType)


@cache
def installed(file: str) -> bool:
    """Whether a file is part of an installed package, of Python, or of scrub."""
    return file.startswith("<frozen ") or any(Path(file).resolve().is_relative_to(place) for place in _LIBRARIES)


def function_parts(function: FunctionType) -> list[Any]:
    """Its code, defaults, attributes and closure, and what its code names; an installed one is known by its name."""
    code = function.__code__
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    if installed(code.co_filename):
        return [function.__module__, function.__qualname__, cells]
    used = _used(_names(code), function.__globals__)
    return [code, function.__defaults__, function.__kwdefaults__, dict(function.__dict__), cells, used]


def code_parts(code: CodeType) -> list[Any]:
    return [code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars]


def _names(code: CodeType) -> set[str]:
    """The names that code reads, of globals, attributes and modules; those of functions inside it included."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _used(names: set[str], known: dict[str, Any]) -> list[tuple[str, Any]]:
    """What names stand for: globals, modules that are imported as the code runs, and what is read of modules."""
    found: list[tuple[str, Any]] = []
    for name in sorted(names):
        if name in known:
            value = known[name]
        elif name in sys.modules and not hasattr(builtins, name):
            value = sys.modules[name]
        else:
            continue
        found.append((name, _read_of(value, names) if isinstance(value, ModuleType) else value))
    return found


def _read_of(module: ModuleType, names: set[str]) -> Any:
    """What code reads of a module by these names; an installed module is known by its own."""
    if _is_installed(module):
        return module.__name__
    inner = [(name, vars(module)[name]) for name in sorted(names) if name in vars(module)]
    return [(name, _read_of(value, names) if isinstance(value, ModuleType) else value) for name, value in inner]


def module_parts(module: ModuleType) -> list[Any]:
    """All that a module holds; an installed one is known by its name."""
    if _is_installed(module):
        return [module.__name__]
    return [(name, value) for name, value in sorted(vars(module).items()) if not name.startswith("__")]


def class_parts(cls: type) -> list[Any]:
    """All that a class and those it is made from hold; an installed one is known by its name.

    Its module's name is left out: a file of claims is imported under another name each time.
    """
    module = sys.modules.get(cls.__module__)
    if cls.__module__ == "builtins" or (module is not None and _is_installed(module)):
        return [cls.__module__, cls.__qualname__]
    held = [(name, value) for name, value in sorted(vars(cls).items()) if _says_something(name, value)]
    return [cls.__qualname__, held, *cls.__bases__]


def _says_something(name: str, value: Any) -> bool:
    if isinstance(value, _SLOTS) or name == "_abc_impl":
        return False
    wrapped = getattr(value, "__func__", value)
    return not name.startswith("__") or isinstance(wrapped, FunctionType | property)


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return module.__name__ in sys.builtin_module_names if file is None else installed(file)
