"""The adversary: errors that cancel when all swaps are made do not when only some are."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import scrub
from score.cases import ERROR, bench_of, claim_of, graph, resolved, rows_of, sum_claim
from scrub import Hypothesis, Metric, nodes, recovers
from scrub.errors import ClaimError
from scrub.score import adversary
from scrub.score.adversary import attack, challenge
from scrub.score.sample import resample_only, sample

TOWARDS = Metric(lambda output, row: output * row.columns["x"], better="higher", name="towards x")


def cancelling(size: int = 12, any_swaps: bool = True, copies: int = 24) -> Hypothesis:
    """Scored rows have u = w = 0 and out = 10 x. The donor of h brings size * u, the rest takes size * w away."""

    def out(h: float, w: int) -> float:
        return h - (1 if h > 0 else -1) * size * w

    rows = rows_of(
        {"x": x, "u": u, "w": w, "label": 10 * x, "clean": not u and not w, "n": n}
        for x, u, w, n in product((-1, 1), (0, 1), (0, 1), range(copies))
    )
    return claim_of(
        graph(h=lambda x, u: x * (10 + size * u), out=out),
        {"mid": lambda x: x, "answer": lambda mid: 10 * mid},
        {"mid": nodes("h"), "answer": nodes("out").reads(h="mid")},
        rows, metric=TOWARDS, scored="clean", expect=recovers(0.8, any_swaps=any_swaps),
    )  # fmt: skip


def test_a_cancelling_pair_is_refuted_though_its_mean_is_perfect() -> None:
    """10 + 12/2 - 12/2 = 10 with both swaps, 10 - 12/2 = 4 with the rest alone: 0.4 of what there is."""
    calm = scrub.test(cancelling(any_swaps=False), explain=False)
    assert (calm.verdict, calm.adversary) == ("supported", None)
    assert calm.recovered.value == pytest.approx(1, abs=0.1)
    result = scrub.test(cancelling(), explain=False)
    assert result.recovered == calm.recovered
    assert result.verdict == "refuted"
    assert "rest of answer (out)" in result.reason
    found = result.to_dict()["adversary"]
    assert found["subset"] == ["rest of answer (out)"]
    assert found["left_out"] == ["donor of mid (h)"]
    assert found["value"] == pytest.approx(0.4, abs=0.1)
    assert found["low"] <= found["value"] <= found["high"] < 0.8
    assert found["rows"] == 24  # one half of 48
    assert "adversary" in str(result)


def test_a_claim_without_errors_survives() -> None:
    result = scrub.test(cancelling(size=0), draws=5, explain=False)
    assert result.verdict == "supported"
    assert result.adversary is not None
    assert result.adversary.share.value == pytest.approx(1)


def test_small_errors_stay_above_the_bar() -> None:
    """2/2 of 10 is lost at worst: 0.9."""
    result = scrub.test(cancelling(size=2), explain=False)
    assert result.verdict == "supported"
    assert result.adversary is not None
    assert result.adversary.share.value == pytest.approx(0.9, abs=0.03)


def test_the_interval_owes_nothing_to_the_rows_that_were_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(cancelling())
    order = bench.claim.data.order
    references = order[bench.claim.scored[order]]
    samples = sample(bench, references, 4, 0)
    seen: list[set[int]] = []

    def spied(bench: Any, rows: Any, *others: Any) -> Any:
        seen.append(set(rows.tolist()))
        return resample_only(bench, rows, *others)

    monkeypatch.setattr(adversary, "resample_only", spied)
    found = attack(bench, samples, 4, 0)
    *searched, measured = seen
    assert searched
    assert not set[int]().union(*searched) & measured
    assert measured == set(references.tolist()) - searched[0]
    assert found.rows == len(measured) == 24


def test_an_interval_that_contains_the_bar_is_inconclusive() -> None:
    """4/2 of 10 is lost at worst: 0.8, which is the bar."""
    result = scrub.test(cancelling(size=4), explain=False)
    assert result.recovered.low is not None
    assert result.recovered.low > 0.8
    assert result.verdict == "inconclusive"
    assert "which contains the bar, 0.80: " in result.reason


def test_too_few_rows_show_nothing() -> None:
    result = scrub.test(cancelling(copies=8), rows=16, draws=50, explain=False)
    assert result.adversary is not None
    assert result.adversary.rows == 8
    assert result.adversary.share.value is None
    assert result.verdict == "inconclusive"
    assert "8 rows for the adversary's interval are too few" in result.reason


def test_it_is_run_only_where_the_expectation_asks() -> None:
    bench = bench_of(sum_claim())
    result = scrub.test(sum_claim(), draws=3, explain=False)
    assert challenge(bench, sample(bench, bench.claim.data.order, 2, 0), result, 2, 0) is result
    undefined = scrub.test(sum_claim(expect=recovers(0.8, any_swaps=True)), rows=9, draws=2)
    assert (undefined.verdict, undefined.adversary) == ("undefined", None)


def test_the_expectation_is_part_of_the_digest_and_leaves_others_as_they_were() -> None:
    plain, any_swaps, higher = (
        resolved(sum_claim(expect=recovers(*args))).digest for args in ((0.8,), (0.8, True), (0.9,))
    )
    assert len({plain, any_swaps, higher}) == 3
    assert resolved(sum_claim(expect=recovers(0.8, any_swaps=False))).digest == plain
    assert str(recovers(0.8, any_swaps=True)) == "recovers(0.8, any_swaps=True)"
    assert str(recovers(0.8)) == "recovers(0.8)"


def test_any_swaps_is_true_or_false() -> None:
    with pytest.raises(ClaimError, match="write True or False"):
        recovers(0.8, any_swaps="yes")


def test_a_refuted_claim_keeps_its_reason() -> None:
    refuted = scrub.test(sum_claim(expect=recovers(0.99, any_swaps=True), metric=ERROR), explain=False)
    assert refuted.verdict == "refuted"
    assert refuted.reason.startswith("the whole interval lies below")


def test_half_of_the_rows_with_nothing_to_recover_end_the_search() -> None:
    """The searched rows, the even ones by digest, have a metric that is always 0: no step harms them."""
    dead: set[int] = set()
    metric = Metric(lambda output, row: 0.0 if row.columns["n"] in dead else output * row.columns["x"], name="some")
    rows = rows_of({"x": (-1) ** i, "n": i, "label": 0} for i in range(24))
    dead |= {rows.rows[i].columns["n"] for i in rows.order[::2]}
    claimed = claim_of(
        graph(h=lambda x: 10 * x, out=lambda h: h), {"mid": lambda x: x, "answer": lambda mid: 10 * mid},
        {"mid": "h", "answer": nodes("out").reads(h="mid")}, rows, metric=metric,
        expect=recovers(0.5, any_swaps=True),
    )  # fmt: skip
    result = scrub.test(claimed, draws=3, explain=False)
    assert result.verdict == "supported"
    assert result.adversary is not None


def test_swaps_of_a_variable_that_occurs_twice_have_names_of_their_own() -> None:
    two = claim_of(
        graph(h=lambda x: x, a=lambda h: h, b=lambda h: h, out=lambda a, b: a + b),
        {"mid": lambda x: x, "p": lambda mid: mid, "q": lambda mid: mid, "answer": lambda p, q: p + q},
        {"mid": "h", "p": nodes("a").reads(h="mid"), "q": nodes("b").reads(h="mid"),
         "answer": nodes("out").reads(a="p", b="q")},
        rows_of({"x": i % 4, "label": 2 * (i % 4)} for i in range(24)), metric=ERROR,
        expect=recovers(0.5, any_swaps=True),
    )  # fmt: skip
    found = scrub.test(two, draws=2, explain=False).adversary
    assert found is not None
    named = [*found.subset, *found.left_out]
    assert len(set(named)) == len(named)
    assert sum(name.startswith("donor of mid (h) by ") for name in named) == 2
