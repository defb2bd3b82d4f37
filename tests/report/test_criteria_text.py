"""The three criteria in words: every convention by its formula, every set, part and test in a line of its own."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from report.test_notebook import Reader
from scrub.circuit.completeness import Completeness, Gap
from scrub.circuit.criteria import Criteria
from scrub.circuit.faithfulness import Faithfulness
from scrub.circuit.minimality import Needed
from scrub.circuit.significance import Finding
from scrub.report.criteria import criteria_html, criteria_text, headline, some_of
from scrub.score.statistics import UNDEFINED, Interval

FAITHFUL = Faithfulness(
    model=8.5, circuit=7.25, ablated=0.25, gap=1.25, ratio=0.853, normalized=Interval(0.848, 0.712, 0.894),
    mean_ratio=0.81, mean_normalized=-0.77, aue=1.7186, ate=8.6056, explained=0.8,
    beside={"kl": {"model": 0.0, "circuit": 0.00052}},
)  # fmt: skip
GAPS = Completeness(
    Gap(("embed @ IO", "0.1"), 1.2155, 7.8967, 9.1122),
    (0.1, 0.5),
    (Gap(("0.0", "0.1", "0.2", "0.3", "1.0"), 0.25, 0.5, 0.75, "gathered"),),
    30, 30,
)  # fmt: skip
PARTS = (
    Needed("embed @ IO", "IO", 7.98, (), 0.00002, 0.00006, 100),
    Needed("0.1", None, 0.0076, ("embed @ IO",), 0.4, 1.0, 100),
    Needed("mlp 0", "END", 0.5, ("0.1",), None, None, 0),
)
BEST = "the circuit is no better than most"
TESTS = (
    Finding(
        "better than random", BEST, "rejecting", 1.0, 0.015, 40, "random circuits", 0.67, "it nearly always wins"
    ),
    Finding("equivalent", "as often above", "not rejecting", 0.2667, 0.005, 60, "rows", 0.96, "on 80 %"),
)


@pytest.fixture
def result() -> Criteria:
    return Criteria(
        "claims.py::names", "digest", "logit_diff(io, s1)", "higher", "mean", "noising", "components",
        ("embed @ IO", "0.1", "mlp 0"), FAITHFUL, GAPS, PARTS, TESTS, 60, 1, 3, {"through": ["mlps"]}, {},
    )  # fmt: skip


def lines(result: Criteria, **changed: Any) -> list[str]:
    return criteria_text(evolve(result, **changed)).splitlines()


def test_criteria_as_they_read(result: Criteria) -> None:
    assert lines(result) == [
        "names  3 parts, mean ablation, noising: faithfulness 0.85 [0.71, 0.89] of (F(M) - F(0))",
        "    faithfulness: F is the mean of logit_diff(io, s1) (higher is better); M model, C circuit, 0 all ablated",
        "                                   of means  95% interval  mean over rows",
        "      F(M)                           8.5000",
        "      F(C)                           7.2500",
        "      F(0)                           0.2500",
        "      |F(M) - F(C)|                  1.2500                        1.7186",
        "      F(C)/F(M)                        0.85                          0.81",
        "      (F(C) - F(0))/(F(M) - F(0))      0.85  [0.71, 0.89]           -0.77",
        "      AUE 1.7186 of ATE 8.6056, explained 0.80 (row by row, errors cannot cancel)",
        "      kl: model 0.0000, circuit 5.2e-04",
        "",
        "    completeness: the gap |F(C \\ K) - F(M \\ K)| with K knocked out of circuit and model",
        "      K                       gap  F(C \\ K)  F(M \\ K)  parts",
        "      worst found          1.2155    7.8967    9.1122  embed @ IO, 0.1",
        "      2 random sets, mean  0.3000",
        "      2 random sets, max   0.5000",
        "      gathered             0.2500    0.5000    0.7500  0.0, 0.1, 0.2, 0.3 and 1 more",
        "      (searched on 30 rows; gaps of the worst and of random sets are those on the other 30)",
        "",
        "    minimality: the effect |F(C \\ (K + v)) - F(C \\ K)| of every part v in its context K",
        "      part   at          effect  context             p   adjusted  needed",
        "      embed  IO          7.9800  none          2.0e-05    6.0e-05  ✓",
        "      0.1    everywhere  0.0076  embed @ IO      0.400      1.000",
        "      mlp 0  END         0.5000  0.1         undefined  undefined",
        "      (null: the part matters more than at most 90 % of random parts; p adjusted by Holm for all parts)",
        "      shown to be needed: 1 of 3 parts; not shown, which does not say unneeded:",
        "        0.1, mlp 0",
        "",
        "    tests, rejecting where p <= 0.05, none adjusted; power is the chance of that if the alternative holds",
        "      test                statistic      p  n                   good if       rejected  power",
        "      better than random     1.0000  0.015  40 random circuits  rejected      yes ✓      0.67",
        "        null: the circuit is no better than most",
        "        alternative: it nearly always wins",
        "      equivalent             0.2667  0.005  60 rows             not rejected  yes ✗      0.96",
        "        null: as often above",
        "        alternative: on 80 %",
        "",
        "    sample   60 rows x 1 draw, seed 3; 95% interval over rows, given the pool",
        "    options  through=['mlps']",
    ]


def test_what_is_undefined_says_so_and_why(result: Criteria) -> None:
    faithful = evolve(FAITHFUL, normalized=UNDEFINED, ratio=None, mean_ratio=None, explained=None)
    shown = lines(result, faithfulness=faithful)
    assert shown[0].endswith("noising: faithfulness undefined")
    assert "      F(C)/F(M)                    undefined                     undefined" in shown
    assert any("explained undefined" in line for line in shown)
    assert any("undefined: ablating everything does not surely hurt" in line for line in shown)
    assert not any("95% interval over rows" in line for line in shown)
    few = lines(result, faithfulness=faithful, rows=9)
    assert any("undefined: an interval takes 10 rows, and there are 9" in line for line in few)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"good": "rejecting", "p": 0.05}, "yes ✓"),
        ({"good": "rejecting", "p": 0.051}, "no"),
        ({"good": "not rejecting", "p": 0.04}, "yes ✗"),
        ({"good": "not rejecting", "p": 0.2}, "no ✓"),
        ({"good": "not rejecting", "p": 0.2, "power": 0.0}, "no"),
        ({"p": None, "statistic": None, "power": None, "n": 0}, "undefined"),
    ],
)
def test_a_test_speaks_for_the_circuit_only_where_it_could_have_spoken_against(
    result: Criteria, changed: dict[str, Any], told: str
) -> None:
    finding = evolve(TESTS[0], **changed)
    (line,) = [text for text in lines(result, tests=(finding,)) if text.startswith("      better than random")]
    head = next(text for text in lines(result, tests=(finding,)) if text.startswith("      test "))
    assert line[head.index("rejected") :].split("  ")[0] == told


def test_tests_that_were_left_out(result: Criteria) -> None:
    assert "    tests: left out" in lines(result, tests=())


def test_a_worst_set_without_parts_is_explained(result: Criteria) -> None:
    shown = lines(result, completeness=evolve(GAPS, worst=Gap((), 1.25, 7.25, 8.5)))
    assert "      worst found          1.2500    7.2500    8.5000  none" in shown
    assert any("no set that was searched widens the gap" in line for line in shown)


@pytest.mark.parametrize(
    ("searched", "measured", "apart", "told"),
    [
        (10, 10, True, "those on the other 10)"),
        (2, 2, True, "those on the other 2: too few to find it, or to trust its gap)"),
        (
            3,
            3,
            False,
            "(searched and measured on the same 3 rows, too few for two halves: its gap owes to the search)",
        ),
    ],
)
def test_halves_that_are_too_small_are_told(
    result: Criteria, searched: int, measured: int, apart: bool, told: str
) -> None:
    shown = lines(result, completeness=evolve(GAPS, searched=searched, rows=measured, apart=apart))
    assert any(line.endswith(told) for line in shown)


def test_all_parts_needed(result: Criteria) -> None:
    shown = lines(result, minimality=PARTS[:1])
    assert "      shown to be needed: all 1 parts" in shown
    assert not any("not shown" in line for line in shown)


def test_numbers_of_others_are_not_ours(result: Criteria) -> None:
    assert not any("published" in line for line in lines(result))
    shown = lines(result, published="0.87 (Wang et al. 2022)")
    assert shown[-1] == "    published, not reproduced here: 0.87 (Wang et al. 2022)"


def test_long_circuits_stay_within_the_page(result: Criteria) -> None:
    names = tuple(f"{i % 12}.{i} -> {i % 12 + 1}.{i}.q @ S2+1" for i in range(40))
    parts = tuple(Needed(name, "S2+1", 0.5, names[:20], 0.5, 1.0, 100) for name in names)
    worst = Gap(names, 1.0, 2.0, 3.0)
    long = evolve(
        result, parts=names, level="edges", minimality=parts, completeness=evolve(GAPS, worst=worst),
        tests=tuple(evolve(test, null="every word of a null " * 12) for test in TESTS),
    )  # fmt: skip
    shown = lines(long)
    assert shown[0].startswith("names  40 edges, mean")
    assert max(map(len, shown)) <= 118
    listed = shown[
        shown.index("      shown to be needed: 0 of 40 parts; not shown, which does not say unneeded:") + 1 :
    ]
    joined = " ".join(line.strip() for line in listed[: listed.index("")])
    assert joined == ", ".join(names)
    assert all(" -> " in piece for line in listed[: listed.index("")] for piece in line.strip(" ,").split(", "))


def test_a_list_of_parts_is_cut_at_four_or_where_it_would_not_fit() -> None:
    assert some_of([], 40) == "none"
    assert some_of(["9.6"], 1) == "9.6"
    assert some_of(["a", "b", "c", "d"], 40) == "a, b, c, d"
    assert some_of(["a", "b", "c", "d", "e", "f", "g"], 40) == "a, b, c, d and 3 more"
    assert some_of(["long one", "long two", "long three"], 20) == "long one, long two and 1 more"


def test_a_notebook_shows_the_same_words(result: Criteria) -> None:
    result = evolve(result, published="1 < 2 & <b>")
    read = Reader(criteria_html(result))
    assert read.open == []
    assert read.text == criteria_text(result).replace("\n", "", 1)
    assert f"<strong>{headline(result)}</strong>" in criteria_html(result)
    assert "1 < 2 & <b>" in read.text
