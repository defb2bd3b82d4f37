"""Apart: unclaimed inputs that cancel on one row do not on two."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import scrub
from score.cases import ERROR, both, claim_of, graph, rows_of, sum_claim, tiny_transformer, token_claim, token_rows
from scrub import nodes
from scrub.score.control import APART, Control

DATA = rows_of({"x": x, "z": z, "label": x} for x, z in product(range(4), repeat=2))


def cancelling(**options: Any) -> Any:
    """y = x + u - w, where u and w are both z, which the claim leaves out."""
    model = graph(u=lambda z: z, w=lambda z: z, y=lambda x, u, w: x + u - w)
    return claim_of(
        model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("y").reads(x="x")}, DATA,
        **{"metric": ERROR, **options},
    )  # fmt: skip


def apart_of(result: Any) -> Control | None:
    return next((control for control in result.controls if control.name == APART), None)


@pytest.mark.parametrize("exact", [True, False])
def test_inputs_that_cancel_make_a_supported_claim_inconclusive(exact: bool) -> None:
    result = scrub.test(cancelling(), exact=exact, draws=6)
    assert result.recovered.value == 1
    assert result.verdict == "inconclusive"
    assert result.reason.startswith("holds only while unclaimed inputs come from one row: they may cancel")
    found = apart_of(result)
    assert found is not None
    apart = [abs(u - w) for u, w in product(range(4), repeat=2)]
    random = [abs(x - y) for x, y in product(range(4), repeat=2)]
    assert found.value == pytest.approx(1 - np.mean(apart) / np.mean(random), abs=1e-9 if exact else 0.3)
    assert "apart        with unclaimed inputs from different rows the claim recovers" in str(result)
    assert result.to_dict()["controls"][-1]["name"] == "apart"


def test_what_cancels_inside_one_input_cancels_apart_too() -> None:
    """c = u - w is one channel; so is what is claimed."""
    model = graph(u=lambda z: z, w=lambda z: z, c=lambda u, w: u - w, y=lambda x, c: x + c)
    made = claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("y").reads(x="x")}, DATA, metric=ERROR)
    assert scrub.test(made, exact=True).verdict == "supported"
    assert scrub.test(both(), exact=True).verdict == "supported"


def test_inputs_that_the_claim_needs_on_one_row_within_its_expectation() -> None:
    """Apart recovers 0: what is expected decides, and the claim that says so itself is judged by it."""
    said = scrub.test(cancelling(rest_scope="input"), exact=True)
    assert (said.verdict, apart_of(said)) == ("refuted", None)
    found = apart_of(scrub.test(cancelling(), exact=True))
    assert found is not None
    assert said.recovered.value == pytest.approx(found.value)
    drawn = scrub.test(cancelling(rest_scope="draw"), exact=True)
    assert drawn.verdict == "inconclusive"


def test_where_there_is_nothing_to_take_apart() -> None:
    for options in ({"rest": "keep"}, {"rest": "mean"}, {"rest": "zero"}):
        assert apart_of(scrub.test(cancelling(**options), exact=True)) is None
    assert apart_of(scrub.test(cancelling(), exact=True, controls="none")) is None
    data = token_rows(12)
    on_tokens = scrub.test(token_claim(tiny_transformer(), data, metric="loss(first)"), draws=2, explain=False)
    assert apart_of(on_tokens) is None


def test_values_that_never_meet_may_be_more_than_a_function_takes() -> None:
    def strict(x: int, u: int, w: int) -> int:
        if u != w:
            raise ValueError("these never meet")
        return x

    made = claim_of(
        graph(u=lambda z: z, w=lambda z: z, y=strict), {"answer": lambda x: x},
        {"x": "x", "answer": nodes("y").reads(x="x")}, DATA, metric=ERROR,
    )  # fmt: skip
    result = scrub.test(made, draws=4)
    found = apart_of(result)
    assert found is not None
    assert "could not be run: node 'y' of the model raised ValueError: these never meet" in found.note
    assert result.verdict == "supported"


def test_many_combinations_are_drawn_where_the_test_is_enumerated(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrub.score import apart

    exact = apart_of(scrub.test(cancelling(), exact=True))
    monkeypatch.setattr(apart, "MOST", 15)  # 4 x 4
    drawn = apart_of(scrub.test(cancelling(), exact=True))
    assert exact is not None
    assert drawn is not None
    assert exact.low != drawn.low
    assert drawn.value == pytest.approx(exact.value, abs=0.3)


def test_the_plan_counts_it() -> None:
    found = {verb.name: verb for verb in scrub.plan(cancelling(), draws=20).verbs}
    assert [(p.name, p.calls) for p in found["test"].passes if "apart" in p.name] == [("inputs apart", 16 * 4)]
    none = {verb.name: verb for verb in scrub.plan(sum_claim(rest="keep")).verbs}
    assert not [p for p in none["test"].passes if "apart" in p.name]
