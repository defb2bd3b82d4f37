"""Rows for the compiled models: no row holds by chance what another row looks for."""

from __future__ import annotations

import numpy as np

from scrub.zoo import words
from scrub.zoo.data import Prompt


def compiled_induction_rows(n: int, seed: int) -> list[Prompt]:
    """`n` rows for `compiled-induction`: `<start> c p F q c F` continues with `q`.

    Among 4 to 16 fillers stands one capital `a`, and once more at the end. A1, B1 = A1 + 1 and END are as in
    `induction_rows`; `b`, the filler after the first `a`, is the answer. Columns `a` and `b` are words. No
    filler is ever an `a`; fillers may repeat.
    """
    rng = np.random.default_rng(seed)
    return [_compiled_induction_row(rng) for _ in range(n)]


def _compiled_induction_row(rng: np.random.Generator) -> Prompt:
    fillers = [str(word) for word in rng.choice(words.FILLERS, size=rng.integers(4, 17))]
    a, first = str(rng.choice(words.FIRSTS)), int(rng.integers(1, len(fillers)))
    text = [words.START, *fillers, a]
    text.insert(first, a)
    return {
        "tokens": [words.COMPILED_INDUCTION.index(word) for word in text],
        "positions": {"A1": first, "B1": first + 1, "END": len(text) - 1},
        "columns": {"a": a, "b": text[first + 1], "length": len(text)},
    }


def compiled_compose_rows(n: int, seed: int) -> list[Prompt]:
    """`n` rows for `compiled-compose`: `<start> b . P two . B five . Q two ?` asks for the value after `B`.

    ASK holds the small letter that is asked for, KEY its capital, VALUE = KEY + 1 the answer, END the
    question mark. One to three more pairs have keys that nobody asks for. Columns `asked`, `key` and
    `value` are the words there; `pairs` counts all pairs.
    """
    rng = np.random.default_rng(seed)
    return [_compiled_compose_row(rng) for _ in range(n)]


def compiled_or_rows(n: int, seed: int) -> list[Prompt]:
    """`n` rows for `compiled-or`, the same as `compiled_compose_rows`.

    Only one key of a row can be asked for at all. So a head that asks for the key of another row finds nothing,
    unless both rows ask for the same: it competes with nobody.
    """
    return compiled_compose_rows(n, seed)


def compiled_dormant_rows(n: int, seed: int) -> list[Prompt]:
    """`n` rows for `compiled-dormant`: `--+ +-+ -++`, of which the last word counts, and of that the first sign.

    END is the last of one to six words of three signs each. Columns `x`, `u` and `w` are the signs of the last,
    `label` is `yes` where `x` is `+`, else `no`, and `other` the other one.
    """
    rng = np.random.default_rng(seed)
    return [_compiled_dormant_row(rng) for _ in range(n)]


def _compiled_dormant_row(rng: np.random.Generator) -> Prompt:
    tokens = rng.integers(len(words.THREE_BITS), size=rng.integers(1, 7)).tolist()
    x, u, w = words.THREE_BITS[tokens[-1]]
    label, other = (words.YES, words.NO) if x == "+" else (words.NO, words.YES)
    return {
        "tokens": tokens,
        "positions": {"END": len(tokens) - 1},
        "columns": {"x": x, "u": u, "w": w, "label": label, "other": other, "length": len(tokens)},
    }


def _compiled_compose_row(rng: np.random.Generator) -> Prompt:
    letter, pairs = int(rng.integers(len(words.KEYS))), int(rng.integers(2, 5))
    decoys = [str(word) for word in rng.permutation(words.DECOYS)[: pairs - 1]]
    keys = [str(word) for word in rng.permutation([words.KEYS[letter], *decoys])]
    text = [words.START, words.ASKS[letter], words.NOTHING]
    for key in keys:
        text += [key, str(rng.choice(words.VALUES)), *[words.NOTHING] * int(rng.integers(3))]
    text.append(words.ASK)
    at = text.index(words.KEYS[letter])
    return {
        "tokens": [words.COMPILED_COMPOSE.index(word) for word in text],
        "positions": {"ASK": 1, "KEY": at, "VALUE": at + 1, "END": len(text) - 1},
        "columns": {
            "asked": words.ASKS[letter],
            "key": words.KEYS[letter],
            "value": text[at + 1],
            "pairs": pairs,
            "length": len(text),
        },
    }
