"""What breaks a claim: on a graph with one missing edge the rest of its reader does, with the numbers by hand."""

from __future__ import annotations

import json
from itertools import product

import networkx as nx
import numpy as np
import pytest

import scrub
from score.cases import (
    EDGES,
    ERROR,
    ROWS,
    claim_of,
    missing_edge,
    sum_claim,
    sum_rows,
)
from scrub import Dataset, Interpretation, Metric, nodes
from scrub.errors import ClaimError
from scrub.score.explain import Explanation, SwapEffect
from scrub.score.sample import ClaimBench


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    return scrub.explain(missing_edge(), draws=300)


def effect(explanation: Explanation, what: str) -> SwapEffect:
    (found,) = (e for e in explanation.swaps if f"{e.kind} of {e.variable}" == what)
    return found


DIFFERENCES = [(-1, 0.25), (0, 0.5), (1, 0.25)]  # of two fair bits
RANDOM = sum(p * q * r * abs(10 * a + 4 * b + c) for (a, p), (b, q), (c, r) in product(DIFFERENCES, repeat=3))
BOTH = sum(p * q * abs(4 * b + c) for (b, p), (c, q) in product(DIFFERENCES, repeat=2))


def share(error: float) -> float:
    return 1 - error / RANDOM


def test_every_swap_of_the_claim_is_there_once(explanation: Explanation) -> None:
    told = sorted(f"{e.kind} of {e.variable}" for e in explanation.swaps)
    assert told == ["donor of mid", "donor of x", "rest of answer", "rest of mid"]


def test_the_swap_that_does_the_harm_comes_first(explanation: Explanation) -> None:
    first, second = explanation.swaps[:2]
    assert (first.kind, first.variable, first.site) == ("rest", "mid", "h")
    assert (second.kind, second.variable) == ("rest", "answer")
    assert "mid reads something there that the claim leaves out" in first.meaning
    assert first.what == "rest of mid (h)"


@pytest.mark.parametrize(
    ("what", "only", "without"),
    [
        ("rest of mid", 2.0, 0.5),  # 4 |y - y'| alone; |w - w'| is what remains
        ("rest of answer", 0.5, 2.0),
        ("donor of mid", 0.0, BOTH),
        ("donor of x", 0.0, BOTH),
    ],
)
def test_shares_by_hand(explanation: Explanation, what: str, only: float, without: float) -> None:
    found = effect(explanation, what)
    assert found.only == pytest.approx(share(only), abs=0.015)
    assert found.without == pytest.approx(share(without), abs=0.015)
    assert found.gain == pytest.approx(share(without) - share(BOTH), abs=0.015)
    assert explanation.recovered == pytest.approx(share(BOTH), abs=0.015)


def test_an_undone_swap_leaves_the_draws_of_all_others_alone(explanation: Explanation) -> None:
    """Where donors have the same inputs, undoing them changes nothing at all: the draws are paired."""
    assert effect(explanation, "donor of mid").gain == 0
    assert effect(explanation, "donor of x").gain == 0
    assert effect(explanation, "donor of x").only == 1


@pytest.mark.parametrize(
    ("what", "rate"),
    [("rest of mid", 1 / 16), ("rest of answer", 1 / 16), ("donor of mid", 1 / 4), ("donor of x", 1 / 8)],
)
def test_self_swap_rates(explanation: Explanation, what: str, rate: float) -> None:
    assert effect(explanation, what).self_swaps == pytest.approx(rate, abs=0.025)


def test_a_self_swap_is_with_the_row_that_asks_not_with_the_reference() -> None:
    """mid is the same everywhere, so its donor is any row; x then agrees with that one, one in eight its own."""
    claim = claim_of(
        EDGES, {"mid": lambda x: 0, "answer": lambda mid: mid},
        {"x": "x", "mid": nodes("h").reads(x="x"), "answer": nodes("out").reads(h="mid")}, ROWS, metric=ERROR,
    )  # fmt: skip
    found = scrub.explain(claim, draws=300)
    assert effect(found, "donor of mid").self_swaps == pytest.approx(1 / 16, abs=0.02)
    assert effect(found, "donor of x").self_swaps == pytest.approx(1 / 8, abs=0.02)


def test_routes_lead_to_the_answer(explanation: Explanation) -> None:
    routes = {f"{e.kind} of {e.variable}": e.route for e in explanation.swaps}
    assert routes == {
        "donor of x": "mid.x > answer.h", "donor of mid": "answer.h", "rest of mid": "answer.h", "rest of answer": "",
    }  # fmt: skip


def test_a_wrong_variable_shows_as_a_donor() -> None:
    """mid is said to depend on x alone while its site reads y as well, and y is claimed to be read."""
    claim = claim_of(
        EDGES, {"y0": lambda y: 0, "answer": lambda x, y0: 10 * x},
        {"x": "x", "y0": "y", "answer": nodes("out").reads(h="x y0")}, ROWS, metric=ERROR, through="h",
    )  # fmt: skip
    first = scrub.explain(claim, draws=40).swaps[0]
    assert (first.kind, first.variable) == ("donor", "y0")
    assert first.meaning == "rows that agree on y0 are not interchangeable there"


def test_the_worst_rows_come_first_each_with_its_worst_draw(explanation: Explanation) -> None:
    assert len(explanation.worst) == 3
    table = scrub.test(missing_edge(), draws=300, explain=False).frame().set_index("row")
    losses = table["scrubbed"] - table["model"]
    assert [s.row for s in explanation.worst] == losses.sort_values(ascending=False, kind="stable").index[:3].tolist()
    for story in explanation.worst:
        assert story.scrubbed == pytest.approx(table["scrubbed"][story.row])
        assert story.model == 0
        label = ROWS.rows[story.row].columns["label"]
        assert story.model_answer == repr(label)
        assert abs(int(story.scrubbed_answer) - label) == 5  # both bits turned the wrong way


@pytest.mark.parametrize("rest", ["keep", "mean", "zero"])
def test_a_rest_that_is_no_row_is_no_swap(rest: str) -> None:
    found = scrub.explain(missing_edge(rest=rest), draws=3)
    assert {e.kind for e in found.swaps} == {"donor"}
    assert {d.kind for story in found.worst for d in story.donations} == {"donor"}
    assert f"rest={rest!r}" in str(found)


def test_a_row_that_is_no_reference_row() -> None:
    with pytest.raises(
        ClaimError, match=r"--row 99 is none of the reference rows: those are 0, 1, 2, .* and 8 more\."
    ):
        scrub.explain(missing_edge(), draws=1, row=99)


def test_a_refuted_claim_brings_the_top_of_its_explanation() -> None:
    result = scrub.test(missing_edge(), draws=20)
    assert result.verdict == "refuted"
    assert len(result.explanation) == 2  # the donors gain nothing
    assert result.explanation[0].startswith("undoing the rest of mid (h) would recover 0.")
    assert result.explanation[0].endswith(" more: mid reads something there that the claim leaves out")
    assert scrub.test(missing_edge(), draws=20, explain=False).explanation == ()
    assert scrub.test(missing_edge(expect=scrub.recovers(0.1)), draws=20).explanation == ()


def test_what_breaks_a_foil_is_looked_for_where_it_is_asked_for() -> None:
    """Its refutation is the good outcome."""
    foil = missing_edge().foil("h reads y as well")
    assert scrub.test(foil, draws=20).effects == ()
    assert scrub.test(foil, draws=20, explain=True).explanation == scrub.test(missing_edge(), draws=20).explanation
    assert scrub.test(missing_edge(), draws=20, explain=False).effects == ()


@pytest.mark.parametrize(("rows", "draws", "looked_at"), [(16, 20, 4), (16, 4, 1), (200, 4, 4), (30, 1, 0)])
def test_looking_for_what_breaks_a_claim_costs_no_more_than_its_test(
    monkeypatch: pytest.MonkeyPatch, rows: int, draws: int, looked_at: int
) -> None:
    """Counted in calls of the scrubbed model."""
    data = Dataset.from_rows([{"columns": row.columns} for row in ROWS.rows * 13][:rows])
    made, calls = missing_edge().but(data=data), list[int]()
    original = ClaimBench.scrubbed
    monkeypatch.setattr(ClaimBench, "scrubbed", lambda b, c, d: calls.append(len(c.reference)) or original(b, c, d))
    monkeypatch.setattr("scrub.verbs.test.left_out_of_it", lambda bench, samples, result, *_: result)
    result = scrub.test(made, draws=draws, controls="none", parts="none")
    assert result.verdict == "refuted"
    assert rows * draws <= sum(calls) <= 2 * rows * draws
    assert looked_at == 0 or sum(calls) >= 1.5 * rows * draws  # it uses what it may
    assert len(result.effects) == looked_at
    told = [line for line in result.explanation if " undone" in line]
    if looked_at == 1:
        assert result.effects[0].path == "answer"
        assert told == ["of 4 swaps only the 1 nearest the answer are undone, to cost no more than the test"]
    elif looked_at == 0:
        assert told == ["none of the 4 swaps was undone, since that would cost more than so small a test"]
    else:
        assert not told


def test_an_undefined_share_is_none_and_still_told() -> None:
    flat = scrub.Metric(lambda output, row: 1.0, name="flat")
    found = scrub.explain(sum_claim(metric=flat), draws=2)
    assert found.recovered is None
    assert {(e.only, e.without, e.gain) for e in found.swaps} == {(None, None, None)}
    assert "recovered undefined" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_it_is_json_a_table_and_html(explanation: Explanation) -> None:
    made = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert [e["variable"] for e in made["swaps"]] == [e.variable for e in explanation.swaps]
    assert made["worst"][0]["donations"][0]["kind"] == "rest"
    frame = explanation.frame()
    assert list(frame["gain"]) == [e.gain for e in explanation.swaps]
    assert "rest of mid" in explanation._repr_html_()


def test_rates_and_draws_are_those_of_the_test() -> None:
    """The same draws as in `test`: what it recovers is what the explanation starts from."""
    claim = sum_claim(sum_rows())
    assert scrub.explain(claim, draws=7, seed=5).recovered == pytest.approx(
        scrub.test(claim, draws=7, seed=5).recovered.value
    )
    assert np.isfinite(scrub.explain(claim, draws=1).recovered or np.nan)


def test_a_branch_shows_what_two_swaps_do_together() -> None:
    """x is (a, b), and both variables of a chain keep a alone: undoing one donor leaves the other to lose b."""
    graph = nx.DiGraph([("x", "h"), ("h", "out")])
    graph.nodes["h"]["function"] = lambda x: x
    graph.nodes["out"]["function"] = lambda h: 10 * h[0] + h[1]
    story = Interpretation()

    @story.variable
    def low(a: int) -> int:
        return a

    @story.variable
    def high(low: int) -> int:
        return low

    @story.variable
    def answer(high: int) -> int:
        return high

    rows = [{"columns": {"x": (a, b), "a": a, "y": 10 * a + b}} for a in (0, 1) for b in range(15)]
    error = Metric(lambda output, row: abs(output - row.columns["y"]), better="lower")
    places = {"low": nodes("x"), "high": nodes("h"), "answer": nodes("out")}
    made = scrub.claim(
        story, model=graph, data=Dataset.from_rows(rows), metric=error, predicts="y", expect=scrub.recovers(0.9)
    )(places)
    told = {(e.variable, e.kind): e for e in scrub.explain(made, draws=50).swaps}
    lost = 1 - float(scrub.explain(made, draws=50).recovered or 0)
    donor = told["high", "donor"]
    assert donor.gain == pytest.approx(0, abs=0.05)
    assert donor.branch == pytest.approx(lost, abs=1e-9)
    assert lost > 0.3
    assert told["low", "donor"].branch == told["low", "donor"].gain
    assert told["answer", "rest"].branch is None
    first = scrub.test(made).explanation[0]
    assert first.startswith("undoing the donor of high (h) and all swaps below it would recover")
