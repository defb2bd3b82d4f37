"""Rows for the zoo: seeded, ragged, every named position and column that a story about the model needs.

A row is a plain dictionary with the keys `tokens` (ids), `positions` (names to 0-based indices) and
`columns`, as `Dataset.from_rows` takes it. The same seed gives the same rows; no row depends on `n`.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from scrub.zoo import words

Value = None | bool | int | str | tuple[int | str, ...]


class Row(TypedDict):
    """One prompt of a zoo model."""

    tokens: list[int]
    positions: dict[str, int]
    columns: dict[str, Value]


def induction_rows(n: int, seed: int) -> list[Row]:
    """`n` sequences without repetition whose last one to three tokens repeat an earlier stretch.

    The last token (END) is the second `a`; its first occurrence stands at A1, and B1 = A1 + 1 holds `b`, which
    is the answer. Lengths run from 8 to 24 tokens with the start token; `gap` is END - A1 and `copied` the
    number of repeated tokens. Columns `a` and `b` are token ids.
    """
    rng = np.random.default_rng(seed)
    return [_induction_row(rng) for _ in range(n)]


def _induction_row(rng: np.random.Generator) -> Row:
    fresh, copied = int(rng.integers(6, 21)), int(rng.integers(1, 4))
    body = 1 + rng.permutation(len(words.INDUCTION) - 1)[:fresh]
    # The stretch is followed by at least one more token of the body, which is the answer, and it does
    # not end the body: an answer just before the repetition would also be the last fresh token.
    start = int(rng.integers(0, fresh - copied - 1))
    tokens = [0, *map(int, body), *map(int, body[start : start + copied])]
    first, end = start + copied, len(tokens) - 1
    return {
        "tokens": tokens,
        "positions": {"A1": first, "B1": first + 1, "END": end},
        "columns": {
            "a": tokens[first],
            "b": tokens[first + 1],
            "copied": copied,
            "gap": end - first,
            "length": len(tokens),
        },
    }
