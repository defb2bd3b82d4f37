"""Rows from pairs of prompts: a clean one, and its counterfactual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from attrs import frozen

from scrub.claims.data.drafts import Draft, Made, Spelling, listed, positions_of, rows_of
from scrub.claims.data.texts import lists, row_of
from scrub.claims.data.vocab import Vocab, read_vocab
from scrub.claims.text import Tokenizer
from scrub.errors import DataError, did_you_mean

MADE = ("answer", "wrong", "pair", "is_clean")


class PairWords(TypedDict, total=False):
    """What `from_pairs` takes beside the pairs."""

    tokenizer: Tokenizer | str | Path | None
    columns: Mapping[str, Sequence[Any]] | None
    corrupt_columns: Mapping[str, Sequence[Any]] | None
    positions: Mapping[str, Any] | None
    symmetric: bool
    bos: bool | None
    vocab: Any


@frozen
class Pairs:
    """Prompts and their answers, a list each; `wrong` may be left out."""

    clean: Any
    corrupt: Any
    answer: Any
    wrong: Any


def pair_rows(pairs: Pairs, words: Mapping[str, Any]) -> tuple[Made, Vocab | None]:
    """The rows of pairs, partners beside each other. Raises DataError with all problems."""
    check_words("from_pairs", words, PairWords.__annotations__)
    vocab = None if words.get("vocab") is None else read_vocab(words["vocab"])
    spelling = Spelling(words.get("tokenizer"), words.get("bos"), vocab=vocab)
    return rows_of(list(_drafts(pairs, words)), spelling), vocab


def check_words(reader: str, words: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises DataError for words that a reader does not have."""
    if unknown := [name for name in words if name not in known]:
        near = did_you_mean(unknown[0], known)
        raise DataError(f"{reader}: unknown word {unknown[0]!r}; the words are {', '.join(known)}.{near}")


def _drafts(pairs: Pairs, words: Mapping[str, Any]) -> Iterator[Draft]:
    clean, corrupt, answer = (listed(getattr(pairs, name), name) for name in ("clean", "corrupt", "answer"))
    wrong = None if pairs.wrong is None else listed(pairs.wrong, "wrong")
    counts = {"clean": clean, "corrupt": corrupt, "answer": answer, **({} if wrong is None else {"wrong": wrong})}
    if len({len(one) for one in counts.values()}) > 1:
        told = ", ".join(f"{name} has {len(one)}" for name, one in counts.items())
        raise DataError(f"from_pairs: {told} values: give one for each pair.")
    if not isinstance(symmetric := words.get("symmetric", True), bool):
        raise DataError(f"from_pairs: symmetric={symmetric!r}: write True or False.")
    beside = lists(words.get("columns"), len(clean), "pairs")
    changed = lists(words.get("corrupt_columns"), len(clean), "pairs")
    if taken := [name for name in (*beside, *changed) if name in MADE]:
        raise DataError(f"from_pairs: column {taken[0]!r} is made of the pairs: call yours otherwise.")
    positions = positions_of(words.get("positions"))
    for i, (first, second) in enumerate(zip(clean, corrupt, strict=True)):
        labels = {"answer": answer[i]} if wrong is None else {"answer": answer[i], "wrong": wrong[i]}
        others = {"answer": wrong[i], "wrong": answer[i]} if wrong is not None and symmetric else labels
        own = row_of(beside, i)
        yield Draft(2 * i, first, {**own, **labels, "pair": 2 * i + 1, "is_clean": True}, positions)
        own |= row_of(changed, i)
        yield Draft(2 * i + 1, second, {**own, **others, "pair": 2 * i, "is_clean": False}, positions)
