"""Rows that still hold their padding: the engine would read it as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from scrub.claims.dataset import Dataset
from scrub.claims.problems import Problem
from scrub.claims.text import Tokenizer, special_tokens
from scrub.errors import some

MASK = "attention_mask"
FIX = (
    "Give each row its own tokens alone, [t for t, m in zip(input_ids, attention_mask) if m], and positions that "
    "count in these: rows may differ in length."
)
LONG = 2  # of a token at an end: one may be the text's own first or last


@frozen
class Ends:
    """How often one token stands at the beginning, or at the end, of each row."""

    where: str
    token: int
    runs: tuple[int, ...]

    @property
    def rows(self) -> list[int]:
        return [row for row, run in enumerate(self.runs) if run]

    @property
    def varies(self) -> bool:
        """Whether some rows have more of them than others, and some have several."""
        return max(self.runs) >= LONG and min(self.runs) < max(self.runs)


def padded(data: Dataset, tokenizer: Tokenizer | None) -> Iterator[Problem]:
    """Rows with a mask that leaves tokens out, with a token made for padding, or filled up to one length.

    A token made for padding is one that the tokenizer pads with, or is named so. Rows are filled up where all are of
    one length, and end (or begin) with a special token several times, some more often than others.
    """
    if masked := [row for row, r in enumerate(data.rows) if _leaves_out(r.columns.get(MASK))]:
        yield Problem(f"column {MASK!r} leaves tokens out in rows {some(masked)}: they are read as text.", FIX)
    for ends in _ends(data, tokenizer):
        if ends.token in _pads(tokenizer) or (ends.varies and _one_length(data)):
            yield Problem(f"{_said(ends, tokenizer)}: padding is read as text.", FIX)


def perhaps_padded(data: Dataset, tokenizer: Tokenizer | None) -> Iterator[str]:
    """What may be padding: a special token several times at an end; without a tokenizer, any that fills rows up."""
    for ends in _ends(data, tokenizer) if tokenizer else _filling(data):
        if max(ends.runs) >= LONG:
            yield f"{_said(ends, tokenizer)}: if that is padding, it is read as text. {FIX}"


def _ends(data: Dataset, tokenizer: Tokenizer | None) -> Iterator[Ends]:
    """The special tokens at the ends of rows."""
    marks = set(special_tokens(tokenizer).values()) | _pads(tokenizer) if tokenizer else set[int]()
    yield from _runs(data, marks) if marks else ()


def _runs(data: Dataset, tokens: set[int]) -> Iterator[Ends]:
    for where, step in (("begin", 1), ("end", -1)):
        runs = [_run(row.tokens[::step]) for row in data.rows]
        for token in sorted({t for t, _ in runs} & tokens):
            yield Ends(where, token, tuple(run if t == token else 0 for t, run in runs))


def _run(tokens: Sequence[int]) -> tuple[int, int]:
    """The first token, and how often it stands there."""
    if not tokens:
        return -1, 0
    return tokens[0], next((i for i, token in enumerate(tokens) if token != tokens[0]), len(tokens))


def _filling(data: Dataset) -> Iterator[Ends]:
    """Tokens that fill rows up to one length, and stand nowhere else."""
    if not _one_length(data):
        return
    every = {t for row in data.rows for t in row.tokens}
    for ends in _runs(data, every):
        if ends.varies and sum(row.tokens.count(ends.token) for row in data.rows) == sum(ends.runs):
            yield ends


def _one_length(data: Dataset) -> bool:
    return len(set(data.lengths.tolist())) == 1


def _leaves_out(mask: Any) -> bool:
    return isinstance(mask, tuple) and any(part == 0 for part in mask)


def _pads(tokenizer: Tokenizer | None) -> set[int]:
    """The tokens made for padding: the one that the tokenizer pads with, and those whose names say so."""
    if tokenizer is None:
        return set()
    found = {number for name, number in special_tokens(tokenizer).items() if "pad" in name.lower()}
    padding = getattr(tokenizer, "padding", None)
    return found | ({padding["pad_id"]} if isinstance(padding, dict) and "pad_id" in padding else set())


def _said(ends: Ends, tokenizer: Tokenizer | None) -> str:
    name = repr(tokenizer.decode([ends.token], skip_special_tokens=False)) if tokenizer else f"token {ends.token}"
    few, many = min(r for r in ends.runs if r), max(ends.runs)
    times = f"{few} to {many} times" if few < many else "once" if many == 1 else f"{many} times"
    return f"rows {some(ends.rows)} {ends.where} with {name}, {times}"
