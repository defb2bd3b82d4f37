# Rows come from files that no type checker reads: their types are checked here.
# pyright: reportUnnecessaryIsInstance=false
"""The pool: rows of tokens, named positions and columns, of any mixture of lengths.

    Dataset.from_rows([{"tokens": [5, 9], "positions": {"END": -1}, "columns": {"io": " Mary"}}])

Rows for a computation graph have columns alone: every input node is read from the column of its name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.positions import Slot, locate
from scrub.claims.data.files import RawRow, csv_records, json_records, only_lines, some_rows
from scrub.claims.data.row import Row, parsed_rows, told
from scrub.claims.data.vocab import Vocab, led_by_words, read_vocab
from scrub.claims.text import Tokenizer
from scrub.claims.values import fixed
from scrub.errors import DataError, did_you_mean, some

if TYPE_CHECKING:  # a check need not wait for its import
    import pandas as pd
    from jaxtyping import Int, UInt64

    from scrub.claims.data.layout import LayoutWords
    from scrub.claims.data.pairs import PairWords
    from scrub.claims.data.templates import TemplateWords

LENGTH = "length"


def _rows(rows: Any) -> tuple[Row, ...]:
    listed = tuple(rows) if isinstance(rows, Iterable) else (rows,)
    if wrong := [row for row in listed if not isinstance(row, Row)]:
        raise DataError(
            f"Dataset(...) takes rows, found {wrong[0]!r}: use Dataset.from_rows, from_jsonl or from_text."
        )
    return listed


def _vocab(given: Any) -> Vocab | None:
    return None if given is None else read_vocab(given)


@frozen(slots=False, eq=False)
class Dataset:
    """A tuple of rows. Everything derived from them is computed once and kept; nothing of it can be written to.

    Where rows were taken from a larger data set, that is `whole`, and `numbers` are theirs in it: row numbers that
    stand in a column (partners) count the rows of `whole`. `notes` are what was noticed as the rows were made;
    checks of claims tell them.

    `vocab` gives words for ids, for a model that comes without a tokenizer: a list (the place is the id), a mapping
    from words to ids, or a file of either (JSON, or one token a line). Tables and pictures print its words, columns
    that hold a word mean its id, and a frozen claim carries it. It is no part of the digest.

    `length`, the number of a row's tokens, is a column of all rows of tokens, and part of no digest; a column
    of that name that the rows have themselves stands as it is.
    """

    rows: tuple[Row, ...] = field(converter=_rows)
    whole: Dataset | None = field(default=None, kw_only=True, repr=False)
    numbers: Int[np.ndarray, " row"] | None = field(default=None, kw_only=True, repr=False)
    notes: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    vocab: Vocab | None = field(default=None, converter=_vocab, kw_only=True, repr=False)
    # kept by slot, for these rows
    _located: dict[Slot, Int[np.ndarray, " row"]] = field(factory=dict, init=False, repr=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, vocab: Any = None) -> Dataset:
        """Rows from Python: each a mapping with `tokens`, `positions` and `columns`.

        Positions count from 0, negative ones from the row's end. `vocab` gives words for ids. Raises DataError with
        every problem found, row numbers included.
        """
        if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
            raise DataError(f"from_rows takes a list of rows, each a mapping, found {type(rows).__name__}.")
        return cls(parsed_rows(enumerate(rows)), vocab=vocab)

    @classmethod
    def from_jsonl(cls, path: str | Path, *, vocab: Any = None) -> Dataset:
        """Rows from a file with one JSON object a line, with the keys of `from_rows`.

        A first line `{"vocab": ...}` gives words for ids, as `vocab` does, which comes before it. Raises DataError
        with every line that is wrong.
        """
        said, records = led_by_words(some_rows(only_lines(path), path, "nothing"), path)
        rows = parsed_rows(((r.place, r.values) for r in some_rows(records, path, "words alone")), f"{path}:")
        return cls(rows, vocab=said if vocab is None else vocab)

    @classmethod
    def from_text(
        cls,
        texts: Sequence[str],
        *,
        tokenizer: Tokenizer | str | Path | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None,
        positions: Mapping[str, Any] | None = None,
        bos: bool | None = None,
    ) -> Dataset:
        """Rows from texts with marks: `"When{IO| Mary} and{S1| John} left"` names each span's last token.

        `columns` gives a list of values for each column. `positions` names positions beside the marks: an index
        (negative from the end), `{"find": " Mary", "occurrence": 2}`, or `{"column": "io"}`, where that row's value
        stands. `bos=True` begins each text with the tokenizer's token for that; unsaid, none is added, and checks
        tell where the tokenizer would by default. No other special tokens are added. Raises DataError when a mark
        splits a token, a column has the wrong length, or what is looked for is not there.
        """
        from scrub.claims.data.drafts import Spelling, rows_of
        from scrub.claims.data.texts import text_drafts

        made = rows_of(text_drafts(texts, columns, positions), Spelling(tokenizer, bos, what="text"))
        return cls(made.rows, notes=made.notes)

    @classmethod
    def from_pairs(
        cls, clean: Sequence[Any], corrupt: Sequence[Any], answer: Sequence[Any], wrong: Sequence[Any] | None = None,
        **words: Unpack[PairWords],
    ) -> Dataset:  # fmt: skip
        """Rows from pairs of prompts: clean row 0, its partner 1, clean row 2 ...

        `clean` and `corrupt` are lists of texts (with marks, and a `tokenizer`) or of lists of token ids. Columns are
        `answer` and `wrong` (texts, ids, or tuples of several answers), exchanged on the partner, whose right answer
        `wrong` is (`symmetric=False`: they stand as they are); `pair`, the partner's row number, as `pair=` reads it;
        `is_clean`, as `scored=` reads it. A story that reads them calls its output something else.

        More words: `columns` (lists with a value for each pair), `corrupt_columns` (those that differ on partners),
        `tokenizer`, `positions` and `bos` as for `from_text`, `vocab`. Raises DataError with all problems.
        """
        from scrub.claims.data.pairs import Pairs, pair_rows

        made, vocab = pair_rows(Pairs(clean, corrupt, answer, wrong), words)
        return cls(made.rows, notes=made.notes, vocab=vocab)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **words: Unpack[LayoutWords]) -> Dataset:
        """Rows from a pandas table, one a line; a cell without a value (NaN, NA) is no column of its row.

        The words are the same for all readers, and `docs/data.md` and `scrub.claims.data.layout.Layout` say what they
        mean: `text`, `tokens`, `columns`, `positions`, `partner`, `partner_columns`, `tokenizer`, `bos`, `marks`,
        `vocab`. Without them it reads what `frame()` wrote. Raises DataError with all problems, by row.
        """
        from scrub.claims.data.tables import frame_records

        return cls._read(frame_records(frame), "from_frame", words)

    @classmethod
    def from_csv(cls, path: str | Path, **words: Unpack[LayoutWords]) -> Dataset:
        """Rows from a file of comma-separated values (`.tsv`: tabs) with a header. Words as for `from_frame`.

        Cells are text, of columns with nothing but True and False bools; numbers are converted where that is said,
        `columns={"n": lambda row: int(row["n"])}`. Raises DataError with all problems, by line.
        """
        return cls._read(some_rows(csv_records(path), path, "a header"), "from_csv", words, f"{path}:")

    @classmethod
    def from_json(cls, path: str | Path, **words: Unpack[LayoutWords]) -> Dataset:
        """Rows from a file of JSON: an array of objects, an object with one such array, or an object a line.

        Words as for `from_frame`; without them it reads what `to_jsonl` wrote, and the same with `text` (and a
        `tokenizer`) instead of `tokens`. Raises DataError with all problems, by line.
        """
        said, records = led_by_words(some_rows(json_records(path), path, "nothing"), path)
        return cls._read(some_rows(records, path, "words alone"), "from_json", words, f"{path}:", said)

    @classmethod
    def from_hf(cls, dataset: Iterable[Mapping[str, Any]], **words: Unpack[LayoutWords]) -> Dataset:
        """Rows from a loaded data set of the library `datasets` (one split), or from whatever yields mappings.

        Nothing is downloaded, and `datasets` need not be there. Words as for `from_frame`. Raises
        DataError with all problems, by row.
        """
        from scrub.claims.data.tables import mapping_records

        return cls._read(mapping_records(dataset), "from_hf", words)

    @classmethod
    def from_templates(
        cls, templates: Sequence[str], slots: Mapping[str, Any], n: int, *, seed: int = 0,
        **words: Unpack[TemplateWords],
    ) -> Dataset:  # fmt: skip
        """`n` prompts from templates with slots in square brackets: `"When{IO|[io]} and{S1|[s]} left,{S2|[s]} gave"`.

        `slots` gives each slot its list of words (a leading space belongs to the word), or the name of the slot whose
        word it repeats. Slots that share a list take different words of it. Marks name positions, as in `from_text`.
        Columns are every slot's word and `template`, a number; `columns` adds others, a slot, a template such as
        `"{io}"`, or a function of the row's words. `balance="answer"` makes every value of a column (or of several)
        equally frequent, to one row.

        `redraw="s2"` gives each row a counterpart, its next row: the same template and words, except that these slots
        take new words, unlike any other of their list in either row. Its columns are `pair`, the other's row number,
        `is_clean`, and `is_abc` (or what `counterpart=` says), true on counterparts.

        Draws depend on the seed, the row's number and the slot's name alone: the first rows of more are the same, in
        whatever order slots are given. More words: `tokenizer`, `positions` and `bos` as for `from_text`. Raises
        DataError with all problems.
        """
        from scrub.claims.data.templates import Templates, template_rows

        made = template_rows(Templates.of(templates, slots), n, seed, words)
        return cls(made.rows, notes=made.notes)

    @classmethod
    def _read(
        cls, records: Sequence[RawRow], reader: str, words: Mapping[str, Any], what: str = "row",
        said: Vocab | None = None,
    ) -> Dataset:  # fmt: skip
        from scrub.claims.data.layout import Layout, made_of

        layout = Layout.of(reader, words)
        made = made_of(records, layout, what)
        return cls(made.rows, notes=made.notes, vocab=said if layout.vocab is None else layout.vocab)

    def to_jsonl(self, path: str | Path | None = None) -> str:
        """The rows as JSON, one a line, written to `path` where it is given; `from_jsonl` reads the same rows.

        Words of a vocabulary are its first line, `{"vocab": [[0, "<s>"], ...]}`. Raises DataError for columns that
        JSON cannot hold, for partners that are row numbers of more rows than these, and for a path that cannot be
        written.
        """
        from scrub.claims.data.written import written

        return written(self.rows, self._whole(), self.vocab, path)

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a row: `tokens`, `@NAME` for each position, the columns; `from_frame` reads it.

        A NaN is a cell without a value there. Raises DataError for columns that are called so, and as `to_jsonl` for
        partners outside.
        """
        from scrub.claims.data.tables import frame_of

        return frame_of(self.rows, self._whole())

    def _whole(self) -> bool:
        return self.whole is None or self.numbers is None or self.numbers.tolist() == list(range(len(self.whole)))

    def with_tokens(self, positions: str) -> Dataset:
        """The rows with the token id at each named position as a column: `with_tokens("IO S1")` adds `IO_token`.

        Raises DataError for a position that some row does not have, and for a column that is there already.
        """
        if not isinstance(positions, str):
            raise DataError(f"with_tokens takes names of positions, such as 'IO S1', found {positions!r}.")
        names = positions.replace(",", " ").split()
        problems: list[str] = []
        for name in names:
            if missing := [i for i, row in enumerate(self.rows) if name not in row.positions]:
                near = "" if name in self.position_names else did_you_mean(name, self.position_names)
                problems.append(f"position {name!r} is missing in rows {some(missing)}.{near}")
            if (column := f"{name}_token") in self.columns:
                problems.append(f"the data have a column {column!r} already: rename it.")
        if problems:
            raise DataError("\n".join(problems))
        added = [{f"{name}_token": row.tokens[row.positions[name]] for name in names} for row in self.rows]
        rows = [evolve(row, columns=row.columns | new) for row, new in zip(self.rows, added, strict=True)]
        return evolve(self, rows=rows, whole=None if self.whole is None else self.whole.with_tokens(positions))

    def only(self, columns: Collection[str]) -> Dataset:
        """The rows with some of their columns, all positions kept; a column that a row lacks is no matter."""
        rows = [evolve(row, columns={n: v for n, v in row.columns.items() if n in columns}) for row in self.rows]
        whole = None if self.whole is None else self.whole.only(columns)
        return Dataset(rows, whole=whole, numbers=self.numbers, vocab=self.vocab)

    def taken(self, rows: Iterable[int]) -> Dataset:
        """Some of the rows, by number. Raises DataError for what is no number of a row."""
        numbers = list(rows) if isinstance(rows, Iterable) else [rows]
        for row in numbers:
            if not isinstance(row, int | np.integer) or not -len(self) <= row < len(self):
                raise DataError(f"taken({row!r}): the data have rows 0 to {len(self) - 1}.")
        listed = np.array(numbers, dtype=np.int64)
        return Dataset(
            [self.rows[row] for row in listed],
            whole=self.origin,
            numbers=listed if self.numbers is None else self.numbers[listed],
            vocab=self.vocab,
        )

    @property
    def origin(self) -> Dataset:
        """The data set that these rows were taken from; itself where they are all."""
        return self if self.whole is None else self.whole

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        tokens = f"{min(self.lengths)} to {max(self.lengths)} tokens" if self.has_tokens else "no tokens"
        return f"Dataset({len(self)} rows, {tokens}, columns {', '.join(self.columns)})"

    @cached_property
    def has_tokens(self) -> bool:
        return any(row.tokens for row in self.rows)

    @cached_property
    def lengths(self) -> Int[np.ndarray, " row"]:
        return fixed(np.array([len(row.tokens) for row in self.rows], dtype=np.int64))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in row.columns))

    @cached_property
    def position_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self.rows for name in row.positions))

    @cached_property
    def readable(self) -> tuple[str, ...]:
        """The columns that may be asked for: those that the rows have, and `length`."""
        derived = self.has_tokens and LENGTH not in self.columns
        return (*self.columns, LENGTH) if derived else self.columns

    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises DataError for an unknown one, or for rows without it."""
        if name not in self.readable:
            known = some(self.readable, 12) or "none"
            near = did_you_mean(str(name), self.readable)
            raise DataError(f"the data have no column {name!r}; they have {known}.{near}")
        if missing := self.lacking(name):
            raise DataError(f"column {name!r} is missing in rows {some(missing)}.")
        return self.given(name)

    def given(self, name: str) -> list[Any]:
        """What each row has in a column, None where it has nothing."""
        if name in self.readable and name not in self.columns:
            return self.lengths.tolist()
        return [row.columns.get(name) for row in self.rows]

    def lacking(self, name: str) -> list[int]:
        """The numbers of the rows without a column."""
        if name in self.readable and name not in self.columns:
            return []
        return [i for i, row in enumerate(self.rows) if name not in row.columns]

    def locate(self, slot: Slot) -> Int[np.ndarray, " row"]:
        """The index of a slot in every row, -1 where a row does not have it. Not to be written to."""
        if slot not in self._located:
            found = [locate(slot, row.positions, len(row.tokens)) for row in self.rows]
            self._located[slot] = fixed(np.array([-1 if i is None else i for i in found], dtype=np.int64))
        return self._located[slot]

    @cached_property
    def identities(self) -> UInt64[np.ndarray, " row"]:
        """A 64-bit number a row: the digest of its content and its ordinal among equal rows. Draws use it.

        Raises DataError for a row that holds what has no content.
        """
        seen: Counter[bytes] = Counter()
        found: list[int] = []
        for number, row in enumerate(self.rows):
            with told(f"row {number}: "):
                content = row.digest
            tag = hashlib.blake2b(content + seen[content].to_bytes(8, "little"), digest_size=8).digest()
            found.append(int.from_bytes(tag, "little"))
            seen[content] += 1
        return fixed(np.array(found, dtype=np.uint64))

    @cached_property
    def order(self) -> Int[np.ndarray, " row"]:
        """Row numbers in the order of their identities: the order in which draws see the pool."""
        return fixed(np.argsort(self.identities, kind="stable"))

    @cached_property
    def digest(self) -> str:
        """Identifies the data whatever the order of the rows."""
        ordered = b"".join(int(i).to_bytes(8, "little") for i in self.identities[self.order])
        return hashlib.blake2b(ordered, digest_size=16).hexdigest()


DataSource = Dataset | Callable[..., Dataset]


__all__ = ["DataSource", "Dataset", "Row"]
