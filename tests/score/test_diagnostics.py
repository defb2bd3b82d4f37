"""What the draws were like, counted by hand on small graphs and in expectation over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import scrub
from score.cases import (
    ERROR,
    SUM,
    bench_of,
    claim_of,
    graph,
    resolved,
    rows_of,
    sum_claim,
    sum_rows,
    tiny_transformer,
)
from scrub import Dataset, Hypothesis, embed, heads, logits, nodes
from scrub.engine.draw import Calls, Draws
from scrub.engine.unroll import unroll
from scrub.score.diagnostics import Swaps, Tally, same_inputs, without_rest


def exactly(hypothesis: Hypothesis) -> dict[str, Swaps]:
    return {swaps.variable: swaps for swaps in scrub.test(hypothesis, exact=True).swaps}


def sampled(hypothesis: Hypothesis, draws: int = 400) -> dict[str, Swaps]:
    return {s.variable: s for s in scrub.test(hypothesis, draws=draws, explain=False).swaps}


UNEVEN = rows_of({"x": x, "y": i, "label": x} for i, x in enumerate([0, 0, 0, 0, 1, 1, 1, 2, 2, 3]))


def test_class_sizes_and_rows_without_a_partner() -> None:
    swaps = exactly(sum_claim(UNEVEN))["x"]
    assert (swaps.class_min, swaps.class_median, swaps.class_max, swaps.alone) == (1, 3, 4, 1)


def test_self_swaps_are_one_in_the_class() -> None:
    """4 rows 1/4, 3 rows 1/3, 2 rows 1/2, one row 1: one a class, 4 of 10 in all."""
    assert exactly(sum_claim(UNEVEN))["x"].self_swaps == pytest.approx(0.4)
    assert sampled(sum_claim(UNEVEN))["x"].self_swaps == pytest.approx(0.4, abs=0.03)


def test_a_leaf_is_idle_when_the_inputs_upstream_are_the_same() -> None:
    """x alone is upstream of x: every donor is idle. For x < 2, claimed at x, 0 and 1 are different inputs."""
    assert exactly(sum_claim(UNEVEN))["x"].idle == 1
    coarse = claim_of(
        SUM, {"small": lambda x: x < 2, "answer": lambda small: small},
        {"small": "x", "answer": nodes("out").reads(x="small")}, UNEVEN, metric=ERROR,
    )  # fmt: skip
    # seven rows: 4/7 of donors have x = 0 for 4 rows, 3/7 have x = 1 for 3; three rows: 2/3 for 2, 1/3 for 1
    expected = (4 * 4 / 7 + 3 * 3 / 7 + 2 * 2 / 3 + 1 * 1 / 3) / 10
    assert exactly(coarse)["small"].idle == pytest.approx(expected)
    assert exactly(coarse)["small"].self_swaps == pytest.approx(2 / 10)
    assert sampled(coarse)["small"].idle == pytest.approx(expected, abs=0.03)


CHAIN = graph(h=lambda x, y: x + y, out=lambda h, z: 10 * h + z)
CHAIN_ROWS = rows_of({"x": x, "y": y, "z": z, "label": 0} for x in range(2) for y in range(2) for z in range(4))


def chain(**options: Any) -> Hypothesis:
    return claim_of(
        CHAIN, {"even": lambda x, y: (x + y) % 2 == 0, "answer": lambda even: even},
        {"x": "x", "y": "y", "even": nodes("h").reads(x="x", y="y"), "answer": nodes("out").reads(h="even")},
        CHAIN_ROWS, **options,
    )  # fmt: skip


def test_an_inner_variable_is_idle_when_its_parents_have_the_same_values() -> None:
    """even: classes of 8 rows; 4 of them have the caller's own x and y, whatever their z."""
    swaps = exactly(chain())
    assert swaps["even"].self_swaps == pytest.approx(1 / 8)
    assert swaps["even"].idle == pytest.approx(1 / 2)
    assert swaps["x"].idle == 1
    assert swaps["x"].self_swaps == pytest.approx(1 / 8)


def test_with_a_kept_rest_the_frame_must_be_the_same_too() -> None:
    """h is computed on the donor: of 4 rows with the caller's x and y all have the same inputs of h."""
    assert exactly(chain(rest="keep"))["even"].idle == pytest.approx(1 / 2)
    only_x = claim_of(
        CHAIN, {"any": lambda x: 1, "answer": lambda any: any},
        {"any": nodes("h").reads(x="x"), "x": "x", "answer": nodes("out").reads(h="any")}, CHAIN_ROWS,
    )  # fmt: skip
    assert exactly(only_x)["any"].idle == pytest.approx(1 / 2)  # y is drawn apart from the donor
    assert exactly(only_x.but(rest="keep"))["any"].idle == pytest.approx(1 / 4)  # y is the donor's
    paired = rows_of(row.columns | {"mate": 0} for row in CHAIN_ROWS.rows)  # one partner for all
    assert exactly(only_x.but(rest="paired", pair="mate", data=paired))["any"].idle == pytest.approx(1 / 2)


def test_with_a_mean_or_zero_rest_the_places_are_those_of_the_donor() -> None:
    """Two heads read the same label on rows of two lengths: the same frame, at other places."""
    rows = [{"tokens": [7] * (i % 2) + [i // 2 % 2], "positions": {"END": -1}, "columns": {"label": i // 2 % 2}}
            for i in range(8)]  # fmt: skip
    story = {"copy": lambda label: 1, "answer": lambda copy: copy}
    sites = {"label": embed("END"), "copy": heads("0.0", at="END").reads(v="label"), "answer": logits("END")}

    def idle(**options: Any) -> int:
        claim = resolved(claim_of(tiny_transformer(), story, sites, Dataset.from_rows(rows), metric="kl", **options))
        return len(set(same_inputs(claim, unroll(claim).children[0]).tolist()))

    assert idle() == 2
    assert idle(rest="zero") == 4


def test_donors_are_distinct_rows() -> None:
    data = rows_of({"x": x, "y": 0, "label": x, "scored": i < 4} for i, x in enumerate([0, 0, 1, 1, 0, 1, 2, 2]))
    claim = sum_claim(data, scored="scored")
    assert exactly(claim)["x"].donors == 6  # of 2 no row is asked for
    assert sampled(claim, 50)["x"].donors == 6
    assert sampled(claim, 1)["x"].donors <= 4


def test_rates_are_over_all_occurrences_of_a_variable() -> None:
    """x is read twice: by the answer on the reference rows, and by mid on its donors."""
    model = graph(h=lambda x: x, out=lambda h, x, y: h + 10 * x + y)
    data = rows_of({"x": int(i == 0), "y": i, "label": 0, "scored": i == 0} for i in range(5))
    claim = claim_of(
        model, {"mid": lambda x: 0, "answer": lambda mid, x: x},
        {"x": "x", "mid": nodes("h").reads(x="x"), "answer": nodes("out").reads(h="mid", x="x")},
        data, scored="scored",
    )  # fmt: skip
    # the answer calls for row 0, alone; mid's donors are all five rows: row 0 alone, four with classes of 4
    expected = (1 + (1 * 1 + 4 * 1 / 4) / 5) / 2
    assert exactly(claim)["x"].self_swaps == pytest.approx(expected)
    assert exactly(claim)["mid"].self_swaps == pytest.approx(1 / 5)
    assert sampled(claim, 2000)["x"].self_swaps == pytest.approx(expected, abs=0.03)


def test_together_the_donor_agrees_on_both() -> None:
    claim = claim_of(
        SUM, {"answer": lambda x, y: 10 * x + y}, {"x": "x", "y": "y", "answer": nodes("out").reads(x="x", y="y")},
        sum_rows(), metric=ERROR,
    )  # fmt: skip
    apart, joint = exactly(claim), exactly(claim.but(together=[("x", "y")]))
    assert (apart["x"].self_swaps, apart["y"].self_swaps) == (pytest.approx(1 / 4), pytest.approx(1 / 3))
    assert (joint["x"].self_swaps, joint["y"].self_swaps) == (1, 1)


def test_strata_cut_classes() -> None:
    swaps = exactly(sum_claim(within="y"))["x"]
    assert (swaps.class_max, swaps.alone, swaps.self_swaps) == (1, 12, 1)


def test_calls_that_find_no_rest_row_are_counted_and_no_others() -> None:
    """Rest rows are those of y = 0, in a stratum of their own: the other nine rows are their own rest."""
    data = rows_of(row.columns | {"free": row.columns["y"] == 0} for row in sum_rows().rows)
    claim = sum_claim(data, rest_rows="free", within="y", empty="self")
    assert scrub.test(claim, draws=4).own_rest == 9 * 4
    assert scrub.test(claim, exact=True).own_rest == 9
    # the row that is drawn may well be the calling row: that is no want of rest rows
    assert scrub.test(sum_claim(empty="self"), draws=4).own_rest == 0


def test_rows_without_a_partner_are_counted_at_every_occurrence() -> None:
    """mid's donors are all rows: three in four have no mate, and the reference, scored alone, has one."""
    data = rows_of({"x": i, "y": i, "z": i, "mate": 0 if i == 0 else None, "label": 0, "s": i == 0} for i in range(4))
    claim = claim_of(
        CHAIN, {"mid": lambda x: 0, "answer": lambda mid: mid},
        {"x": "x", "mid": nodes("h").reads(x="x"), "answer": nodes("out").reads(h="mid")}, data,
        rest="paired", pair="mate", empty="self", scored="s",
    )  # fmt: skip
    assert scrub.test(claim, exact=True).own_rest == pytest.approx(3 / 4)
    assert scrub.test(claim, draws=400).own_rest == pytest.approx(300, rel=0.15)


def test_what_has_no_rest_row() -> None:
    bench = bench_of(sum_claim())
    assert not without_rest(bench.claim).any()
    assert not without_rest(bench_of(sum_claim(rest="keep")).claim).any()


def test_chunks_add_up() -> None:
    bench = bench_of(chain())
    whole, parts = Tally(bench.claim, bench.tree), Tally(bench.claim, bench.tree)
    draws, rows, numbers = Draws(bench.claim, 0), np.repeat(np.arange(16), 3), np.tile(np.arange(3), 16)
    whole.add(draws.tree(bench.tree, Calls(rows, numbers)))
    for i in range(0, 48, 7):
        parts.add(draws.tree(bench.tree, Calls(rows[i : i + 7], numbers[i : i + 7])))
    assert whole.swaps() == parts.swaps()
