"""What cannot be compared: each refusal says in what the claims differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import scrub
from score.cases import (
    ERROR,
    SUM,
    both,
    claim_of,
    graph,
    rows_of,
    sum_claim,
    sum_rows,
    tiny_transformer,
    token_claim,
    token_rows,
)  # fmt: skip
from scrub import Dataset, Hypothesis, nodes, zoo
from scrub.claims.collect import collect
from scrub.errors import ClaimError
from scrub.score.comparison import Comparison

INDUCTION = collect([Path(scrub.__file__).parents[1] / "hypotheses" / "induction.py"]).hypotheses[0]


def shifted(by: int) -> Any:
    return graph(out=lambda x, y: 10 * x + y + by)


def on(model: Any, data: Any = None, sites: str = "out", **options: Any) -> Hypothesis:
    places = {"x": "x", "answer": nodes(sites).reads(x="x")}
    return claim_of(model, {"answer": lambda x: x}, places, data or sum_rows(), **{"metric": ERROR, **options})


TWO_ENDS = graph(one=lambda x, y: x + y, two=lambda x, y: x - y)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: on(graph(out=lambda x, y: x, more=lambda x: x)), "models differ: claim: computation graph of x, y,"),
        (lambda: on(shifted(1)), "different models"),
        (lambda: on(SUM, sum_rows(lambda x, y: 0)), "data differ: claim: 12 rows, digest"),
        (lambda: on(SUM, metric="kl"), "metrics differ: claim: error, lower is better; claim (2): kl"),
        (lambda: on(SUM, metric=evolve(ERROR, better="higher")), "metrics differ"),
        (lambda: on(SUM, metric=evolve(ERROR, function=lambda o, r: 2 * ERROR.function(o, r))), "other numbers"),
        (lambda: on(SUM, rows_of({**r.columns, "s": r.columns["x"] == 0} for r in sum_rows().rows), scored="s"),
         "data differ"),
        (lambda: on(tiny_transformer()), None),
    ],
)  # fmt: skip
def test_claims_about_other_things_are_refused(other: Callable[[], Hypothesis], said: str | None) -> None:
    with pytest.raises(ClaimError) as error:
        scrub.compare(sum_claim(), other())
    assert said is None or said in str(error.value)


def test_scored_rows_and_the_place_of_the_answer() -> None:
    data = rows_of({**row.columns, "s": row.columns["x"] == 0} for row in sum_rows().rows)
    with pytest.raises(ClaimError, match=r"scored rows differ: claim: 12 rows; claim \(2\): 4 rows by 's'"):
        scrub.compare(on(SUM, data), on(SUM, data, scored="s"))
    with pytest.raises(ClaimError, match=r"answers differ: claim: read at one; claim \(2\): read at two"):
        scrub.compare(on(TWO_ENDS, sites="one"), on(TWO_ENDS, sites="two"))


def test_everything_that_differs_is_said_at_once() -> None:
    with pytest.raises(ClaimError) as error:
        scrub.compare(sum_claim(), on(SUM, sum_rows(lambda x, y: 0), metric="kl"))
    assert "data differ" in str(error.value)
    assert "metrics differ" in str(error.value)


def test_transformers_of_other_weights_are_other_models() -> None:
    data = token_rows()
    one, two = (token_claim(evolve(tiny_transformer(s), name="m"), data, metric="loss(label)") for s in (3, 3))
    assert alike(scrub.compare(one, two, draws=2))
    weights = tiny_transformer(3)
    moved = evolve(weights, W_U=2 * weights.W_U, name="m")
    with pytest.raises(ClaimError, match="have different models"):
        scrub.compare(one, token_claim(moved, data, metric="loss(label)"), draws=2)


def test_misuse() -> None:
    with pytest.raises(ClaimError, match="give two claims or more"):
        scrub.compare(sum_claim(), [sum_claim()])  # pyright: ignore
    with pytest.raises(ClaimError, match="runs on the cpu"):
        scrub.compare(sum_claim(), both(), device="cuda")
    with pytest.raises(ClaimError, match="at least one draw"):
        scrub.compare(sum_claim(), both(), draws=0)


def test_the_problems_of_all_claims_are_told() -> None:
    with pytest.raises(ClaimError) as error:
        scrub.compare(sum_claim().but(x=nodes("xx")), both().but(y=nodes("yy")))
    assert "xx does not exist" in str(error.value)
    assert "yy does not exist" in str(error.value)


def with_columns(make: Callable[[int], dict[str, Any]]) -> Hypothesis:
    """A claim about token rows in which the label decides, with more columns."""
    rows = token_rows().rows
    data = Dataset([evolve(row, columns=row.columns | make(i)) for i, row in enumerate(rows)])
    return token_claim(TOKENS, data, metric="loss(label)")


TOKENS = tiny_transformer()


def alike(found: Comparison) -> bool:
    """Whether all claims have the same scores: rows in another order are added in that order."""
    first, *others = [(h.scrubbed, h.random, h.explained.value) for h in found.hypotheses]
    return all(scores == pytest.approx(first, rel=1e-5) for scores in others)


def test_helper_columns_that_nobody_reads_may_differ() -> None:
    plain = with_columns(lambda i: {})
    rivals = [with_columns(lambda i: {"note": f"a{i}", "mine": i}), with_columns(lambda i: {"note": "b"})]
    found = scrub.compare(*rivals, draws=3)
    assert alike(found)
    assert found.options == {"columns left out": "mine, note (nobody reads them, and the data differ there)"}
    assert "columns left out: mine, note" in str(found)
    same = scrub.compare(plain, plain, draws=3)
    assert same.options == {}
    assert [h.digest for h in found.hypotheses] == [h.digest for h in same.hypotheses]
    assert found.frame().equals(same.frame())  # the same draws
    ordered = scrub.compare(rivals[1], turned(rivals[0]), draws=3)
    assert alike(ordered)


def test_rivals_are_compared_on_rows_that_no_search_saw() -> None:
    plain = with_columns(lambda i: {})
    assert isinstance(plain.data, Dataset)
    first, last = (plain.but(seen=[plain.data.rows[i].input_digest]) for i in (0, -1))
    found = scrub.compare(first, last, plain, draws=3)
    assert {h.options["seen"] for h in found.hypotheses} == {2}
    assert alike(found)


def turned(hypothesis: Hypothesis) -> Hypothesis:
    data = hypothesis.data
    assert isinstance(data, Dataset)
    return evolve(hypothesis, data=Dataset(data.rows[::-1]))


def test_columns_in_use_that_differ_are_named() -> None:
    one, two = (with_columns(lambda i, k=k: {"mine": i % 3 != k, "note": k}) for k in (0, 1))
    with pytest.raises(ClaimError, match=r"data differ: .* \(they differ in the column mine\)"):
        scrub.compare(evolve(one, options=evolve(one.options, scored="mine")), two)
    with pytest.raises(ClaimError, match=r"\(they differ in the column mine\)"):
        scrub.compare(evolve(one, options=evolve(one.options, scored="mine")), with_columns(lambda i: {}))
    with pytest.raises(ClaimError, match=r"\(they differ in the column label\)"):
        scrub.compare(on(SUM), on(SUM, sum_rows(lambda x, y: 0)))
    with pytest.raises(ClaimError, match=r"\(they have different numbers of rows\)"):
        scrub.compare(on(SUM), on(SUM, Dataset(sum_rows().rows[1:])))
    moved = [evolve(row, tokens=row.tokens[::-1]) for row in token_rows().rows]
    with pytest.raises(ClaimError, match=r"\(they differ in tokens or named positions\)"):
        scrub.compare(with_columns(lambda i: {}), token_claim(TOKENS, Dataset(moved), metric="loss(label)"))


def test_of_other_data_nothing_is_told_row_by_row() -> None:
    """Rows are compared in the order of their digests, which is another one where a column differs."""
    rows = zoo.rows("induction", 60, 1)
    other = [{**row, "columns": {**row["columns"], "b": (row["columns"]["b"] + 1) % 90}} for row in rows]
    one, two = (INDUCTION.but(data=Dataset.from_rows(some)) for some in (rows, other))
    with pytest.raises(ClaimError) as caught:
        scrub.compare(one, two)
    assert [line.split(" differ")[0].strip() for line in str(caught.value).splitlines()[1:]] == ["data"]


def test_a_metric_of_ones_own_reads_all_columns_that_the_data_share() -> None:
    def noted(note: Callable[[int], dict[str, Any]]) -> Hypothesis:
        return on(SUM, rows_of({**row.columns, **note(i)} for i, row in enumerate(sum_rows().rows)))

    assert scrub.compare(noted(lambda i: {"a": i}), noted(lambda i: {"b": i}), draws=2).options
    with pytest.raises(ClaimError, match=r"\(they differ in the column note\)"):
        scrub.compare(noted(lambda i: {"note": 0}), noted(lambda i: {"note": 1}))
