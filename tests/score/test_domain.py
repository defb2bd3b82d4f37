"""A whole domain: every combination of what a graph's inputs are, each equally often; of it nothing is sampled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

import scrub
from score.cases import both, claim_of, graph, resolved, rows_of, sum_claim, sum_rows, sum_sample
from scrub import Metric, nodes, recovers
from scrub.score.domain import whole_domain

Columns = dict[str, Any]
PAIRS: list[Columns] = [row.columns for row in sum_rows().rows]


@pytest.mark.parametrize(
    ("rows", "whole"),
    [
        (PAIRS, True),
        (PAIRS * 2, True),
        (PAIRS[:-1], False),
        ([*PAIRS, PAIRS[0]], False),
        ([{**row, "n": n} for n, row in enumerate(PAIRS * 2)], False),
        ([{**row, "y": row["y"] + 0.5} for row in PAIRS], False),
        ([row for row in PAIRS if row["x"] == 1], True),
        ([row for row in PAIRS if row["x"] == 1 and row["y"] != 2], False),
    ],
    ids=["every pair", "twice", "one less", "one more", "told apart", "between", "one column", "with a gap"],
)
def test_every_combination_equally_often(rows: list[Columns], whole: bool) -> None:
    assert whole_domain(resolved(sum_claim(rows_of(rows)))) is whole


def test_where_all_is_known_every_interval_is_a_point() -> None:
    result = scrub.test(both(), exact=True)
    assert (result.rows, result.verdict) == (12, "supported")
    for found in (result.recovered, result.population, result.story.share, *(one.loss for one in result.earned)):
        assert found.low == found.value == found.high
    assert {one.word for one in result.earned} == {"earned"}
    assert "the rows are the whole domain" in str(result)
    assert "given the pool" not in str(result)
    assert result.to_dict()["design"] == "whole domain, every draw"
    assert result.provenance["interval"].startswith("a point")


def test_draws_of_a_whole_domain_leave_an_interval_and_no_other_donors() -> None:
    result = scrub.test(sum_claim(), draws=20, explain=False)
    assert result.verdict == "supported"
    assert result.recovered.low < result.recovered.value < result.recovered.high
    assert (result.population.low, result.population.high) == (result.recovered.low, result.recovered.high)
    assert (result.story.share.low, result.design) == (result.story.share.high, "whole domain")


def test_more_draws_settle_what_no_other_rows_can() -> None:
    value = scrub.test(sum_claim(), exact=True).recovered.value
    result = scrub.test(sum_claim(expect=recovers(value - 0.001)), draws=20, explain=False)
    assert result.verdict == "inconclusive"
    assert "more draws to tell, or all of them (exact=True)" in result.reason
    assert "rows x" not in result.reason
    assert scrub.test(sum_claim(expect=recovers(value - 0.001)), exact=True).verdict == "supported"


@pytest.mark.parametrize("exact", [False, True])
def test_a_subset_and_a_sample_take_thirty_rows(exact: bool) -> None:
    for result in (scrub.test(sum_claim(), rows=11, exact=exact), scrub.test(sum_claim(sum_sample(2)), exact=exact)):
        assert (result.verdict, result.recovered.needs) == ("undefined", 30)
        assert "a verdict takes at least 30, or the whole domain" in result.reason
    result = scrub.test(sum_claim(sum_sample()), exact=True)
    assert result.recovered.low < result.recovered.high


def test_a_comparison_of_all_that_there_is_leaves_nothing_to_chance() -> None:
    found = scrub.compare(both(), sum_claim(), exact=True).differences[0]
    assert (found.share.low, found.p, found.verdict) == (found.share.high, 0.0, "a better")
    again = scrub.compare(both(), both(), exact=True).differences[0]
    assert (again.p, again.verdict) == (1.0, "cannot tell")


def story_on(right: Callable[[int], bool], rows: int, **options: Any) -> scrub.Hypothesis:
    """A model that says whether x is odd, and a story that is right where it is asked to be; a row is missing."""
    wrong = Metric(lambda output, row: float(output != row.columns["label"]), better="lower", name="wrong")
    every = list(product(range(2), range(rows)))
    data = rows_of({"x": x, "w": w, "label": f"{x % 2}"} for w, x in every[:-1])
    story = {"answer": lambda x: f"{x % 2}" if right(x) else "no"}
    model = graph(out=lambda x, w: f"{x % 2}")
    return claim_of(model, story, {"x": "x", "answer": nodes("out").reads(x="x")}, data, metric=wrong, **options)


def test_a_story_right_on_every_row_is_not_in_doubt() -> None:
    """Of 39 rows the interval of its share begins at 0.91: it says no more than how few they are."""
    result = scrub.test(story_on(lambda x: True, 20, expect=recovers(0.8)), parts="none", explain=False)
    assert result.story.share.low < 0.95
    strict = scrub.test(story_on(lambda x: True, 300, expect=recovers(0.99)), draws=2, parts="none", explain=False)
    assert (strict.verdict, strict.story.share.low < 0.995) == ("supported", True)
    once = scrub.test(story_on(lambda x: x > 0, 300, expect=recovers(0.99)), draws=2, parts="none", explain=False)
    assert once.verdict == "inconclusive"
    assert once.reason.startswith("perhaps the story does not say what the model does")
