"""A claim in its author's words: what its file and its function say, and the story as it was written."""

from __future__ import annotations

import ast
import inspect
import linecache
from textwrap import dedent
from typing import Any

from attrs import field, frozen
from attrs.validators import deep_iterable, instance_of, optional

from scrub.claims.hypothesis import Hypothesis
from scrub.errors import shorten

LONGEST = 4000  # letters of a text that is kept
_texts = deep_iterable(instance_of(str))


@frozen
class ToldClaim:
    """Paragraphs about the claim, the functions of its story, and why it is a foil."""

    about: tuple[str, ...] = field(default=(), converter=tuple[str, ...], validator=_texts)
    story: tuple[str, ...] = field(default=(), converter=tuple[str, ...], validator=_texts)
    foil: str | None = field(default=None, validator=optional(instance_of(str)))


def told(hypothesis: Hypothesis) -> ToldClaim:
    """What a claim says of itself; a foil, why it is one. A frozen claim has values for functions, and says less."""
    own = hypothesis.build.__doc__ if inspect.isfunction(hypothesis.build) else None
    about = [paragraph for text in (_of_the_file(hypothesis.file), own) if text for paragraph in _paragraphs(text)]
    order = hypothesis.story.order()
    story = [source for variable in order if (source := _source(variable.function))]
    return ToldClaim(() if hypothesis.foil_reason else about, story, hypothesis.foil_reason or None)


def _of_the_file(file: str | None) -> str | None:
    """What a file says first; nothing where it is not known, or is a cell of a notebook."""
    try:
        return ast.get_docstring(ast.parse("".join(linecache.getlines(file or ""))))
    except SyntaxError:
        return None


def _paragraphs(text: str) -> list[str]:
    """Without what is indented: commands and examples."""
    whole = inspect.cleandoc(shorten(text, LONGEST)).split("\n\n")
    return [" ".join(lines.split()) for lines in whole if lines.strip() and not lines.startswith(" ")]


def _source(function: Any) -> str:
    """A function as it was written, without its decorators; nothing where that is not known, or is no `def`."""
    try:
        lines = dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return ""
    begin = lines.find("def ")
    return shorten(lines[begin:], LONGEST) if begin >= 0 else ""
