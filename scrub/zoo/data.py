"""Rows for the zoo: seeded, ragged, every named position and column that a story about the model needs.

A row is a plain dictionary with the keys `tokens` (ids), `positions` (names to 0-based indices) and
`columns`, as `Dataset.from_rows` takes it. The same seed gives the same rows; no row depends on `n`.
"""

from __future__ import annotations

from functools import cache
from typing import TypedDict

import numpy as np

from scrub.zoo import words

Value = None | bool | int | str | tuple[int | str, ...]


class Prompt(TypedDict):
    """One prompt of a zoo model."""

    tokens: list[int]
    positions: dict[str, int]
    columns: dict[str, Value]


def induction_rows(n: int, seed: int) -> list[Prompt]:
    """`n` sequences without repetition whose last one to three tokens repeat an earlier stretch.

    The last token (END) is the second `a`; the first one stands at A1, and B1 = A1 + 1 holds `b`, which is
    the answer. Lengths run from 8 to 24 tokens with the start token; `gap` is END - A1 and `copied` the
    number of repeated tokens. Columns `a` and `b` are token ids.
    """
    rng = np.random.default_rng(seed)
    return [_induction_row(rng) for _ in range(n)]


def _induction_row(rng: np.random.Generator) -> Prompt:
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


def names_rows(n: int, seed: int, people: int | None = None) -> list[Prompt]:
    """`n` prompts about two people, one of whom gives something to the other: who is named next?

    IO and S1 are the two people where they are introduced, in either order (`order` is `ABBA` when IO comes
    first, else `BABA`), S2 is who acts, END the last token. Columns `io`, `s1` and `s2` are the words there.
    Where `is_ioi`, s2 == s1 and the answer, `label`, is io. About every fourth row is `is_abc`: s2 is a third
    person, who gives to both, and the label is `them`. `template` numbers the sentence, `length` counts
    the tokens. With `people` only the first so many of them are named: few, so that many rows name the same.
    """
    rng = np.random.default_rng(seed)
    return [_names_row(rng, len(words.PEOPLE) if people is None else people) for _ in range(n)]


_NAME_IDS = {word: index for index, word in enumerate(words.NAMES)}


def _names_row(rng: np.random.Generator, count: int) -> Prompt:
    template, place, thing, shape = (
        int(rng.integers(k)) for k in (len(words.TEMPLATES), len(words.PLACES), len(words.THINGS), 4)
    )
    people = [words.PEOPLE[i] for i in rng.permutation(count)[:3]]
    io, s1, io_first, is_abc = people[0], people[1], bool(rng.integers(2)), shape == 0
    s2 = people[2] if is_abc else s1
    filled = {
        "{A}": io if io_first else s1,
        "{B}": s1 if io_first else io,
        "{S}": s2,
        "{place}": words.PLACES[place],
        "{thing}": words.THINGS[thing],
    }
    slots = [words.START, *words.TEMPLATES[template].split()]
    at = {slot: slots.index(slot) for slot in ("{A}", "{B}", "{S}")}
    first, second = at["{A}"], at["{B}"]
    return {
        "tokens": [_NAME_IDS[filled.get(slot, slot)] for slot in slots],
        "positions": {
            "IO": first if io_first else second,
            "S1": second if io_first else first,
            "S2": at["{S}"],
            "END": len(slots) - 1,
        },
        "columns": {
            "io": io,
            "s1": s1,
            "s2": s2,
            "label": words.THEM if is_abc else io,
            "is_ioi": not is_abc,
            "is_abc": is_abc,
            "order": "ABBA" if io_first else "BABA",
            "template": template,
            "length": len(slots),
        },
    }


TRAINED_ON = 0.7  # the share of all pairs of numbers that `addition` was trained on


@cache  # kept by nothing: there is one
def _trained_pairs() -> np.ndarray:
    """Which pairs of numbers `addition` was trained on: [a, b], the same in every process."""
    return np.random.default_rng(0).random((words.MODULUS, words.MODULUS)) < TRAINED_ON


def addition_rows(n: int, seed: int) -> list[Prompt]:
    """`n` sums `a b =` modulo 59, whose answer, `label`, is the word of (a + b) % 59, read at END.

    A and B are the two numbers, columns `a`, `b` and `sum` the numbers themselves. `trained` says whether the
    model was trained on the pair: seven of ten are, the others it has never seen.
    """
    rng = np.random.default_rng(seed)
    return [_addition_row(*map(int, rng.integers(words.MODULUS, size=2))) for _ in range(n)]


def _addition_row(a: int, b: int) -> Prompt:
    total = (a + b) % words.MODULUS
    return {
        "tokens": [a, b, words.MODULUS],
        "positions": {"A": 0, "B": 1, "END": 2},
        "columns": {
            "a": a,
            "b": b,
            "sum": total,
            "label": words.ADDITION[total],
            "trained": bool(_trained_pairs()[a, b]),
            "length": 3,
        },
    }


def every_addition() -> list[Prompt]:
    """All pairs of numbers, in order."""
    return [_addition_row(a, b) for a in range(words.MODULUS) for b in range(words.MODULUS)]


def brackets_rows(n: int, seed: int) -> list[Prompt]:
    """`n` strings of 2 to 22 parentheses between `<start>` (position 0, named START) and `<end>` (END).

    The answer, `label`, is the word `yes` or `no`, read at START. `balanced` needs both `count_ok` (as many
    `(` as `)`) and `never_negative` (no `)` before its `(`, reading from the left). About half of the rows
    are balanced; the others are balanced ones with one parenthesis turned or two swapped, and random strings,
    so that neither test alone decides. FIRST and LAST are the first and last parenthesis, `starts_open`
    and `ends_closed` tell which they are, `opens` counts the `(`, `length` all tokens.
    """
    rng = np.random.default_rng(seed)
    return [_brackets_row(rng) for _ in range(n)]


def _brackets_row(rng: np.random.Generator) -> Prompt:
    steps = _parentheses(rng)
    heights = np.cumsum(steps)
    count_ok, never_negative = bool(heights[-1] == 0), bool(heights.min() >= 0)
    ids = {word: index for index, word in enumerate(words.BRACKETS)}
    body = [ids["("] if step > 0 else ids[")"] for step in steps]
    tokens = [ids[words.START], *body, ids[words.END]]
    balanced = count_ok and never_negative
    return {
        "tokens": tokens,
        "positions": {"START": 0, "FIRST": 1, "LAST": len(tokens) - 2, "END": len(tokens) - 1},
        "columns": {
            "label": "yes" if balanced else "no",
            "balanced": balanced,
            "count_ok": count_ok,
            "never_negative": never_negative,
            "starts_open": bool(steps[0] > 0),
            "ends_closed": bool(steps[-1] < 0),
            "opens": int((steps > 0).sum()),
            "length": len(tokens),
        },
    }


def _parentheses(rng: np.random.Generator) -> np.ndarray:
    """One string as +1 for `(` and -1 for `)`: balanced, nearly balanced, or random."""
    half, kind = int(rng.integers(1, 12)), int(rng.integers(10))
    steps = np.repeat([1, -1], half)
    rng.shuffle(steps)
    if kind == 9:
        return rng.choice([1, -1], size=2 * half)
    if kind == 8:
        return steps  # as many of each, most often not balanced
    steps = _rotated(steps)
    if kind in (4, 5):  # one turned: the count is wrong
        steps[rng.integers(2 * half)] *= -1
    elif kind in (6, 7):  # one swap of an open with a later closing one: the count stays right
        first = int(rng.choice(np.flatnonzero(steps > 0)))
        second = int(rng.choice(np.flatnonzero(steps < 0)))
        steps[[first, second]] = steps[[second, first]]
    return steps


def _rotated(steps: np.ndarray) -> np.ndarray:
    """The balanced rotation of as many +1 as -1: it begins after the lowest point (the cycle lemma)."""
    lowest = int(np.argmin(np.cumsum(steps)))
    return np.roll(steps, -(lowest + 1))
