"""How circuits are written down, one form a file. A file here with a FORMAT is a form, and nothing else lists it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from scrub.anatomy.edges import Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.claims.wording import FORMATS

__path__ = FORMATS.path

Scores = list[tuple[Part, float]]


def _never(value: Any) -> bool:
    return False


@frozen
class Format:
    """A form in which circuits are written.

    `example` is the line that stands for it where known forms are listed. `looks(value, graph)` tells whether a value
    is meant in this form, if perhaps wrongly: the whole of a JSON object where `whole`, else a single entry, a line's
    text or an item of a list. `parts(found, graph)` reads it, the object or all of the file's entries
    (`formats.entries.Entry`), and raises ClaimError with all that is wrong with them. `graph` is the model's, where
    it is known.

    `one(list)` tells a list that is one entry from a list of entries; `braces` says that a line which begins with a
    brace may be an entry. `scores` gives the parts with their scores, for a form that has scores. `writes` gives what
    JSON holds of parts, for a form in which circuits are written; `circuit.write(format=)` knows it by `name`.
    `place` orders the list of known forms. What a `general` form looks for may be found in others' entries: it is
    tried after them.
    """

    example: str
    looks: Callable[[Any, ModelGraph | None], bool]
    parts: Callable[[Any, ModelGraph | None], Parts]
    whole: bool = False
    one: Callable[[Any], bool] = _never
    braces: bool = False
    scores: Callable[[Any, ModelGraph | None], Scores] | None = None
    writes: Callable[[Parts], dict[str, Any]] | None = None
    name: str = ""
    place: int = 99
    general: bool = False


def formats() -> list[Format]:
    """All of them, in the order in which they are listed. Raises PlugInError for a file that fails, or has none."""
    found = [FORMATS.load(__name__, name, Format) for name in FORMATS.names()]
    return sorted(found, key=lambda one: one.place)


def tried(whole: bool) -> list[Format]:
    """The forms of whole objects, or those of entries, in the order in which they are tried."""
    return sorted((one for one in formats() if one.whole == whole), key=lambda one: one.general)
