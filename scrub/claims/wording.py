"""Built-in metrics as a claim knows them: the columns they take, which way is better, their words.

One file a metric, in `scrub/metrics`: its name is the file's, and nothing else lists it. A claim is checked without
torch, which a metric is computed with, so that `WORDS` of the file is read here and the file itself is not run.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attrs import NOTHING, fields, frozen

from scrub.errors import MetricError

FOLDERS = [str(Path(__file__).parents[1] / "metrics")]  # where metrics are looked for, and imported from


@frozen(kw_only=True)
class Wording:
    """`WORDS` of a metric's file.

    `columns` are what its arguments are called where they are explained, `better` is "higher" or "lower", `unit`
    stands beside it in plots. `place` says where it is listed among the others (last, by name, where nothing is
    said). `instead` names what to measure where an answer that ignores its input comes close to the model.
    """

    columns: tuple[str, ...]
    better: str
    unit: str = ""
    place: int = 99
    instead: str = ""


def names() -> tuple[str, ...]:
    """The metrics' names, `logit_diff` for the file logit_diff.py."""
    found = [file.stem for folder in FOLDERS for file in _files(folder)]
    return tuple(sorted(found, key=lambda name: (wording(name).place, name)))


def wording(name: str) -> Wording:
    """What the file of a metric says of it. Raises MetricError for a file that is no metric."""
    file = _file(name)
    assert file is not None, name
    return _read(file)


def plug_in(folder: str | Path) -> None:
    """Add the metrics of another folder, one file each, for as long as this process runs.

    Raises MetricError where there is no such folder, for files that are no metrics, with what each lacks, and for
    names that are taken.
    """
    if not Path(folder).is_dir():
        raise MetricError(f"plug_in({str(folder)!r}): there is no such folder. Give one that holds a file a metric.")
    if wrong := [*_wrong(folder)]:
        raise MetricError("\n".join(wrong))
    FOLDERS.append(str(Path(folder).resolve()))


def _wrong(folder: str | Path) -> Iterator[str]:
    for file in _files(folder):
        if not file.stem.isidentifier():
            yield f"{file}: a claim cannot name the metric {file.stem!r}: call the file a word without signs."
        if file.stem in names():
            yield f"{file}: there is a metric {file.stem!r} already: give the file another name."
        try:
            _read(file)
        except MetricError as error:
            yield str(error)


def _files(folder: str | Path) -> list[Path]:
    return [Path(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py") and name[0] != "_"]


def _file(name: str) -> Path | None:
    return next((file for folder in FOLDERS if (file := Path(folder, f"{name}.py")).exists()), None)


@cache  # kept by the file's path, for the process: it runs what the file held when it began
def _read(file: Path) -> Wording:
    try:
        assigned = dict(_assigned(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError) as error:
        raise MetricError(f"{file} is no metric: it is no Python ({error}). {FORM}") from None
    if lacking := [name for name in ("WORDS", "FORMULA") if name not in assigned]:
        raise MetricError(f"{file} is no metric: it has no {' and no '.join(lacking)}. {FORM}")
    try:
        found: Any = ast.literal_eval(assigned["WORDS"])
    except ValueError:
        found = None
    if wrong := [*_faults(found)] if isinstance(found, dict) else ["are no dict of plain values"]:
        raise MetricError(f"{file} is no metric: its WORDS {'; they '.join(wrong)}. {FORM}")
    return Wording(**found)


FORM = (
    "A metric's file holds WORDS = {'columns': ('label',), 'better': 'higher', 'unit': 'nats'} and "
    "FORMULA = Formula(value)."
)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield ast.unparse(target), node.value


def _faults(found: dict[Any, Any]) -> Iterator[str]:
    known = {field.name: field.default for field in fields(Wording)}
    yield from (f"lack {name!r}" for name, default in known.items() if default is NOTHING and name not in found)
    yield from (f"have {name!r}, which is none of {', '.join(known)}" for name in found if name not in known)
    columns, better = found.get("columns", ()), found.get("better", "higher")
    if not isinstance(columns, tuple) or not all(isinstance(name, str) for name in columns):
        yield f"have columns={columns!r}, which is no tuple of words such as ('label',)"
    if better not in ("higher", "lower"):
        yield f"say better={better!r}: say 'higher' or 'lower'"
