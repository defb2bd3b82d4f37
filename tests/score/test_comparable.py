"""What cannot be compared: each refusal says in what the claims differ."""

from __future__ import annotations

from collections.abc import Callable
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
from scrub import Hypothesis, nodes
from scrub.errors import ClaimError


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
    assert scrub.compare(one, two, draws=2).differences[0].p == 1.0
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
