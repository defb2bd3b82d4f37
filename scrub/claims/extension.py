"""One file each: what may be added as a file that nothing else names, and how such files are found and read.

A file belongs to the extension point whose value it assigns (`FORMULA = ...` makes it a metric). Files are read here
without being run: a claim is checked without torch, with which most of them compute.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from attrs import NOTHING, Factory, field, fields, frozen

from scrub.claims.problems import at_line
from scrub.errors import PlugInError

ROOT = Path(__file__).parents[1]
Made = TypeVar("Made")
Assigned = Mapping[str, ast.expr]
Faults = Callable[[Mapping[str, Any]], Iterator[str]]


def _none(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ()


@frozen(eq=False)
class ExtensionPoint:
    """What is added as a file: its `noun`, the `value` that the file assigns, and the `folder` of ours, within scrub.

    Where a file is read before it is run, it holds `WORDS` too, plain values for the fields of the class `words`;
    `faults` tells what else is wrong with them. `form` is a sentence on how a file is written. `path` are the folders
    in which files are looked for, ours first; it is the `__path__` of the folder's package, so that the file whose
    words were read is the file that is run.
    """

    noun: str
    value: str
    folder: str
    form: str
    words: type[Any] | None = None
    faults: Faults = _none
    path: list[str] = field(init=False, default=Factory(lambda self: [str(ROOT / self.folder)], takes_self=True))

    @property
    def held(self) -> tuple[str, ...]:
        """The names that a file assigns."""
        return (self.value,) if self.words is None else ("WORDS", self.value)

    @property
    def one(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    def names(self) -> tuple[str, ...]:
        """The names of the files, `logit_diff` for logit_diff.py: by `place` where words say one, then by name."""
        found = {file.stem for folder in self.path for file in python_files(folder) if self.value in assigned(file)}
        return tuple(sorted(found, key=lambda name: (getattr(self.said(name), "place", 0), name)))

    def said(self, name: str) -> Any:
        """The words of a file, None where it needs none. Raises PlugInError for words that are none."""
        file = next(file for folder in self.path if (file := Path(folder, f"{name}.py")).exists())
        return self.read(file)

    def read(self, file: Path) -> Any:
        """The same for a file of any folder."""
        return _read(self, file)

    def ours(self, name: str) -> bool:
        """Whether a file is one of scrub's own."""
        return Path(self.path[0], f"{name}.py").exists()

    def load(self, package: str, name: str, made: type[Made]) -> Made:
        """The value of a file, which is run. Raises PlugInError where that fails, or gives another class."""
        try:
            found = getattr(import_module(f"{package}.{name}"), self.value)
        except Exception as error:
            failed = f"its file raised {type(error).__name__}: {error}{at_line(error)}"
            raise PlugInError(f"{self.noun} {name!r}: {failed}") from error
        if not isinstance(found, made):
            raise PlugInError(f"{self.noun} {name!r}: {self.value} of its file is {found!r}. {self.form}")
        return found


def python_files(folder: str | Path) -> list[Path]:
    return [Path(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py") and name[0] != "_"]


@cache  # kept by the file's path, for the process: it runs what the file held when it began
def assigned(file: Path) -> Assigned:
    """What a file assigns, unevaluated. Raises PlugInError for what is no Python."""
    try:
        return dict(_assigned(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError) as error:
        raise PlugInError(f"{file} cannot be read: it is no Python ({error}).") from None


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield ast.unparse(target), node.value


@cache  # kept by the file's path, as above
def _read(point: ExtensionPoint, file: Path) -> Any:
    there, no = assigned(file), f"{file} is no {point.noun}:"
    if lacking := [name for name in point.held if name not in there]:
        raise PlugInError(f"{no} it has no {' and no '.join(lacking)}. {point.form}")
    if point.words is None:
        return None
    try:
        found: Any = ast.literal_eval(there["WORDS"])
    except (ValueError, TypeError):  # no plain values; keys that cannot be keys
        found = None
    wrong = [*_wrong(point, found)] if isinstance(found, dict) else ["are no dict of plain values"]
    if wrong:
        raise PlugInError(f"{no} its WORDS {'; they '.join(wrong)}. {point.form}")
    return point.words(**found)


def _wrong(point: ExtensionPoint, found: Mapping[str, Any]) -> Iterator[str]:
    assert point.words is not None
    known = {one.name: one.default for one in fields(point.words)}
    yield from (f"lack {name!r}" for name, default in known.items() if default is NOTHING and name not in found)
    yield from (f"have {name!r}, which is none of {', '.join(known)}" for name in found if name not in known)
    given = {name: default for name, default in known.items() if default is not NOTHING and name in found}
    for name, usual in given.items():
        if type(found[name]) is not type(usual):
            yield f"say {name}={found[name]!r}: say a value like {usual!r}"
    yield from point.faults(found)
