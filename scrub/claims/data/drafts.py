"""From what readers find to rows: texts become tokens, what stands at a position its index; all problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from scrub.claims.content import fit
from scrub.claims.data.places import PlaceError, Sought, index, span, wanted
from scrub.claims.data.row import Row, one_kind, parse_positions, parse_row
from scrub.claims.data.vocab import Vocab
from scrub.claims.text import Marked, Tokenizer, bos_note, first_token, mark, open_tokenizer, said, tokens_of
from scrub.errors import DataError, row_errors

TWICE = "position {!r} is marked in the text and given beside it."
NO_TOKENIZER = (
    "the rows are texts: give tokenizer=, a directory with tokenizer.json, a name of the hub's or an object."
)


@frozen
class Draft:
    """A row before it is one: `given` is a text, token ids, or None for a row of a computation graph.

    `place` is its number or line; `problems` are what is wrong with it already.
    """

    place: int
    given: Any
    columns: dict[str, Any] = field(factory=dict[str, Any])
    positions: dict[str, Any] = field(factory=dict[str, Any])
    problems: tuple[str, ...] = ()


@frozen
class Spelling:
    """How drafts are spelt: what splits their texts, whether these have marks, what a mistake calls their place."""

    tokenizer: Tokenizer | str | Path | None = None
    bos: bool | None = None
    marks: bool = True
    vocab: Vocab | None = None
    what: str = "row"


@frozen
class Made:
    """Rows, and what was noticed as they were made."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def rows_of(drafts: Sequence[Draft], spelling: Spelling) -> Made:
    """The rows of these drafts. Raises DataError with every problem of every one of them."""
    adds = said(spelling.bos)
    texts = [draft for draft in drafts if isinstance(draft.given, str)]
    if texts and spelling.tokenizer is None:
        told = [(draft.place, problem) for draft in drafts for problem in draft.problems]
        raise DataError(row_errors([*told, (texts[0].place, NO_TOKENIZER)], spelling.what))
    used = None if spelling.tokenizer is None else open_tokenizer(spelling.tokenizer)
    first = first_token(used) if adds and used is not None and texts else None
    made = [_made(draft, used, first, spelling) for draft in drafts]
    if problems := [(e.place, one) for e, (_, wrong) in zip(drafts, made, strict=True) for one in wrong]:
        raise DataError(row_errors(problems, spelling.what))
    rows = tuple(row for row, _ in made)
    one_kind([draft.place for draft in drafts], rows, spelling.what)
    spelt = [row.tokens for draft, row in zip(drafts, rows, strict=True) if isinstance(draft.given, str)]
    noted = bos_note(spelt, used) if used is not None and spelling.bos is None and spelt else ()
    return Made(rows, noted)


def _made(draft: Draft, used: Tokenizer | None, first: int | None, spelling: Spelling) -> tuple[Row, list[str]]:
    """One row, and what is wrong with it."""
    if draft.given is None and draft.problems:
        return Row((), {}, {}), list(draft.problems)
    asked, problems = _asked(draft)
    positions, tokens = dict[str, int](), [] if draft.given is None else draft.given
    if isinstance(draft.given, str):
        assert used is not None
        texts = {n: s for n, s in asked.items() if isinstance(s, Sought) and isinstance(s.what, str)}
        asked = {name: sought for name, sought in asked.items() if name not in texts}
        marked, wrong = _marked(draft.given, texts, spelling.marks)
        (tokens, positions), split = tokens_of(marked, used, first)
        problems += wrong + split
    row, unfit = parse_row({"tokens": tokens, "columns": draft.columns})
    if unfit:
        return row, [*draft.problems, *problems, *unfit]
    places, missed = _placed(row.tokens, asked, positions, used or spelling.vocab)
    positions, astray = parse_positions(places, len(row.tokens))
    return evolve(row, positions=positions), [*draft.problems, *problems, *missed, *astray]


def _asked(draft: Draft) -> tuple[dict[str, int | Sought], list[str]]:
    """What is looked for at each position of a row."""
    found, problems = dict[str, int | Sought](), list[str]()
    for name, spec in draft.positions.items():
        try:
            found[name] = wanted(spec, draft.columns)
        except PlaceError as error:
            problems.append(_astray(name, error))
    return found, problems


def _astray(name: str, error: PlaceError) -> str:
    text = f"position {name!r}: {error}"
    return text if text.endswith((".", "?")) else f"{text}."


def _marked(text: str, texts: Mapping[str, Sought], marks: bool) -> tuple[Marked, list[str]]:
    """A text with the spans that its marks and the texts looked for in it name, and what is wrong with it."""
    try:
        fit(text)
        marked = mark(text) if marks else Marked(text, ())
    except DataError as error:
        return Marked("", ()), [str(error)]
    except ValueError as error:
        return Marked("", ()), [f"{error}."]
    spans, problems = dict[str, tuple[int, int]](), list[str]()
    for name, sought in texts.items():
        try:
            spans[name] = span(marked.text, sought)
        except PlaceError as error:
            problems.append(_astray(name, error))
    known = {name for name, _, _ in marked.spans}
    problems += [TWICE.format(name) for name in spans if name in known]
    return Marked(marked.text, (*marked.spans, *((n, *s) for n, s in spans.items() if n not in known))), problems


def _placed(
    tokens: Sequence[int], asked: Mapping[str, int | Sought], known: Mapping[str, int], used: Tokenizer | None
) -> tuple[dict[str, int], list[str]]:
    """All positions of a row: the known ones, indices, and where tokens stand that are looked for."""
    places, problems = dict(known), [TWICE.format(name) for name in asked if name in known]
    for name, sought in asked.items():
        try:
            places[name] = sought if isinstance(sought, int) else index(tokens, sought, used)
        except PlaceError as error:
            problems.append(_astray(name, error))
    return places, problems


def positions_of(given: Any, what: str = "positions=") -> dict[str, Any]:
    """Positions as they are said for all rows. Raises DataError for what is no mapping."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"{what} must be a mapping from names to positions, not {type(given).__name__}.")
    return {str(name): spec for name, spec in given.items()}


def listed(values: Any, what: str) -> list[Any]:
    """A list of values. Raises DataError for what is none."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise DataError(f"{what}: give a list, found {values!r:.60}.")
    return list(values)
