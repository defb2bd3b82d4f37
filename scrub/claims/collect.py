"""Finding claims: in files, directories, by `file::name[variant]`, frozen ones. A broken file is a problem."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from scrub.claims.frozen_files import CLAIM
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import Problem, collecting, innermost, located, same_file
from scrub.errors import ClaimError, ScrubError, did_you_mean, is_file, path_of

MOST_FOLDERS, LARGEST_FILE = 10_000, 2**22  # of a directory; bytes of a file of claims
_PACKAGES = {"node_modules", "site-packages", "dist-packages"}
_ENVIRONMENT = {"pyvenv.cfg", "conda-meta"}  # what says that a folder is one
_PREFIX = "scrub_claims_"
_TARGET = re.compile(r"(?P<path>.+?)(?:::(?P<name>\w+)(?:\[(?P<variant>.*)\])?)?")


@frozen
class Collected:
    """The claims found, in the order of the files, and the files that could not be read."""

    hypotheses: tuple[Hypothesis, ...]
    problems: tuple[Problem, ...] = field(default=())


def collect(targets: Iterable[str | Path]) -> Collected:
    """Claims of files, of directories of files, of `file.py::name` and `file.py::name[backups=False]`.

    A file is run to find its claims. Of a directory those files are taken that import scrub, which is read before
    anything is run; hidden folders and those of environments and caches are passed over. A directory that holds a
    `claim.json` is a frozen claim, which runs nothing and stands for that alone.
    A claim that a file merely imports counts where it is asked for by name. Raises ClaimError for a path that
    does not exist, a name that a file does not have, a directory without claims or with more than 10,000 folders.
    """
    hypotheses: list[Hypothesis] = []
    problems: list[Problem] = []
    for target in targets:
        match = _TARGET.fullmatch(str(target))
        if match is None:
            raise ClaimError(f"{str(target)!r} names no file: write file.py, a directory or file.py::name.")
        path = path_of(match["path"], "target")
        if not path.exists():
            raise ClaimError(f"no such file: {path}.{_meant(str(path)) or _near(path)}")
        if path.suffix == ".ipynb":
            raise ClaimError(f"{path} is a notebook, of which no claims are collected: save its cells as a .py file.")
        found = [load(file, bool(match["name"])) for file in _files(path)]
        loaded = [h for f in found for h in f.hypotheses]
        broken = [p for f in found for p in f.problems]
        if not loaded and not broken:
            kind = "directory" if path.is_dir() else "file"
            read = " Of a directory, only files that import scrub are run." if path.is_dir() else ""
            raise ClaimError(
                f"the {kind} {path} holds no claims: decorate a function with @claim (scrub new writes one).{read}"
            )
        problems += broken
        if match["name"] and loaded:
            loaded = [_named(loaded, match["name"], match["variant"], path)]
        hypotheses += loaded
    return Collected(tuple(hypotheses), tuple(problems))


def _meant(given: str) -> str:
    """A target that was written as other tools write theirs: one colon, or a module with dots."""
    file, _, name = given.rpartition(":")
    if name and is_file(file):
        return f" Two colons name a claim: {file}::{name}."
    module = Path(*given.split(".")).with_suffix(".py")
    return f" Did you mean {str(module)!r}?" if is_file(module) else ""


def _near(path: Path) -> str:
    there = [str(p) for p in path.parent.glob("*")] if path.parent.is_dir() else []
    return did_you_mean(str(path), there)


def _files(path: Path) -> list[Path]:
    if path.is_file() or is_file(path / CLAIM):
        return [path]
    return sorted(file for folder in _folders_of(path) for file in _claims_in(folder))


def _folders_of(path: Path) -> Iterator[Path]:
    """A directory and those below it; not those of environments and caches, nor whose name begins with . or _."""
    folders = os.walk(path)
    for number, (folder, below, files) in enumerate(folders):
        if number >= MOST_FOLDERS:
            raise ClaimError(f"{path} has more than {MOST_FOLDERS:,} directories below it: name the one with claims.")
        if number and not _ENVIRONMENT.isdisjoint([*below, *files]):
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith((".", "_")) and name not in _PACKAGES)
        yield Path(folder)


def _claims_in(folder: Path) -> list[Path]:
    """The files of a folder that import scrub, or another of them that does: claims share a file of stories."""
    texts = {file: text for file in folder.glob("*.py") if (text := _text(file)) is not None}
    if not any(b"scrub" in text for text in texts.values()):
        return []
    imported, names = {file: _imported(text) for file, text in texts.items()}, {"scrub"}
    while True:
        found = [file for file, modules in imported.items() if not modules.isdisjoint(names)]
        if names.issuperset(more := {file.stem for file in found}):
            return found
        names |= more


def _text(file: Path) -> bytes | None:
    """A file that may hold claims; None for others, and for those that may not be read."""
    try:
        if file.name.startswith((".", "_")) or not file.is_file() or file.stat().st_size > LARGEST_FILE:
            return None
        return file.read_bytes()
    except OSError:
        return None


def _imported(text: bytes) -> set[str]:
    """The modules that a file imports, at any depth; scrub where it cannot be parsed, for it may be a claim."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"scrub"} if b"scrub" in text else set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def load(path: Path, imported: bool = False) -> Collected:
    """Import one file and take the hypotheses bound to names at its top level, imported ones too if asked.

    A directory is a frozen claim.
    """
    if path.is_dir():
        return _thawed(path)
    with collecting() as wrong:
        try:
            module = _import(path)
        except (Exception, SystemExit) as error:
            return Collected((), tuple(located([*wrong, _raised(path, error)], "", str(path), None)))
    foreign = set[str]() if imported else _imported_names(path)
    own = [
        evolve(h, name=name, file=str(path), line=h.line if same_file(h.file, str(path)) else None)
        for name, h in vars(module).items()
        if isinstance(h, Hypothesis) and not name.startswith("_") and name not in foreign
    ]
    return Collected(tuple(own), tuple(located([*wrong, *_hidden(path, {h.name for h in own})], "", str(path), None)))


def _hidden(path: Path, names: set[str]) -> Iterator[Problem]:
    """Claims that no name leads to any more, because a later one at the top of the file has theirs."""
    written: dict[str, int] = {}
    for node in ast.parse(path.read_bytes()).body:
        for name in _bound(node) & names:
            if name in written:
                found = f"{name!r} is the name of another claim too, in line {written[name]}: Python keeps the last."
                yield Problem(found, "Give each claim its own name.", file=str(path), line=node.lineno)
            written[name] = node.lineno


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement gives to what may be a claim, if it is not made of what had the name before."""
    if isinstance(node, ast.FunctionDef):
        made, names = node.decorator_list, {node.name}
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        made, names = [node.value], {target.id for target in node.targets if isinstance(target, ast.Name)}
    else:
        return set()
    parts = [part for expression in made for part in ast.walk(expression)]
    if not parts or any(isinstance(part, ast.Attribute) and part.attr == "variable" for part in parts):
        return set()  # a step of the story may be called like the claim
    return names - {part.id for part in parts if isinstance(part, ast.Name)}


def _thawed(path: Path) -> Collected:
    from scrub.claims.thaw import thaw

    try:
        return Collected((thaw(path),))
    except ScrubError as error:
        return Collected((), (Problem(str(error), file=str(path)),))


def _raised(path: Path, error: BaseException) -> Problem:
    """The problem that an import ended with, at the file's line in which it arose."""
    if isinstance(error, SyntaxError):
        return Problem(f"syntax error: {error.msg}.", file=error.filename, line=error.lineno)
    raised = f"importing the file raised {type(error).__name__}: {error}"
    found = str(error) if isinstance(error, ScrubError) else raised
    file, line = innermost(error)
    return Problem(found, file=file or str(path), line=line)


def _imported_names(path: Path) -> set[str]:
    """The names that a file takes from others with `from other import name`."""
    body = ast.parse(path.read_bytes()).body
    return {a.asname or a.name for node in body if isinstance(node, ast.ImportFrom) for a in node.names}


_folders: set[str] = set()  # from which claims were loaded in this process


def _import(path: Path) -> Any:
    where = hashlib.blake2b(str(path.resolve()).encode(), digest_size=8).hexdigest()  # the same in every process
    name = f"{_PREFIX}{where}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        frozen = f" The frozen claim is its directory: {path.parent}." if (path.parent / CLAIM).is_file() else ""
        raise ClaimError(f"{path} is no Python file.{frozen}")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    _forget_neighbours(folder)
    sys.modules[name] = module
    sys.path.insert(0, folder)  # so that claims may share a file of stories beside them
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _forget_neighbours(folder: str) -> None:
    """Drop modules that lie beside claims in other folders: two folders may each have a `stories.py`."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        beside = str(Path(file).parent) if file else ""
        if beside in _folders - {folder} and not name.startswith(_PREFIX):
            del sys.modules[name]
    _folders.add(folder)


def _named(loaded: list[Hypothesis], name: str, variant: str | None, path: Path) -> Hypothesis:
    names = [h.name for h in loaded]
    if f"{name}[{variant}]" in names:  # a frozen variant is a claim of its own
        name, variant = f"{name}[{variant}]", None
    if name not in names:
        raise ClaimError(f"{path} has no claim {name!r}.{did_you_mean(name, names)} It has {', '.join(names)}.")
    hypothesis = loaded[names.index(name)]
    return hypothesis(**_variant(variant)) if variant else hypothesis


def _variant(text: str) -> dict[str, Any]:
    """`backups=False,k=3` as Python literals."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if isinstance(call, ast.Call) and not call.args and all(k.arg for k in call.keywords):
            return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):
        pass
    raise ClaimError(f"the variant [{text}] cannot be read: write [backups=False] or [k=3, name='x'].")
