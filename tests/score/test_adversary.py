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
from scrub.score.result import ratio
from scrub.score.sample import resample_only, sample
from scrub.verbs.setup import references

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

    def spied(bench: Any, asked: Any, *others: Any) -> Any:
        seen.append(set(asked.references.tolist()))
        return resample_only(bench, asked, *others)

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
    """Of a whole domain, since a sample of so few rows is undefined."""
    made = cancelling(copies=8, size=2)
    rows = [{name: row.columns[name] for name in ("x", "u", "w", "label", "clean")} for row in made.data.rows]
    result = scrub.test(made.but(data=rows_of(rows)), draws=50, explain=False)
    assert result.adversary is not None
    assert result.adversary.rows == 8
    assert result.adversary.share.value is None
    assert result.verdict == "inconclusive"
    assert "8 rows for the adversary's interval are too few" in result.reason


def test_it_is_run_only_where_the_expectation_asks() -> None:
    bench = bench_of(sum_claim())
    result = scrub.test(sum_claim(), draws=3, explain=False)
    assert challenge(bench, sample(bench, bench.claim.data.order, 2, 0), result, 2) is result
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
    rows = rows_of({"x": (-1) ** i, "n": i, "label": 0} for i in range(48))
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


def tied(**options: Any) -> Hypothesis:
    """out = y z z, where the two z come by a and b: true as long as both come from one row."""
    return claim_of(
        graph(a=lambda z: z, b=lambda z: z, out=lambda a, b, y: a * b * y),
        {"u": lambda z: z * z, "w": lambda z: z * z, "answer": lambda u, w, y: u * y},
        {"u": nodes("a"), "w": nodes("b"), "y": nodes("y"), "answer": nodes("out").reads(a="u", b="w", y="y")},
        SIGNED, metric=ERROR, **{"together": [("u", "w")], "expect": recovers(0.9, any_swaps=True), **options},
    )  # fmt: skip


def chained(**options: Any) -> Hypothesis:
    """out = y z z once more: of one z the first step makes its value, the other is read by the answer."""
    return claim_of(
        graph(s=lambda y: y, a=lambda s, z: s * z, out=lambda a, z: a * z),
        {"u": lambda y: y, "w": lambda u: u, "answer": lambda w: w},
        {"u": nodes("s"), "w": nodes("a").reads(s="u"), "answer": nodes("out").reads(a="w")},
        SIGNED, metric=ERROR, **{"rest_scope": "draw", "expect": recovers(0.9, any_swaps=True), **options},
    )  # fmt: skip


SIGNED = rows_of({"z": z, "y": y, "n": n, "label": y} for z, y, n in product((-1, 1), (0, 1), range(8)))


@pytest.mark.parametrize(
    ("claimed", "swaps"),
    [
        (tied(), ["donor of u & w (a & b)", "donor of y (y)", "rest of answer (out)"]),
        (chained(), ["donor of u (s)", "donor of w (a)", "rest of every variable (one row for all)"]),
    ],
)
def test_what_a_claim_ties_together_is_left_out_together(claimed: Hypothesis, swaps: list[str]) -> None:
    """Both claims are exactly true; with one end of what is tied left out, half of the products turn negative."""
    found = scrub.test(claimed, draws=4, explain=False, controls="none")  # inputs apart are not tied
    assert (found.verdict, found.recovered.value) == ("supported", pytest.approx(1))
    assert found.adversary is not None
    assert found.adversary.share.value == pytest.approx(1)
    assert sorted([*found.adversary.subset, *found.adversary.left_out]) == swaps
    effects = scrub.explain(claimed, draws=4).swaps
    assert sorted(e.what for e in effects) == swaps
    assert {(e.only, e.without, e.gain) for e in effects} == {(1, 1, 0)}


@pytest.mark.parametrize("claimed", [tied(together=()), chained(rest_scope="occurrence")])
def test_what_is_not_tied_is_left_out_alone(claimed: Hypothesis) -> None:
    found = scrub.test(claimed, draws=20, explain=False)
    assert found.adversary is not None
    assert len(found.adversary.subset) + len(found.adversary.left_out) == 4
    assert found.adversary.share.value is not None
    assert found.adversary.share.value < 0.3


def test_with_a_rest_for_each_input_each_is_left_out_alone() -> None:
    """out = y a b with a = b = z: one of the two from another row turns the sign half of the time."""
    each = tied(rest_scope="input", together=()).but(answer=nodes("out").reads(y="y").omits("u w"))
    effects = {e.what: e for e in scrub.explain(each, draws=40).swaps}
    assert sorted(effects) == ["donor of y (y)", *(f"rest of answer ({c} of out)" for c in ("a", "b", "y"))]
    assert effects["rest of answer (y of out)"].gain == 0  # y is claimed: its rest is never looked at
    assert effects["rest of answer (a of out)"].paths == ("answer",)
    lost = effects["rest of answer (a of out)"]
    assert lost.only == pytest.approx(effects["rest of answer (b of out)"].only, abs=0.2)
    assert lost.self_swaps == pytest.approx(1 / 32, abs=0.03)


def test_a_search_from_no_swaps_finds_what_one_from_all_does_not() -> None:
    """p harms alone; q and s each make up for it, so that from all swaps no single step harms."""

    def out(p: int, q: int, s: int, y: int) -> int:
        return 0 if p and not q and not s else y

    def kept(w: int) -> int:
        return w

    claimed = claim_of(
        graph(p=lambda w: w, q=lambda w: w, s=lambda w: w, out=out),
        {"p": kept, "q": kept, "s": kept, "answer": lambda p, q, s, y: y},
        {
            **{name: nodes(name).omits("w") for name in "pqs"},
            "w": nodes("w"), "y": nodes("y"), "answer": nodes("out").reads(p="p", q="q", s="s", y="y"),
        },
        rows_of({"w": w, "y": 1 - w, "clean": not w, "spoilt": w == 1, "label": 1 - w} for w in [0, 1] * 32),
        scored="clean", rest_rows="spoilt", expect=recovers(0.8, any_swaps=True),
    )  # fmt: skip
    found = scrub.test(claimed, draws=2, explain=False)
    assert found.recovered.value == pytest.approx(1)
    assert found.verdict == "refuted"
    assert found.adversary is not None
    assert found.adversary.share.value == 0
    assert {"rest of q (q)", "rest of s (s)"} <= set(found.adversary.left_out)
    assert "rest of p (p)" in found.adversary.subset


@pytest.mark.parametrize("seed", range(6))
def test_the_worst_that_is_told_is_no_milder_than_all_swaps_where_it_is_measured(seed: int) -> None:
    """The search sees other rows: what harmed most there may do little here."""
    bench = bench_of(cancelling(size=seed, copies=24))
    found = sample(bench, references(bench.claim, None, 0), 3, seed)
    told = attack(bench, found, 3, seed).share.value
    odd = found.columns[1::2, :3]
    assert told is not None
    assert told <= ratio(odd.mean(0)[None])[0] + 1e-12
