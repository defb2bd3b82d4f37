"""Controls: shuffled values keep classes and relations, and what they do to a verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import ERROR, bench_of, claim_of, graph, missing_edge, resolved, rows_of, sum_claim, sum_rows
from scrub import Hypothesis, Metric, nodes, recovers
from scrub.claims.collect import collect
from scrub.claims.dataset import Row
from scrub.engine.draw import Calls, Draws
from scrub.errors import ClaimError
from scrub.score.controls import ShuffledDraws, permutation, shuffled
from scrub.score.elsewhere import moved

ALL = np.arange(12)


def controls_of(hypothesis: Hypothesis, **options: object) -> dict[str, dict[str, object]]:
    result = scrub.test(hypothesis, explain=False, **options)
    return {found["name"]: found for found in result.to_dict()["controls"]}


def test_a_permutation_stays_within_strata_and_keeps_the_sizes_of_classes() -> None:
    claim = bench_of(sum_claim(within="y")).claim
    source = permutation(claim, 0, 3)
    assert sorted(source) == list(range(12))
    assert (claim.stratum[source] == claim.stratum).all()
    assert source.tolist() != list(range(12))
    assert source.tolist() != permutation(claim, 0, 4).tolist()
    assert source.tolist() != permutation(claim, 1, 3).tolist()


def test_a_permutation_does_not_depend_on_the_order_of_rows() -> None:
    there, back = sum_rows(), rows_of(row.columns for row in reversed(sum_rows().rows))
    first, second = (permutation(bench_of(sum_claim(data)).claim, 0, 0) for data in (there, back))
    assert (11 - second[::-1]).tolist() == first.tolist()


def test_draws_are_those_of_the_claim_with_other_values() -> None:
    """The claim made anew with every value moved is the same, and slower."""
    bench = bench_of(missing_edge())
    calls = Calls(np.arange(16), np.full(16, 2))
    source = permutation(bench.claim, 5, 2)
    moved = {name: tuple(values[i] for i in source) for name, values in bench.claim.values.items()}
    by_hand = Draws(evolve(bench.claim, values=moved), 5).tree(bench.tree, calls)
    drawn = ShuffledDraws(bench.claim, 5, source=source).tree(bench.tree, calls)
    plain = Draws(bench.claim, 5).tree(bench.tree, calls)
    assert all((drawn[path].own == by_hand[path].own).all() for path in plain)
    assert all((drawn[path].rest == by_hand[path].rest).all() for path in plain)
    assert any((drawn[path].own != plain[path].own).any() for path in plain)
    root = bench.tree.path
    assert (drawn[root].rest == plain[root].rest).all()  # rests are paired with those of the claim


def test_the_table_has_one_draw_of_every_row_for_each_permutation() -> None:
    bench = bench_of(sum_claim())
    table = shuffled(bench, ALL[::-1], seed=3, number=4)
    for k in range(4):
        draws = ShuffledDraws(bench.claim, 3, source=permutation(bench.claim, 3, k))
        calls = Calls(ALL[::-1], np.full(12, k))
        assert table[:, k].tolist() == bench.scrubbed(calls, draws.tree(bench.tree, calls)).tolist()


def test_controls_by_definition() -> None:
    result = scrub.test(sum_claim(), draws=5, explain=False)
    found = {c["name"]: c for c in result.to_dict()["controls"]}
    assert list(found) == ["keep everything", "replace everything", "constant", "shuffled values", "apart"]
    keep, replace = found["keep everything"], found["replace everything"]
    assert (keep["value"], keep["low"], keep["high"], keep["bits"]) == (1, 1, 1, pytest.approx(np.log2(12)))
    assert (replace["value"], replace["bits"]) == (0, 0)
    assert found["constant"]["value"] == result.constant


def test_shuffled_values_recover_nothing_where_one_value_is_all_there_is() -> None:
    """x is read from a row whose shuffled x agrees: a random x. Then all of 10 x + y is random."""
    found = controls_of(sum_claim(), draws=5)["shuffled values"]
    assert found["value"] == pytest.approx(0, abs=0.3)
    assert scrub.test(sum_claim(), draws=5, explain=False).verdict == "supported"


IDENTITY = graph(h=lambda x: 3 * x, out=lambda h, w: h + w)


def over_fine() -> Hypothesis:
    """Every row has a value of its own, so that a donor is always the row itself; w, left out, is always 0."""
    return claim_of(
        IDENTITY, {"mid": lambda x: x, "answer": lambda mid: 3 * mid},
        {"x": "x", "mid": nodes("h").reads(x="x"), "answer": nodes("out").reads(h="mid")},
        rows_of({"x": x, "w": 0, "label": 3 * x} for x in range(16)), metric=ERROR,
    )  # fmt: skip


def test_an_over_fine_claim_keeps_everything_and_tests_paths() -> None:
    result = scrub.test(over_fine(), draws=3, explain=False)
    assert result.bits.kept == result.bits.everything == 4
    assert result.recovered.value == pytest.approx(1)
    assert result.verdict == "supported"
    assert "tests paths, not values" in result.reason


def flat() -> Hypothesis:
    """What is claimed at h is noise, but every row has the same h: the claim recovers all, with any values."""
    return claim_of(
        graph(h=lambda noise: 0 * noise, out=lambda h, y: h + 10 * y),
        {"mid": lambda noise: noise, "answer": lambda mid, y: 10 * y},
        {"mid": nodes("h"), "answer": nodes("out").reads(h="mid")},
        rows_of({"noise": i % 4, "y": (i // 4) % 3, "label": 10 * ((i // 4) % 3)} for i in range(24)),
        metric=ERROR, rest="keep",
    )  # fmt: skip


def test_shuffled_noise_becomes_inconclusive() -> None:
    plain = scrub.test(flat(), draws=5, explain=False, controls="none", parts="none")
    assert (plain.verdict, plain.recovered.value) == ("supported", pytest.approx(1))
    assert plain.options["controls"] == "none"
    result = scrub.test(flat(), draws=5, explain=False, parts="none")
    assert result.verdict == "inconclusive"
    assert result.reason.startswith("values do not matter: ")
    assert not result.passed
    assert result.recovered == plain.recovered
    assert result.controls[-1].value == pytest.approx(1)


def test_a_path_claim_is_exempt() -> None:
    """Classes of one row each: shuffles change nothing that could be told, and the verdict stays."""
    paths = flat().but(data=rows_of({"noise": i, "y": i % 3, "label": 10 * (i % 3)} for i in range(30)))
    result = scrub.test(paths, draws=5, explain=False, parts="none")
    assert result.verdict == "supported"
    assert "tests paths, not values" in result.reason


def nothing_matters() -> Hypothesis:
    """All of the answer is one variable, which has no parents among the claimed: there are no donors."""
    return claim_of(IDENTITY, {"answer": lambda x: 3 * x}, {"answer": nodes("out")},
                    rows_of({"x": x, "w": 0, "label": 3 * x} for x in range(16)), metric=ERROR)  # fmt: skip


@pytest.mark.parametrize("controls", ["shuffled", "none"])
def test_a_claim_without_donors_swaps_no_values(controls: str) -> None:
    result = scrub.test(nothing_matters(), draws=3, explain=False, controls=controls)
    assert result.verdict == "refuted"
    assert result.reason.endswith("; it swaps no values: there is nothing to shuffle.")
    assert "most donors" not in result.reason
    if controls == "shuffled":
        assert (result.controls[-1].value, result.controls[-1].note) == (None, "the claim swaps no values")


def test_a_control_that_cannot_be_run_breaks_no_test() -> None:
    """The model takes only equal inputs, which the claim's own donors are; the rest stays where it is."""

    def known(a: int, b: int) -> int:
        if a != b:
            raise ValueError("never met")
        return 10 * a

    claim = claim_of(
        graph(a=lambda x: x, b=lambda x: x, out=lambda a, b: known(a, b)),
        {"left": lambda x: x, "answer": lambda left: 10 * left},
        {"left": nodes("a"), "answer": nodes("out").reads(a="left")},
        rows_of({"x": i % 3, "label": 10 * (i % 3)} for i in range(12)), metric=ERROR, rest="keep",
    )  # fmt: skip
    result = scrub.test(claim, draws=5, explain=False)
    assert (result.verdict, result.recovered.value) == ("supported", 1)
    assert result.controls[-1].value is None
    assert "never met" in result.controls[-1].note


def test_unknown_controls_are_refused() -> None:
    with pytest.raises(ClaimError, match="Did you mean 'none'"):
        scrub.test(sum_claim(), controls="non")


def test_undefined_has_no_controls() -> None:
    result = scrub.test(sum_claim(), rows=9, draws=2)
    assert result.verdict == "undefined"
    assert {control.value for control in result.controls} == {None}


GALLERY = Path(__file__).parents[2] / "hypotheses"


def test_random_sites_are_unclaimed_heads_of_the_same_layers_and_recover_little() -> None:
    (induction,) = collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses
    made = resolved(induction)
    places = [moved(induction, made, 0, number).correspondence() for number in range(5)]
    for place in places:
        assert place["before"].components[0].layer == 0
        assert place["before"].components[0].unit != 3
        assert place["before"].at == made.placement.placed["before"].sites[0].site.at
        assert {(c.layer, c.unit) for c in place["found"].components} == {(1, 1), (1, 3)}  # 1.0 and 1.2 are claimed
    assert len({place["before"].components for place in places}) > 1
    result = scrub.test(induction, rows=40, draws=4, controls="all", explain=False)
    last = result.controls[-2]
    assert last.name == "random sites"
    assert last.high is not None
    assert result.recovered.low is not None
    assert last.high < 0.5 < result.recovered.low
    assert result.options["controls"] == "all"


def test_random_sites_where_there_are_none() -> None:
    last = scrub.test(sum_claim(), draws=2, controls="all", explain=False).controls[-2]
    assert (last.name, last.value) == ("random sites", None)
    assert last.note == "the claim names no heads that could be moved."


def test_beyond_shuffled_values_is_paired_by_row() -> None:
    """On easy rows, whose z is kept, both recover everything; on hard ones the claim 0.4 and the shuffles nothing.

    How many of the rows are easy moves both shares by more than sets them apart, and their difference by little.
    """

    def lost(output: tuple[int, int], row: Row) -> float:
        z, x = output
        return float(z != row.columns["z"] if row.columns["easy"] else x != row.columns["x"])

    claimed = claim_of(
        graph(h=lambda x: x, out=lambda z, h: (z, h)), {"u": lambda x: x // 2, "answer": lambda u, z, x: (z, x)},
        {"u": nodes("h"), "answer": nodes("out").reads(h="u")},
        rows_of({"z": i, "x": i // 2 % 6, "easy": i % 2 == 0, "label": 0} for i in range(36)),
        metric=Metric(lost, better="lower", name="lost"), rest="keep", expect=recovers(0.4),
    )  # fmt: skip
    result = scrub.test(claimed, explain=False, parts="none")
    control = next(found for found in result.controls if found.name == "shuffled values")
    assert result.recovered.low is not None
    assert control.high is not None
    assert control.high > result.recovered.low  # not told apart by themselves
    assert result.verdict == "supported"
