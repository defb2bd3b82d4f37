"""What may be added as one file, and what is known of metrics and ablations without running their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from scrub.claims.extension import ExtensionPoint, assigned, python_files
from scrub.errors import PlugInError


@frozen(kw_only=True)
class Wording:
    """`WORDS` of a metric's file.

    `columns` are what its arguments are called where they are explained, `better` is "higher" or "lower", `unit`
    stands beside it in plots. `place` says where it is listed among the others (last, by name, where nothing is
    said). `instead` names what to measure where an answer that ignores its input comes close to the model. `reduces`
    says that an argument may be `mean(column)` or `max(column)`.
    """

    columns: tuple[str, ...]
    better: str
    unit: str = ""
    place: int = 99
    instead: str = ""
    reduces: bool = False


def _of_metric(found: Mapping[str, Any]) -> Iterator[str]:
    columns, better = found.get("columns", ()), found.get("better", "higher")
    if not isinstance(columns, tuple) or not all(isinstance(name, str) for name in columns):
        yield f"have columns={columns!r}, which is no tuple of words such as ('label',)"
    if better not in ("higher", "lower"):
        yield f"say better={better!r}: say 'higher' or 'lower'"


PAIR, REFERENCE, OWN = ROWS = ("pair", "reference", "own")


@frozen(kw_only=True)
class AblationWords:
    """`WORDS` of an ablation's file.

    `rows` are those that its values come from: "pair", each row's partner; "reference", the reference rows of its
    group; "own", the row itself alone. `draws` is how many are drawn for each row unless told otherwise, 0 where
    nothing is drawn. `place` says where it is listed among the others.
    """

    rows: str = OWN
    draws: int = 0
    place: int = 99


def _of_ablation(found: Mapping[str, Any]) -> Iterator[str]:
    rows, draws = found.get("rows", OWN), found.get("draws", 0)
    if isinstance(rows, str) and rows not in ROWS:
        yield f"say rows={rows!r}: say {', '.join(map(repr, ROWS[:-1]))} or {ROWS[-1]!r}"
    if isinstance(draws, int) and draws < 0:
        yield f"say draws={draws!r}: say how many are drawn for each row, 0 for none"


METRICS = ExtensionPoint(
    "metric", "FORMULA", "metrics",
    "A metric's file holds WORDS = {'columns': ('label',), 'better': 'higher', 'unit': 'nats'} and "
    "FORMULA = Formula(value).",
    Wording, _of_metric,
)  # fmt: skip
ABLATIONS = ExtensionPoint(
    "ablation", "ABLATION", "circuit/ablations",
    "An ablation's file holds WORDS = {'rows': 'reference'} and ABLATION = Ablation(value=value), or "
    "Ablation(donors=donors).",
    AblationWords, _of_ablation,
)  # fmt: skip
FORMATS = ExtensionPoint(
    "circuit format", "FORMAT", "circuit/formats", "A format's file holds FORMAT = Format(example, looks, parts)."
)
METHODS = ExtensionPoint(
    "attribution method", "METHOD", "proposals/methods",
    "A method's file holds METHOD = Method(summary, source, nodes).",
)  # fmt: skip
SECTIONS = ExtensionPoint(
    "report section", "SECTION", "report/page/sections",
    "A section's file holds SECTION = ClaimSection(title, blocks).",
)  # fmt: skip
ARCHITECTURES = ExtensionPoint(
    "architecture", "ARCHITECTURE", "model/architectures",
    "An architecture's file holds ARCHITECTURE = Architecture(family, shape).",
)  # fmt: skip
MORE = "CONTRIBUTING.md shows a file of each."
POINTS = (METRICS, ABLATIONS, FORMATS, METHODS, SECTIONS, ARCHITECTURES)


def plug_in(folder: str | Path) -> None:
    """Add the files of a folder, each what the value that it assigns makes it, for as long as this process runs.

    Raises PlugInError where there is no such folder, for files that are nothing that can be added, with what each
    lacks, and for names that are taken.
    """
    if not Path(folder).is_dir():
        raise PlugInError(f"plug_in({str(folder)!r}): there is no such folder. Give one that holds files to add.")
    wrong = [text for file in python_files(folder) for text in _faults(file)]
    if wrong:
        raise PlugInError("\n".join(wrong))
    for point in {id(point): point for file in python_files(folder) for point in _points(file)}.values():
        point.path.append(str(Path(folder).resolve()))


def _points(file: Path) -> list[ExtensionPoint]:
    return [point for point in POINTS if point.value in assigned(file)]


def _faults(file: Path) -> Iterator[str]:
    """What is wrong with a file that is plugged in."""
    try:
        found = _points(file)
        if not found:
            nouns, values = (_either(getattr(point, name) for point in POINTS) for name in ("noun", "value"))
            yield f"{file} is no {nouns}: it has no {values}. {MORE}"
        for point in found:
            yield from _taken(point, file)
            point.read(file)
    except PlugInError as error:
        yield str(error)


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _taken(point: ExtensionPoint, file: Path) -> Iterator[str]:
    if not file.stem.isidentifier():
        yield f"{file}: a claim cannot name the {point.noun} {file.stem!r}: call the file a word without signs."
    if any(Path(folder, file.name).exists() for folder in point.path):
        yield f"{file}: there is {point.one} {file.stem!r} already: give the file another name."
