"""One memory bound: sizes as they are written, how many items fit, and numbers that do not depend on it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import scrub
from scrub import Dataset, Hypothesis, recovers
from scrub.claims.collect import collect
from scrub.errors import ClaimError
from scrub.model.memory import Memory, Piece, parse_memory, shown_bytes
from scrub.zoo import induction_rows

GALLERY = Path(__file__).parents[2] / "hypotheses"
HUGE = "900GB"


@cache
def induction() -> Hypothesis:
    return collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses[0]


@cache
def shallow() -> Hypothesis:
    return evolve(induction().but(through="all"), name="shallow")


@cache
def skilled() -> Hypothesis:
    rows = induction_rows(80, seed=1)
    for row in rows:
        row["columns"]["even"] = row["columns"]["b"] % 2 == 0
    return induction().but(data=Dataset.from_rows(rows), skills="even")


ALONE: dict[str, Any] = {"controls": "none", "parts": "none", "explain": False}
RUNS: dict[str, Callable[..., Any]] = {
    "test": lambda **given: scrub.test(induction(), rows=6, draws=2, controls="all", **given),
    "through": lambda **given: scrub.test(induction().but(through="all"), rows=6, draws=2, **ALONE, **given),
    "interchange expected": lambda **given: scrub.test(
        induction().but(expect=recovers(0.8, interchange=0.5)), rows=6, draws=2, **ALONE, **given
    ),
    "skills": lambda **given: scrub.test(skilled(), rows=8, draws=1, skills=True, **ALONE, **given),
    "compare": lambda **given: scrub.compare(induction(), shallow(), rows=6, draws=1, controls="none", **given),
    "explain": lambda **given: scrub.explain(induction(), rows=4, draws=1, **given),
    "shrink": lambda **given: scrub.shrink(induction(), rows=64, draws=2, **given),
    "power": lambda **given: scrub.power(induction(), **given),
    "views": lambda **given: scrub.views(induction(), rows=4, draws=1, **given),
    "criteria": lambda **given: scrub.criteria(induction(), rows=6, random=1, budget=1, tests=False, **given),
    "criteria of edges": lambda **given: scrub.criteria(
        induction(), rows=4, random=1, budget=1, tests=False, level="edges", **given
    ),
    "edges": lambda **given: scrub.run_circuit("embed -> 0.0.v, 0.0 -> logits", induction(), rows=8, **given),
    "paths": lambda **given: scrub.patch_paths("0.0 -> 1.0.k ~all~> logits", induction(), rows=8, **given),
    "propose": lambda **given: scrub.propose(induction(), rows=8, verify=8, draws=12, **given),
    "interchange": lambda **given: scrub.interchange(induction(), rows=6, draws=2, **given),
    "sweep": lambda **given: scrub.sweep("heads", "-> logits", induction(), rows=8, **given),
}


def close(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(close, a, b))
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-5) if isinstance(a, float) else a == b


@pytest.mark.parametrize("name", RUNS)
def test_the_least_memory_is_named_once_and_changes_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before anything runs; and under it everything is cut smaller than under one that holds all."""
    fit, seen = Memory.fit, dict[str, int]()

    def told(self: Memory, piece: Piece, most: int) -> int:
        seen[piece.what] = fit(self, piece, most)
        return seen[piece.what]

    monkeypatch.setattr(Memory, "fit", told)
    with pytest.raises(ClaimError) as error:
        RUNS[name](memory="2kB")
    found = re.search(r"memory 2\.0kB: .* takes .*: give at least --memory (\S+) ", str(error.value))
    assert found
    assert not seen
    tight = RUNS[name](memory=found[1])
    in_pieces = dict(seen)
    seen.clear()
    whole = RUNS[name](memory=HUGE)
    assert close(numbers(tight), numbers(whole))
    assert any(size < seen.get(what, 0) or what not in seen for what, size in in_pieces.items())


def numbers(found: Any) -> dict[str, Any]:
    """What was found; rows that are run again for want of memory are counted apart."""
    return {name: value for name, value in found.to_dict().items() if name != "passes"}


@pytest.mark.parametrize(
    ("asked", "size"),
    [("2GB", 2 * 10**9), ("512 mb", 512 * 10**6), ("1.5GiB", 3 * 2**29), ("4k", 4000), (2e9, 2 * 10**9), (7, 7),
     ("1_000B", 1000), (None, None)],
)  # fmt: skip
def test_sizes_as_they_are_written(asked: Any, size: int | None) -> None:
    assert parse_memory(asked) == size


@pytest.mark.parametrize(
    ("asked", "words"),
    [("2GX", 'unit \'GX\' is unknown. Did you mean "2GB"?'), ("much", "no size"), (-1, "no size"), (True, "no size"),
     (0, "no bytes"), ("9e99TB", "more than any machine has"), (float("nan"), "no size")],
)  # fmt: skip
def test_what_is_no_size_is_refused(asked: Any, words: str) -> None:
    with pytest.raises(ClaimError, match=re.escape(words)):
        scrub.test(induction(), memory=asked)


def test_how_many_fit() -> None:
    memory, row = Memory(1000, asked=True), Piece("a row", 501, 0.5)
    assert [memory.fit(Piece("a row", each, 0.5), 50) for each in (5, 100, 500, 501)] == [50, 5, 1, 1]
    with pytest.raises(ClaimError, match=r"a row takes 501B at once, for which 0\.5 .*--memory 1\.1kB"):
        memory.hold([Piece("a token", 10), row, Piece("another", 600)])
    Memory(1000).hold([row])  # nobody asked for a bound: a row is run all the same
    Memory(1002, asked=True).hold([row])


@pytest.mark.parametrize("size", [1, 999, 1001, 9_949_999, 10**9, 123_456_789_012])
def test_sizes_are_shown_as_they_are_read_and_never_too_small(size: int) -> None:
    assert size <= (parse_memory(shown_bytes(size)) or 0) <= 1.1 * size + 1
