"""One memory bound: sizes as they are written, how many items fit, and numbers that do not depend on it."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import scrub
from scrub import Hypothesis
from scrub.claims.collect import collect
from scrub.errors import ClaimError
from scrub.model.memory import Memory, parse_memory, shown_bytes

GALLERY = Path(__file__).parents[2] / "hypotheses"
HUGE = "900GB"


@cache
def induction() -> Hypothesis:
    return collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses[0]


RUNS: dict[str, Callable[..., Any]] = {
    "test": lambda **given: scrub.test(induction(), rows=12, draws=4, **given),
    "through": lambda **given: scrub.test(induction().but(through="all"), rows=10, draws=2, **given),
    "criteria": lambda **given: scrub.criteria(induction(), rows=10, random=2, budget=2, tests=False, **given),
    "edges": lambda **given: scrub.run_circuit("embed -> 0.0.v, 0.0 -> logits", induction(), rows=8, **given),
    "propose": lambda **given: scrub.propose(induction(), rows=8, verify=8, draws=12, **given),
    "interchange": lambda **given: scrub.interchange(induction(), rows=10, **given),
    "sweep": lambda **given: scrub.sweep("heads", "-> logits", induction(), rows=8, **given),
}


def close(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(close, a, b))
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-5) if isinstance(a, float) else a == b


@pytest.mark.parametrize("name", RUNS)
def test_numbers_do_not_depend_on_the_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the least bound that holds single items everything is cut smaller than under one that holds all."""
    fit, seen = Memory.fit, dict[str, int]()

    def told(self: Memory, what: str, *numbers: Any) -> int:
        seen[what] = fit(self, what, *numbers)
        return seen[what]

    monkeypatch.setattr(Memory, "fit", told)
    tight = least(RUNS[name])
    in_pieces = dict(seen)
    seen.clear()
    whole = RUNS[name](memory=HUGE)
    assert close(numbers(tight), numbers(whole))
    assert any(size < seen.get(what, 0) or what not in seen for what, size in in_pieces.items())


def least(run: Callable[..., Any]) -> Any:
    """A run in the least memory. Whoever gives what is named, item by item, comes to an end."""
    bound = "2kB"
    for attempt in range(7):
        try:
            found = run(memory=bound)
        except ClaimError as error:
            told = re.search(r"memory (\S+): .* takes .*: give at least --memory (\S+)", str(error))
            assert told
            assert told[1] == shown_bytes(parse_memory(bound) or 0)
            bound = told[2]
        else:
            assert attempt  # the first bound held nothing
            return found
    pytest.fail(f"still too little: {bound}")


def numbers(found: Any) -> dict[str, Any]:
    """What was found; rows that are run again for want of memory are counted apart."""
    return {name: value for name, value in found.to_dict().items() if name != "passes"}


KEEPING = """
import sys, scrub
from scrub.claims.collect import collect
[claim] = collect([sys.argv[1]]).hypotheses
for bound in sys.argv[3:]:
    scrub.test(claim, rows=12, draws=60, controls="none", parts="none", memory=bound, out=sys.argv[2])
"""


def test_a_run_that_is_kept_goes_on_in_another_memory(tmp_path: Path) -> None:
    """Two blocks, under whatever bound; in a process whose functions are not wrapped by checks of types."""
    out = tmp_path / "kept"
    command = [sys.executable, "-c", KEEPING, f"{GALLERY / 'induction.py'}::induction", str(out), "250kB", HUGE]
    subprocess.run(command, check=True, capture_output=True)
    assert len(list((out / "blocks").glob("*.safetensors"))) == 2
    assert "250kB" not in (out / "run.json").read_text()


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
    memory = Memory(1000, asked=True)
    assert [memory.fit("a row", each, 50, 0.5) for each in (5, 100, 500)] == [50, 5, 1]
    with pytest.raises(ClaimError, match=r"a row takes 501B at once, for which 0\.5 .*--memory 1\.1kB"):
        memory.fit("a row", 501, 50, 0.5)
    assert Memory(1000).fit("a row", 5000, 50) == 1  # nobody asked for a bound: a row is run all the same


@pytest.mark.parametrize("size", [1, 999, 1001, 9_949_999, 10**9, 123_456_789_012])
def test_sizes_are_shown_as_they_are_read_and_never_too_small(size: int) -> None:
    assert size <= (parse_memory(shown_bytes(size)) or 0) <= 1.1 * size + 1
