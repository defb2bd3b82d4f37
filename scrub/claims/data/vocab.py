"""Words for token ids, of a model that comes without a tokenizer: a list, or a file.

A vocabulary speaks as a tokenizer does, so that whatever prints a token or resolves a word takes either. It names
tokens and splits no text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen

from scrub.claims.data.files import RawRow, text_of
from scrub.claims.data.row import MOST
from scrub.claims.plain import RepeatedKeyError, distinct
from scrub.errors import DataError, some


@frozen
class Encoded:
    """A text that is one word, as an encoding: no ids where it is none."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]


@frozen(slots=False)
class Vocab:
    """The word of each token id. An id without a word is printed as the number that it is."""

    words: dict[int, str]

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word; a word that several ids have resolves to none of them."""
        count = Counter(self.words.values())
        return {word: number for number, word in self.words.items() if count[word] == 1}

    def encode(self, sequence: str, /, *, add_special_tokens: bool = False) -> Encoded:
        """The id of a text that is one entry; none for any other text."""
        if sequence not in self.ids:
            return Encoded([], [], [])
        return Encoded([self.ids[sequence]], [sequence], [(0, len(sequence))])

    def decode(self, ids: Sequence[int], /, *, skip_special_tokens: bool = False) -> str:
        return " ".join(self.words.get(number, str(number)) for number in ids)

    def get_vocab_size(self) -> int:
        return max(self.words, default=-1) + 1

    @property
    def line(self) -> str:
        """The words as the first line of a file of rows."""
        return json.dumps({"vocab": [[number, word] for number, word in self.words.items()]}, ensure_ascii=False)


def led_by_words(records: Sequence[RawRow], path: Any) -> tuple[Vocab | None, Sequence[RawRow]]:
    """The words that a file's first line holds, `{"vocab": ...}`, if it does, and the rows behind it.

    Raises DataError where they are no vocabulary.
    """
    first = records[0].values if records else None
    if not isinstance(first, Mapping) or {*first} != {"vocab"}:
        return None, records
    return _words(first["vocab"], f"{path}:{records[0].place}: vocab"), records[1:]


def read_vocab(source: Any) -> Vocab:
    """A vocabulary from a list of words (the place is the id), a mapping from words to ids, or the path of a file.

    Pairs of an id and its word are read too, as `scrub freeze` and `to_jsonl` write them. A file is JSON of one of
    these where its name ends in `.json` (as GPT-2's `vocab.json`), else text with one token a line, the first being
    id 0. Raises DataError with the file and the line.
    """
    if isinstance(source, Vocab):
        return source
    if isinstance(source, str | Path):
        return _words(_of_file(Path(source)), f"{source}")
    return _words(source, "vocab=")


def _of_file(path: Path) -> Any:
    text = text_of(path)
    if path.suffix != ".json":
        return text.removesuffix("\n").split("\n")
    try:
        return json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: no JSON: {error.msg}.") from None
    except (ValueError, RecursionError, RepeatedKeyError) as error:
        raise DataError(f"{path}: no vocabulary: {error}") from None


def _paired(found: Sequence[Any]) -> bool:
    return bool(found) and all(isinstance(one, list | tuple) and len(one) == 2 for one in found)  # pyright: ignore[reportUnknownArgumentType]


def _words(found: Any, where: str) -> Vocab:
    if isinstance(found, Mapping):
        pairs: list[tuple[Any, Any]] = [(number, word) for word, number in found.items()]
    elif isinstance(found, Sequence) and not isinstance(found, str):
        pairs = [tuple(one) for one in found] if _paired(found) else list(enumerate(found))
    else:
        raise DataError(f"{where}: give a list of words, a mapping from words to ids, or a file of either.")
    if not pairs:
        raise DataError(f"{where}: the vocabulary has no words.")
    if wrong := [word for _, word in pairs if not isinstance(word, str)]:
        raise DataError(f"{where}: {some(map(repr, wrong), 3)}: each word must be text.")
    if wrong := [(w, n) for n, w in pairs if type(n) is not int or not 0 <= n < MOST]:
        word, number = wrong[0]
        raise DataError(f"{where}: {word!r} has the id {number!r}: ids are ints from 0 on.")
    count = Counter(number for number, _ in pairs)
    if twice := [number for number in count if count[number] > 1]:
        named = [word for number, word in pairs if number == twice[0]]
        raise DataError(f"{where}: {some(map(repr, named))} have the same id, {twice[0]}: give each word its own.")
    return Vocab(dict(pairs))
