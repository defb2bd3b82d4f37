"""Labels that are tokens, but not those that the text goes on with: `"Mary"` for `" Mary"`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from string import ascii_letters, digits

from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset
from scrub.claims.metric import AnyMetric
from scrub.claims.text import Tokenizer, token_id
from scrub.errors import some

AFTER = {*ascii_letters, *digits, *",.;:!?)"}  # after these a word begins with its space


def spaceless(metric: AnyMetric, data: Dataset, tokenizer: Tokenizer, answer: Slot | None) -> Iterator[str]:
    """Columns of a metric whose words lack the space that words of a text begin with, where both are tokens.

    Told where a row has the word with its space and not as it is written, unless the answer (read at `answer`, or at
    a row's end) follows a line break, a quote or the like; and where the answer follows a word in every row, so that
    a word without a space could only continue it.
    """
    before = _before(data, tokenizer, answer)
    pair = cache(partial(_with_and_without, tokenizer))
    for name in metric.columns:
        words = [_words(row.columns.get(name)) for row in data.rows]
        astray = [
            (row, word) for row, found in enumerate(words) for word in found
            if before[row] in AFTER and (ids := pair(word)) and _elsewhere(data.rows[row].tokens, *ids)
        ]  # fmt: skip
        said = f"metric {metric}: column {name!r} holds"
        if astray:
            row, word = astray[0]
            rows = some(dict.fromkeys(row for row, _ in astray))
            yield (
                f"{said} {word!r}, which is nowhere in row {row}, while {' ' + word!r} is (so in rows {rows}): "
                f"the token of a word within a text begins with its space. Write {' ' + word!r}."
            )
        elif all(map(str.isalpha, before)) and all(found and all(map(pair, found)) for found in words):
            yield (
                f"{said} words without a space, such as {words[0][0]!r}, and the answer follows a word in every row, "
                f"which they would continue. Where words of their own are meant, write {' ' + words[0][0]!r}."
            )


def _elsewhere(tokens: tuple[int, ...], bare: int, spaced: int) -> bool:
    return bare not in tokens and spaced in tokens


def _words(value: object) -> list[str]:
    parts = value if isinstance(value, tuple) else (value,)
    return [part for part in parts if isinstance(part, str)]


def _with_and_without(tokenizer: Tokenizer, word: str) -> tuple[int, int] | None:
    """The tokens of a word as it is and with a space before it, where these are two single tokens."""
    if not word[:1].isalpha():
        return None
    bare, spaced = token_id(word, tokenizer), token_id(f" {word}", tokenizer)
    return None if bare is None or spaced is None or bare == spaced else (bare, spaced)


def _before(data: Dataset, tokenizer: Tokenizer, answer: Slot | None) -> list[str]:
    """The letter that the answer follows in every row."""

    @cache  # kept by token, for this tokenizer
    def last(token: int) -> str:
        return tokenizer.decode([token])[-1:]

    places = [-1] * len(data) if answer is None else data.locate(answer).tolist()
    return [last(row.tokens[place]) for row, place in zip(data.rows, places, strict=True)]
