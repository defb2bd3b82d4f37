"""Hypothesis files with one token wrong: left out, doubled, misspelt, or another one of the file in its place."""

from __future__ import annotations

import io
import random
import tokenize
from collections.abc import Callable, Iterator

from attrs import frozen

WRITTEN = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP)
Token = tokenize.TokenInfo


@frozen
class Mutant:
    """A file that differs from a sound one in the token at a line."""

    what: str
    text: str


def mutants(text: str, seed: int = 0) -> Iterator[Mutant]:
    """Every token of a file wrong in each of the ways; the choices within a way are drawn."""
    rng = random.Random(seed)
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type in WRITTEN]
    words = sorted({t.string for t in tokens})
    ways: dict[str, Callable[[str], str]] = {
        "without": lambda _: "",
        "doubled": lambda word: f"{word} {word}",
        "misspelt": lambda word: _misspelt(word, rng),
        "swapped": lambda _: rng.choice(words),
    }
    for token in tokens:
        for way, change in ways.items():
            new = change(token.string)
            if new != token.string:
                yield Mutant(f"line {token.start[0]}: {token.string!r} {way}: {new!r}", _replaced(text, token, new))


def _misspelt(word: str, rng: random.Random) -> str:
    """A character too many, too few, or another one, inside the quotes of a text."""
    edge = 1 if word[:1] in "\"'" and len(word) > 2 else 0
    place = rng.randint(edge, len(word) - edge)
    return word[:place] + rng.choice(["", *"x0+-.,: "]) + word[place + rng.randint(0, place < len(word) - edge) :]


def _replaced(text: str, token: Token, new: str) -> str:
    lines = text.splitlines(keepends=True)
    (first, start), (last, stop) = token.start, token.end
    before, after = lines[first - 1][:start], lines[last - 1][stop:]
    return "".join([*lines[: first - 1], before + new + after, *lines[last:]])
