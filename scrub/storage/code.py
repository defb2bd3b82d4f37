"""Functions, classes and modules of a user: what they consist of, for telling whether they still compute the same."""

from __future__ import annotations

import builtins
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import (
    CellType,
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
_SILENT = {  # members of classes that say where a class comes from, or what Python and attrs keep of it
    "__module__", "__dict__", "__weakref__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__",
    "__abstractmethods__", "_abc_impl", "__attrs_attrs__", "__attrs_props__", "__attrs_own_setattr__",
    "__dataclass_fields__", "__dataclass_params__",
}  # fmt: skip
_SLOTS = (GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType)


@cache  # kept by the file's name, which says all: a name that depends on the working directory is none of a library's
def installed(file: str) -> bool:
    """Whether a file is part of an installed package, of Python, or of scrub."""
    there = Path(file)
    return file.startswith("<frozen ") or (
        there.is_absolute() and any(there.resolve().is_relative_to(place) for place in _LIBRARIES)
    )


def function_parts(function: FunctionType) -> list[Any]:
    """Its code, defaults, attributes and closure, and what its code names; an installed one is known by its name."""
    code = function.__code__
    cells = [_held(cell) for cell in function.__closure__ or ()]
    if installed(code.co_filename):
        return [function.__module__, function.__qualname__, cells]
    used = _used(_names(code), function.__globals__)
    return [
        function.__name__,
        code,
        function.__defaults__,
        function.__kwdefaults__,
        dict(function.__dict__),
        cells,
        used,
    ]


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing was put into it yet
        return "an empty cell"


def code_parts(code: CodeType) -> list[Any]:
    return [code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars]


def _names(code: CodeType) -> set[str]:
    """The names that code reads, of globals, attributes and modules; those of functions inside it included.

    A text may be one too, as in `getattr(module, "name")`.
    """
    texts = (constant for constant in code.co_consts if isinstance(constant, str) and constant.isidentifier())
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(texts, *inner)


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
    if not own(cls):
        return [cls.__module__, cls.__qualname__]
    held = [(name, value) for name, value in sorted(vars(cls).items()) if _says_something(name, value)]
    return [cls.__qualname__, held, type(cls), *cls.__bases__]


def own(cls: type) -> bool:
    """Whether a class is of no installed package."""
    module = sys.modules.get(cls.__module__)
    return cls.__module__ != "builtins" and (module is None or not _is_installed(module))


def _says_something(name: str, value: Any) -> bool:
    """Whether a member of a class says what it computes."""
    code = getattr(value, "__code__", None)
    # the one that attrs writes has another constant in every process
    hashing = name == "__hash__" and isinstance(code, CodeType) and code.co_filename.startswith("<attrs generated")
    return not (isinstance(value, _SLOTS) or name in _SILENT or hashing)


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return module.__name__ in sys.builtin_module_names if file is None else installed(file)
