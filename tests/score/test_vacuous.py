"""Variables whose swaps test no values are named, with what to do; where all inner ones are so, so is the reason."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import scrub
from score.cases import ERROR, claim_of, graph, rows_of
from scrub import nodes

MODEL = graph(h=lambda x, y: (x, y), k=lambda x: x // 2, out=lambda h, k: h[0] + k)
ROWS = [{"x": x, "y": y, "label": x + x // 2} for x, y in product(range(4), repeat=2)]


def paired(mid: Any, read: Any, rows: Any = ROWS, repeat: int = 1, **options: Any) -> Any:
    """h is (x, y), of which out reads x; k is half of x: two inner variables, `mid` and `half`."""
    return claim_of(
        MODEL, {"mid": mid, "half": lambda x: x // 2, "answer": read},
        {"x": "x", "y": "y", "mid": nodes("h").reads(x="x", y="y"), "half": nodes("k").reads(x="x"),
         "answer": nodes("out").reads(h="mid", k="half")},
        rows_of(row for row in rows for _ in range(repeat)), metric=ERROR, **options,
    )  # fmt: skip


def lines(result: Any) -> list[str]:
    return [text for text in result.warnings if "tests no value" in text]


def first(mid: Any, half: int) -> int:
    return mid[0] + half


@pytest.mark.parametrize("exact", [True, False])
def test_donors_that_are_mostly_the_row_itself(exact: bool) -> None:
    result = scrub.test(paired(lambda x, y: (x, y), first), exact=exact)
    (line,) = lines(result)
    assert line == (
        "100% of the donors of mid are the row itself, which tests no value (half of the rows share theirs with 0 "
        "others or fewer): bring more rows for each value; what reads it tells apart 4 of 16 of its values: a "
        "coarser value tests more."
    )
    assert "tests paths" not in result.reason
    assert f"warning: {line}" in str(result)


def test_more_rows_for_each_value_leave_what_is_finer_than_its_readers_need() -> None:
    result = scrub.test(paired(lambda x, y: (x, y), first, repeat=3), exact=True)
    assert lines(result) == [
        "rows that agree on mid agree on all that it is computed from, which tests no value; what reads it tells "
        "apart 4 of 16 of its values: a coarser value tests more."
    ]


def test_a_coarser_value_is_not_told() -> None:
    assert lines(scrub.test(paired(lambda x, y: x, lambda mid, half: mid + half), exact=True)) == []


def test_what_is_only_passed_on_is_not_told() -> None:
    """A copy is as fine as what it is copied from, and its readers need it all."""
    made = claim_of(
        graph(h=lambda x: x, out=lambda h: h), {"mid": lambda x: x, "answer": lambda mid: mid},
        {"x": "x", "mid": nodes("h").reads(x="x"), "answer": nodes("out").reads(h="mid")},
        rows_of({"x": i % 4, "label": i % 4} for i in range(16)), metric=ERROR,
    )  # fmt: skip
    result = scrub.test(made, exact=True)
    assert lines(result) == []
    assert "tests paths" not in result.reason


def test_where_all_inner_variables_are_so_the_reason_says_it() -> None:
    made = claim_of(
        graph(h=lambda x, y: (x, y), out=lambda h: h[0]), {"mid": lambda x, y: (x, y), "answer": lambda mid: mid[0]},
        {"x": "x", "y": "y", "mid": nodes("h").reads(x="x", y="y"), "answer": nodes("out").reads(h="mid")},
        rows_of(row for row in ROWS for _ in "123"), metric=ERROR,
    )  # fmt: skip
    result = scrub.test(made, exact=True, parts="none")
    assert result.reason.endswith("; it tests paths, not values: no swap of mid changes what it is computed from.")
    assert len(lines(result)) == 1


def test_a_story_that_takes_no_mixtures_is_told_nothing_that_it_does_not_show() -> None:
    """Frozen stories know the mixtures of their rows alone."""

    def strict(mid: tuple[int, int], half: int) -> int:
        if mid[0] // 2 != half:
            raise ValueError("never met")
        return mid[0] + half

    result = scrub.test(paired(lambda x, y: (x, y), strict, repeat=3), exact=True)
    assert "4 of 16" in lines(result)[0]
