"""How a row is read from a record, whatever file or library the record comes from: the words of all readers.

    Dataset.from_csv("ioi.csv", tokenizer="gpt2", text="prompt", columns={"io": " {IO}"}, positions={"END": -1})

The words are those of `Layout`. Where one says a value it is a *key* of the record (`"answer"`; dots lead into what
is nested, numbers into lists: `"requested_rewrite.target_true.str"`), a *template* of keys (`" {IO}"`), or a
*function* of the record (`lambda row: row["choices"][row["answerKey"]]`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from attrs import evolve, field, fields, frozen

from scrub.claims.content import shown
from scrub.claims.data.drafts import Draft, Made, Spelling, positions_of, rows_of
from scrub.claims.data.files import MISSING, RawRow
from scrub.claims.data.row import BATCHED, KEYS, unknown_key
from scrub.claims.data.vocab import Vocab, read_vocab
from scrub.claims.text import Tokenizer
from scrub.errors import DataError, did_you_mean, some

Said = str | Callable[[Any], Any]
OWN = ("text", *KEYS)
AT = "@"  # before the name of a position where a row is flat, as in a table
_HOLE = re.compile(r"\{([\w.\-]+)\}")
_IDS = re.compile(r"[\s\[\](),\d]*")


class LayoutWords(TypedDict, total=False):
    """The words of `Layout`, as readers take them."""

    text: Said
    tokens: Said
    columns: Mapping[str, Said] | Sequence[str] | str
    positions: Mapping[str, Any]
    partner: Said
    partner_columns: Mapping[str, Said]
    tokenizer: Tokenizer | str | Path
    bos: bool
    marks: bool
    vocab: Any


@frozen
class Layout:
    """Where a record has what a row takes.

    - `text`: the prompt; `{NAME|span}` in it names a position unless `marks=False`. `tokens`: token ids instead.
      Unsaid, what the record has under `tokens`, else under `text`.
    - `columns`: for each column where its value is, or names of keys (`"io s1"`). Unsaid, every other key is a
      column, `@NAME` is a position, and a record in the layout of `from_rows` is read as that.
    - `positions`: for each name an index, `{"find": " Mary", "occurrence": 2}`, `{"column": "io"}`, or where the
      record has one of these.
    - `partner`: where the record has its counterfactual, a prompt of its own (text or ids) or a record of the same
      keys. It becomes a row, behind its own: `pair` is the other's row number, `is_clean` which is which.
      `partner_columns` are those that differ on it.
    - `tokenizer`, `bos`: as for `from_text`. `vocab`: words for ids (`scrub.claims.data.vocab`).
    """

    text: Any = None
    tokens: Any = None
    columns: Any = None
    positions: dict[str, Any] = field(default=None, converter=positions_of)
    partner: Any = None
    partner_columns: Any = None
    tokenizer: Any = None
    bos: Any = None
    marks: bool = True
    vocab: Vocab | None = None

    @classmethod
    def of(cls, reader: str, words: Mapping[str, Any]) -> Layout:
        """A layout from a reader's words. Raises DataError for unknown ones, and for values of a wrong kind."""
        known = [one.name for one in fields(cls)]
        if unknown := [name for name in words if name not in known]:
            near = did_you_mean(unknown[0], known)
            raise DataError(f"{reader}: unknown word {unknown[0]!r}; the words are {', '.join(known)}.{near}")
        if words.get("text") is not None and words.get("tokens") is not None:
            raise DataError(f"{reader}: text= and tokens= both say what a row is: give one.")
        found = cls(**words)
        vocab = None if found.vocab is None else read_vocab(found.vocab)
        return evolve(found, columns=named(found.columns, "columns="), vocab=vocab, partner_columns=named(
            found.partner_columns, "partner_columns="
        ) or {})  # fmt: skip


def named(given: Any, what: str) -> dict[str, Said] | None:
    """Columns, and where the value of each is. Raises DataError."""
    if given is None:
        return None
    found: dict[str, Said]
    if isinstance(given, Mapping):
        found = {str(name): said for name, said in given.items()}
    elif isinstance(given, str):
        found = {name: name for name in given.replace(",", " ").split()}
    elif isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        found = {name: name for name in given}
    else:
        raise DataError(f"{what} must be a mapping from columns to keys, or names of keys, found {given!r:.60}.")
    if wrong := [said for said in found.values() if not isinstance(said, str) and not callable(said)]:
        raise DataError(
            f"{what}{wrong[0]!r:.60} says no value: give a key, a template of keys or a function of a row."
        )
    return found


def made_of(records: Sequence[RawRow], layout: Layout, what: str) -> Made:
    """The rows of these records; `what` is what a mistake calls their place. Raises DataError with all problems."""
    drafts = [draft for number, record in enumerate(records) for draft in _drafts(record, layout, number)]
    return rows_of(drafts, Spelling(layout.tokenizer, layout.bos, layout.marks, layout.vocab, what))


def _drafts(record: RawRow, layout: Layout, number: int) -> Iterator[Draft]:
    """The row of a record, and its partner's."""
    if not isinstance(record.values, Mapping):
        said = f"{type(record.values).__name__} is no row: give a mapping with {', '.join(OWN)}, or keys of its own."
        yield Draft(record.place, None, problems=(said,))
        return
    first = _draft(record, layout)
    if layout.partner is None:
        yield first
        return
    second = _partner(record, layout, first)
    taken = [name for name in ("pair", "is_clean") if name in first.columns]
    told = tuple(f"column {name!r} is made of the partners: call yours otherwise, columns={{...}}." for name in taken)
    for one, other, clean in ((first, 1, True), (second, 0, False)):
        own = {"pair": 2 * number + other, "is_clean": clean}
        yield evolve(one, columns={**one.columns, **own}, problems=(*one.problems, *told))


def _partner(record: RawRow, layout: Layout, first: Draft) -> Draft:
    """The partner's row: read from a record of its own, or a prompt beside which the record's columns stand."""
    try:
        found = pick(record.values, layout.partner, "partner=")
    except LookupError as error:
        return evolve(first, problems=(str(error.args[0]),))
    if isinstance(found, Mapping):
        return _draft(RawRow(record.place, {**record.values, **found}), layout, layout.partner_columns)
    return evolve(_draft(record, layout, layout.partner_columns), given=_ids(found))


def _draft(record: RawRow, layout: Layout, changed: Mapping[str, Said] | None = None) -> Draft:
    """The row of a record; `changed` are columns that are read elsewhere than the layout says."""
    values, problems = record.values, list[str]()
    own = layout.columns is None and any(isinstance(values.get(key), Mapping) for key in ("columns", "positions"))
    given = _given(values, layout, problems)
    columns = dict[str, Any]()
    for name, said in {**(_own(values, problems) if own else _others(values, layout)), **(changed or {})}.items():
        try:
            columns[name] = pick(values, said, f"column {name!r}")
        except LookupError as error:
            problems.append(str(error.args[0]))
    columns = {name: value for name, value in columns.items() if value is not MISSING}
    return Draft(record.place, given, columns, _positions(values, layout, own, problems), tuple(problems))


def _given(values: Mapping[str, Any], layout: Layout, problems: list[str]) -> Any:
    """The prompt of a record: text or ids, or None where it is a row of a computation graph."""
    said = layout.tokens if layout.tokens is not None else layout.text
    if said is None:
        said = next((key for key in ("tokens", "text") if key in values), None)
    if said is None and layout.tokenizer is None:
        problems += [BATCHED] if "input_ids" in values or "attention_mask" in values else []
        return None
    try:
        found = pick(values, "text" if said is None else said, "text=" if layout.tokens is None else "tokens=")
    except LookupError as error:
        problems.append(str(error.args[0]))
        return None
    if layout.text is not None and not isinstance(found, str):
        problems.append(f"text= is {shown(found)}, which is no text.")
        return None
    if layout.text is None and (layout.tokens is not None or said == "tokens"):
        found = _ids(found)
        if isinstance(found, str):
            problems.append(f"tokens must be a list of ids, found {shown(found)}.")
            return None
    mask = values.get("attention_mask") if said == "input_ids" else None
    return found if mask is None else [t for t, m in zip(list(found), list(mask), strict=False) if m]


def _ids(found: Any) -> Any:
    """Token ids that a table holds as text, as a list; anything else as it is."""
    is_list = isinstance(found, str) and any(map(str.isdigit, found)) and _IDS.fullmatch(found)
    return [int(number) for number in re.findall(r"\d+", found)] if is_list else found


def _own(values: Mapping[str, Any], problems: list[str]) -> dict[str, Said]:
    """The columns of a record in the layout of `from_rows`, which has no other keys."""
    problems += [unknown_key(k, OWN) for k in values if k not in OWN]
    columns = values.get("columns") or {}
    if not isinstance(columns, Mapping):
        problems.append(f"columns must be a mapping, not {type(columns).__name__}.")
        return {}
    return {str(name): partial(_value, columns, name) for name in columns}


def _value(columns: Mapping[Any, Any], name: Any, _: Any) -> Any:
    return columns[name]


def _others(values: Mapping[Any, Any], layout: Layout) -> dict[str, Said]:
    if layout.columns is not None:
        return dict(layout.columns)
    prompt = layout.tokens or layout.text or ("tokens" if "tokens" in values else "text")
    words = (prompt, layout.partner, *layout.positions.values())
    read = {said for said in words if isinstance(said, str)}
    read |= {"attention_mask"} if layout.tokens == "input_ids" else set()
    names = [key for key in values if isinstance(key, str) and key not in read and not _place_name(key)]
    return {name: partial(_value, values, name) for name in names}


def _place_name(key: str) -> str:
    return key[1:] if key.startswith(AT) and key[1:].isidentifier() else ""


def _positions(values: Mapping[Any, Any], layout: Layout, own: bool, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if own and values.get("positions") is not None:
        try:
            found |= positions_of(values["positions"], "positions")
        except DataError as error:
            problems.append(str(error))
    elif layout.columns is None:
        found |= {_place_name(k): value for k, value in values.items() if isinstance(k, str) and _place_name(k)}
    for name, said in layout.positions.items():
        try:
            found[name] = (
                pick(values, said, f"position {name!r}") if isinstance(said, str) or callable(said) else said
            )
        except LookupError as error:
            problems.append(str(error.args[0]))
    return {name: _number(spec) for name, spec in found.items() if spec is not None and spec is not MISSING}


def _number(spec: Any) -> Any:
    """An index that is text, as tables hold it, or a number of numpy's, as an int."""
    if isinstance(spec, str):
        return int(spec) if re.fullmatch(r"-?\d{1,18}", spec) else spec
    return spec.item() if hasattr(spec, "item") else spec


def pick(record: Mapping[str, Any], said: Said, what: str) -> Any:
    """What a record has where a word says. Raises LookupError with the sentence: key, keys known, the nearest."""
    if callable(said):
        return _called(record, said, what)
    if _HOLE.search(said):
        return _HOLE.sub(lambda match: str(_at(record, match[1], what)), said)
    return _at(record, said, what)


def _called(record: Mapping[str, Any], function: Callable[[Any], Any], what: str) -> Any:
    try:
        return function(record)
    except Exception as error:
        known = f"; the keys are {some(record)}" if isinstance(error, KeyError) else ""
        near = (
            did_you_mean(str(error.args[0]), map(str, record)) if isinstance(error, KeyError) and error.args else ""
        )
        said = str(error).rstrip(".")
        raise LookupError(f"{what}: its function raised {type(error).__name__}: {said}{known}.{near}") from None


def _at(record: Mapping[str, Any], key: str, what: str) -> Any:
    if key in record:
        return record[key]
    found: Any = record
    for part in key.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif (
            isinstance(found, list | tuple) and re.fullmatch(r"-?\d+", part) and -len(found) <= int(part) < len(found)
        ):
            found = found[int(part)]
        else:
            raise LookupError(_unknown(part, key, found, what))
    return found


def _unknown(part: str, key: str, found: Any, what: str) -> str:
    inside = "" if part == key else f" (of {key!r})"
    if isinstance(found, Mapping):
        known = [str(one) for one in found]
        return f"{what}: no key {part!r}{inside}; the keys are {some(known) or 'none'}.{did_you_mean(part, known)}"
    return f"{what}: {shown(found)} has no {part!r}{inside}."
