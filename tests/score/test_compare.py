"""Rival claims side by side: who is better where that is known, what refines what, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import (
    ERROR,
    SUM,
    bench_of,
    both,
    claim_of,
    graph,
    resolved,
    rows_of,
    sum_claim,
    sum_rows,
    tiny_transformer,
    token_claim,
    token_rows,
)
from scrub import Hypothesis, Metric, embed, heads, logits, nodes
from scrub.claims.collect import collect
from scrub.score.compare import Rival, adjusted, difference
from scrub.score.comparison import A_BETTER, B_BETTER, CANNOT_TELL, Comparison, Difference, distinct, labels
from scrub.score.paired import holm
from scrub.score.refine import refines
from scrub.score.sample import Samples
from scrub.score.statistics import UNDEFINED, Interval

HYPOTHESES = Path(__file__).parents[2] / "hypotheses"


def only_x(**options: Any) -> Hypothesis:
    return sum_claim(**options)


def parity(**options: Any) -> Hypothesis:
    """Only whether x is odd, and the whole of y."""
    story = {"odd": lambda x: x % 2, "answer": lambda odd, y: 10 * odd + y}
    sites = {"odd": "x", "y": "y", "answer": nodes("out").reads(x="odd", y="y")}
    return claim_of(SUM, story, sites, sum_rows(), **{"metric": ERROR, **options})


def pair(c: Comparison, of: int = 0) -> Difference:
    return c.differences[of]


def test_the_true_claim_beats_one_that_leaves_something_out() -> None:
    c = scrub.compare(both(), only_x())
    found = pair(c)
    true, partial = c.hypotheses
    assert (found.verdict, found.random) == (A_BETTER, "shared")
    assert true.recovered.value == pytest.approx(1)
    assert found.share.value == pytest.approx(1 - partial.recovered.value)
    assert found.share.low > 0
    assert found.p <= 2 / 2**12  # every row speaks for the true claim
    assert found.share.value == pytest.approx(
        (partial.scrubbed - true.scrubbed) / (true.random - c.model)
    )  # fmt: skip
    assert (true.variables, true.edges, partial.variables, partial.edges) == (2, 2, 1, 1)
    assert true.bits.kept == pytest.approx(np.log2(12))
    assert partial.bits.kept == pytest.approx(np.log2(3))


def test_the_order_of_two_claims_turns_the_sign() -> None:
    first, second = pair(scrub.compare(both(), only_x())), pair(scrub.compare(only_x(), both()))
    assert second.verdict == B_BETTER
    assert second.share.value == pytest.approx(-first.share.value)
    assert second.share.low == pytest.approx(-first.share.high)
    assert second.p == first.p
    assert second.t == pytest.approx(-first.t)


def test_each_claim_has_the_numbers_of_its_own_test() -> None:
    c = scrub.compare(both(), only_x(), rows=11, draws=5, seed=3)
    for h, claim in zip(c.hypotheses, (both(), only_x()), strict=True):
        alone = scrub.test(claim, rows=11, draws=5, seed=3)
        assert h.recovered == alone.recovered
        assert h.story == alone.story
        assert h.explained.value == pytest.approx(alone.unexplained.explained)
        assert (h.digest, h.bits, h.expect) == (alone.digest, alone.bits, 0.8)
        assert h.random == alone.metric.random
    assert (c.rows, c.draws, c.seed) == (11, 5, 3)


VECTOR = graph(out=lambda x, y: [6.0 * (x == i) + 2.0 * (y == i) for i in range(3)])
VECTOR_ROWS = rows_of({"x": x, "y": y, "label": x, "other": (x + 1) % 3} for x in range(3) for y in range(4))


@pytest.mark.parametrize(
    "metric", ["loss(label)", "logit_diff(label, other)", "prob_diff(label, other)", "accuracy(label)", "kl"]
)
def test_better_is_better_under_every_metric(metric: str) -> None:
    def reading(name: str) -> Hypothesis:
        sites = {name: name, "answer": nodes("out").reads(**{name: name})}
        return claim_of(VECTOR, {"answer": named[name]}, sites, VECTOR_ROWS, metric=metric)

    named: dict[str, Callable[..., Any]] = {"x": lambda x: x, "y": lambda y: y}
    found = pair(scrub.compare(reading("y"), reading("x"), draws=40))
    assert found.verdict == B_BETTER
    assert found.share.value < -0.5


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_the_row_that_decides_favours_who_is_right_there(better: str) -> None:
    sign = 1 if better == "lower" else -1
    metric = Metric(lambda output, row: sign * abs(output - row.columns["label"]), better=better, name="m")
    c = scrub.compare(both(metric=metric), only_x(metric=metric))
    assert pair(c).verdict == A_BETTER
    assert len(c.deciding) == 5
    assert {row.favours for row in c.deciding} == {c.hypotheses[0].hypothesis}
    lost = [abs(row.metric_a - row.metric_b) for row in c.deciding]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] == pytest.approx(np.max(np.abs(c.frame()["claim scrubbed"] - c.frame()["claim (2) scrubbed"])))
    first = c.deciding[0]
    assert first.text == "  ".join(f"{k}={v!r}" for k, v in sum_rows().rows[first.row].columns.items())


def test_a_claim_against_itself() -> None:
    c = scrub.compare(only_x(), only_x())
    found = pair(c)
    assert (found.verdict, found.p, found.adjusted, found.t) == (CANNOT_TELL, 1.0, 1.0, None)
    assert found.share == Interval(0.0, 0.0, 0.0)
    a, b = (h.hypothesis for h in c.hypotheses)
    assert b == f"{a} (2)"
    assert {(r.finer, r.coarser) for r in c.refines} == {(a, b), (b, a)}
    assert c.structural == ()
    assert c.deciding == ()


def test_nine_rows_cannot_tell() -> None:
    compared = scrub.compare(both(), only_x(), rows=9)
    found = pair(compared)
    assert found.share == UNDEFINED
    assert found.verdict == CANNOT_TELL
    assert (found.p, found.adjusted) == (None, None)  # no difference, no test of it
    assert "undefined   -  cannot tell" in str(compared)
    assert "too few" in found.reason


def test_nothing_to_recover_cannot_tell() -> None:
    away = Metric(lambda output, row: -abs(output - row.columns["label"]), better="lower", name="away")
    found = pair(scrub.compare(both(metric=away), only_x(metric=away)))
    assert found.share == UNDEFINED
    assert found.verdict == CANNOT_TELL
    assert "nothing to recover" in found.reason


def test_three_claims_are_corrected_for_three_pairs() -> None:
    c = scrub.compare(both(), only_x(), parity())
    assert [(d.a, d.b) for d in c.differences] == [
        (c.hypotheses[i].hypothesis, c.hypotheses[j].hypothesis) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert [d.adjusted for d in c.differences] == list(holm([d.p for d in c.differences]))
    assert max(d.adjusted / d.p for d in c.differences) == pytest.approx(3)
    assert [d.verdict for d in c.differences[:2]] == [A_BETTER, A_BETTER]


def test_a_difference_that_does_not_survive_the_correction_is_none() -> None:
    one = Difference("a", "b", Interval(0.2, 0.1, 0.3), 2.0, 0.03, 0.03, CANNOT_TELL, "", "shared")
    assert adjusted([one])[0].verdict == A_BETTER
    several = adjusted([one, evolve(one, p=0.9), evolve(one, p=0.04)])
    assert [d.verdict for d in several] == [CANNOT_TELL] * 3
    below = evolve(one, share=Interval(-0.2, -0.3, -0.1))
    assert adjusted([below])[0].verdict == B_BETTER
    assert adjusted([evolve(one, share=Interval(0.2, -0.01, 0.3))])[0].verdict == CANNOT_TELL


def test_claims_with_rests_of_their_own_share_no_random() -> None:
    c = scrub.compare(only_x(), only_x(rest="zero"), only_x(rest="keep"))
    assert [d.random for d in c.differences] == ["mean of both", "shared", "mean of both"]
    first, second = c.hypotheses[:2]
    scale = (first.random + second.random) / 2 - c.model
    assert first.random != second.random
    assert pair(c).share.value == pytest.approx((second.scrubbed - first.scrubbed) / scale)
    assert "mean of both" in c.options["random"]
    assert scrub.compare(both(), only_x()).options == {}


def test_rows_of_another_order_are_the_same_rows() -> None:
    turned = scrub.Dataset((*sum_rows().rows[1:], sum_rows().rows[0]))
    assert pair(scrub.compare(both(), sum_claim(turned))).share == pair(scrub.compare(both(), only_x())).share
    assert refines(resolved(only_x()), resolved(sum_claim(turned)))


# --- share against bits


def test_controls_stand_among_the_claims() -> None:
    c = scrub.compare(both(), only_x())
    points = {p.hypothesis: p for p in c.pareto}
    true, partial = (points[h.hypothesis] for h in c.hypotheses)
    everything = points["keep everything"]
    assert (everything.bits, everything.recovered, everything.kind) == (np.log2(12), 1.0, "control")
    assert (points["keep nothing"].bits, points["keep nothing"].recovered) == (0.0, 0.0)
    assert points["best constant"].recovered == pytest.approx(scrub.test(both()).constant)
    assert true.dominated_by is None
    assert partial.dominated_by is None  # fewer bits
    assert everything.dominated_by is None  # as many bits as the true claim, and as much
    assert points["keep nothing"].dominated_by == "best constant"


def test_a_claim_that_keeps_more_and_recovers_less_is_dominated() -> None:
    c = scrub.compare(only_x(), parity())
    x, odd = (next(p for p in c.pareto if p.hypothesis == h.hypothesis) for h in c.hypotheses)
    assert odd.bits > x.bits
    assert odd.recovered < x.recovered
    assert odd.dominated_by == x.hypothesis
    assert x.dominated_by is None


# --- refinement and structure


def test_refinement_takes_sites_and_values() -> None:
    full, x, odd = resolved(both()), resolved(only_x()), resolved(parity())
    assert refines(full, x)  # x at the same place, and y besides
    assert not refines(x, full)  # y has no site
    assert refines(full, odd)  # x decides whether x is odd
    assert not refines(odd, full)  # values at x are coarser
    assert not refines(odd, x)
    story = {"never": lambda y: y > 9, "answer": lambda x, never: x}
    sites = {"x": "x", "never": "y", "answer": nodes("out").reads(x="x", y="never")}
    constant = resolved(claim_of(SUM, story, sites, sum_rows(), metric=ERROR))
    assert not refines(x, constant)  # all rows agree on it, but x has no such site
    assert refines(full, constant)
    assert not refines(x, odd)


def test_of_claims_with_the_same_sites_and_values_that_with_more_edges_refines_the_other() -> None:
    """`keys` reads s2 through k as well, which `keep` reads through v alone."""
    [keys] = collect([f"{HYPOTHESES / 'names.py'}::names"]).hypotheses
    fewer = heads("1.2 1.3", at="END").reads(q="gathered", k="io s1", v="io s1 s2")
    other = heads("1.2 1.3", at="END").reads(q="gathered", k="io s1 s2", v="io s1")
    keep, values = resolved(keys.but(name=fewer)), resolved(keys.but(name=other))
    assert refines(resolved(keys), keep)
    assert not refines(keep, resolved(keys))
    assert not refines(keep, values)
    assert not refines(values, keep)
    apart = [heads(h, at="END").reads(q="gathered", k="io s1 s2", v="io s1 s2") for h in ("1.2", "1.3")]
    halves = keys.but(name=apart)
    assert refines(resolved(keys), resolved(halves))
    assert refines(resolved(halves), resolved(keys))


def test_strata_and_the_answer_count_as_they_are_scrubbed() -> None:
    within = resolved(only_x(within="y"))
    assert refines(within, resolved(only_x()))  # rows agree on y as well
    assert not refines(resolved(only_x()), within)
    other = claim_of(
        SUM, {"answer": lambda x: -x}, {"x": "x", "answer": nodes("out").reads(x="x")}, sum_rows(), metric=ERROR
    )
    assert refines(resolved(only_x()), resolved(other))  # the answer is not swapped
    assert refines(resolved(other), resolved(only_x()))


def test_structure_one_fact_a_line() -> None:
    c = scrub.compare(both(), parity(rest="keep"), only_x())
    told = [fact.fact for fact in c.structural if fact.a == c.hypotheses[0].hypothesis]
    assert told == [
        "values at x: finer in claim (3 classes in claim, 2 in claim (2))",
        "option rest: the default in claim, keep in claim (2)",
        "the stories answer differently on 4 of 12 rows",
        "site only in claim: y",
        "edge only in claim: out [y] <- y",
        "the stories answer differently on 9 of 12 rows",
    ]


def test_known_answers_of_the_compiled_models() -> None:
    for name, size in (("compose", 3), ("either", 3)):
        claims = collect([HYPOTHESES / f"{name}.py"]).hypotheses
        c = scrub.compare(*claims, rows=32, draws=2)
        true = c.hypotheses[0].hypothesis
        assert len(c.hypotheses) == size
        assert [d.verdict for d in c.differences if d.a == true] == [A_BETTER] * (size - 1)
        assert {r.coarser for r in c.refines if r.finer == true} == {h.hypothesis for h in c.hypotheses[1:]}
        assert not [r for r in c.refines if r.coarser == true]
        verdicts = [h.verdict for h in c.hypotheses]
        assert verdicts == ["supported", *["refuted"] * (size - 1)]
        assert [h.foil is None for h in c.hypotheses] == [True, *[False] * (size - 1)]
    assert "[ASK]" in c.deciding[0].text


def test_one_place_under_two_names_is_one_place() -> None:
    data, model = token_rows(), tiny_transformer()
    first = token_claim(model, data, metric="loss(label)")
    c = scrub.compare(first, first.but(answer=logits(-1)), draws=2)
    assert pair(c).t is None  # no row differs by more than rounding
    assert "answer read at logits @ END in claim, at logits @ -1 in claim.but(answer)" in [
        f.fact for f in c.structural
    ]
    at_end, at_last, everywhere = (
        resolved(h) for h in (first, first.but(label=embed(-1)), first.but(label=embed("all")))
    )
    assert refines(at_end, at_last)
    assert refines(at_last, at_end)
    assert refines(everywhere, at_end)
    assert not refines(at_end, everywhere)


def test_names_are_told_apart() -> None:
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]
    assert labels(["d/f.py::a", "d/f.py::b"]) == {"d/f.py::a": "a", "d/f.py::b": "b"}
    assert labels(["d/f.py::a", "d/g.py::a"]) == {"d/f.py::a": "f.py::a", "d/g.py::a": "g.py::a"}
    assert labels(["d/f.py::a", "e/f.py::a", "e/f.py::c"]) == {
        "d/f.py::a": "d/f.py::a", "e/f.py::a": "e/f.py::a", "e/f.py::c": "c",
    }  # fmt: skip


# --- the paired difference


def rivals(rng: np.random.Generator, rows: int, draws: int) -> tuple[Rival, Rival]:
    """Two claims on rows of different difficulty; in the mean a recovers 0.75 and b 0.6."""
    bench = bench_of(only_x())
    hard = rng.gamma(2, 0.5, rows)
    model = rng.normal(0, 1, rows)

    def table(share: float, shape: float) -> np.ndarray:
        per_row = hard * rng.gamma(shape, share / shape, rows)
        return model[:, None] + per_row[:, None] * rng.gamma(2, 0.5, (rows, draws))

    random = table(4.0, 4.0)
    a, b = (
        Samples(np.arange(rows), model, t, random, np.abs(t - model[:, None]), np.abs(random - model[:, None]))
        for t in (table(1.0, 2.0), table(1.6, 2.0))
    )
    return Rival("a", bench, a), Rival("b", bench, b)


@pytest.mark.slow
def test_the_paired_interval_covers() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for seed in range(400):
        share = difference(*rivals(rng, 100, 4), seed).share
        inside += share.low <= 0.15 <= share.high
    assert 0.91 <= inside / 400 <= 0.98


def test_the_paired_difference_of_simulated_rows() -> None:
    a, b = rivals(np.random.default_rng(0), 4000, 4)
    found = adjusted([difference(a, b, 0)])[0]
    assert found.share.value == pytest.approx(0.15, abs=0.02)
    assert found.share.low <= 0.15 <= found.share.high
    assert found.verdict == A_BETTER


def test_differences_that_are_rounding_are_none() -> None:
    a, b = rivals(np.random.default_rng(0), 40, 4)
    rounded = evolve(a.samples, scrubbed=a.samples.scrubbed + 1e-6)
    found = adjusted([difference(a, Rival("c", b.bench, rounded), 0)])[0]
    assert (found.p, found.verdict) == (1.0, CANNOT_TELL)
