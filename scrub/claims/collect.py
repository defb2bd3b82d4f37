"""Finding claims: in files, directories, by `file::name[variant]`. A broken file is a problem, never skipped."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import Problem
from scrub.errors import ClaimError, ScrubError, did_you_mean

_TARGET = re.compile(r"(?P<path>.+?)(?:::(?P<name>\w+)(?:\[(?P<variant>.*)\])?)?")


@frozen
class Collected:
    """The claims found, in the order of the files, and the files that could not be read."""

    hypotheses: tuple[Hypothesis, ...]
    problems: tuple[Problem, ...] = field(default=())


def collect(targets: Iterable[str | Path]) -> Collected:
    """Claims of files, of directories of files, of `file.py::name` and `file.py::name[backups=False]`.

    Raises ClaimError for a path that does not exist, a name that a file does not have, a directory without claims.
    """
    hypotheses: list[Hypothesis] = []
    problems: list[Problem] = []
    for target in targets:
        match = _TARGET.fullmatch(str(target))
        assert match is not None
        path = Path(match["path"])
        if not path.exists():
            raise ClaimError(f"no such file: {path}.{_near(path)}")
        found = [_load(file) for file in _files(path)]
        loaded = [h for f in found for h in f.hypotheses]
        broken = [p for f in found for p in f.problems]
        if not loaded and not broken:
            kind = "directory" if path.is_dir() else "file"
            raise ClaimError(f"the {kind} {path} holds no claims: decorate a function with @claim (scrub new writes one).")
        problems += broken
        if match["name"] and not broken:
            loaded = [_named(loaded, match["name"], match["variant"], path)]
        hypotheses += loaded
    return Collected(tuple(hypotheses), tuple(problems))


def _near(path: Path) -> str:
    there = [str(p) for p in path.parent.glob("*")] if path.parent.is_dir() else []
    return did_you_mean(str(path), there)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*.py") if not any(part.startswith((".", "_")) for part in p.parts[len(path.parts) :]))


def _load(path: Path) -> Collected:
    """Import one file and take the hypotheses bound to names at its top level."""
    try:
        module = _import(path)
    except SyntaxError as error:
        return Collected((), (Problem(f"syntax error: {error.msg}.", "", file=str(path), line=error.lineno),))
    except ScrubError as error:
        return Collected((), (Problem(str(error), file=str(path), line=_line_in(path, error)),))
    except Exception as error:
        found = f"importing the file raised {type(error).__name__}: {error}"
        return Collected((), (Problem(found, file=str(path), line=_line_in(path, error)),))
    named = [evolve(h, name=name, file=str(path)) for name, h in vars(module).items() if isinstance(h, Hypothesis)]
    own = [h for h in named if not h.name.startswith("_")]
    return Collected(tuple(own))


def _import(path: Path) -> Any:
    name = f"scrub_claims_{abs(hash(str(path.resolve())))}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ClaimError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
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


def _line_in(path: Path, error: BaseException) -> int | None:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.absolute() or f.filename == str(path)]
    return lines[-1] if lines else None


def _named(loaded: list[Hypothesis], name: str, variant: str | None, path: Path) -> Hypothesis:
    names = [h.name for h in loaded]
    if name not in names:
        raise ClaimError(f"{path} has no claim {name!r}.{did_you_mean(name, names)} It has {', '.join(names)}.")
    hypothesis = loaded[names.index(name)]
    return hypothesis(**_variant(variant)) if variant else hypothesis


def _variant(text: str) -> dict[str, Any]:
    """`backups=False,k=3` as Python literals."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise ClaimError(f"the variant [{text}] cannot be read: write [backups=False] or [k=3, name='x'].") from None
