"""The words of the terminal: a verdict first, then what it rests on, one subject a line, in aligned columns."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

import scrub
from score.cases import SUM, claim_of, sum_claim, sum_rows
from scrub import Metric, nodes, recovers
from scrub.claims.problems import Problem
from scrub.report.swaps import HEAD, LEGEND, swap_row
from scrub.report.text import checks_text, details, headline, result_text, short_name, summary, table
from scrub.score.routes import Rerouted
from scrub.score.statistics import UNDEFINED, Interval


@pytest.fixture(scope="module")
def result() -> Any:
    made = scrub.test(sum_claim(expect=recovers(0.5)), draws=4, seed=3)
    swaps = tuple(evolve(s, self_swaps=0.25, idle=1.0, donors=12) for s in made.swaps)
    return evolve(
        made, recovered=Interval(0.87, 0.851, 0.889), constant=0.123, swaps=swaps, accuracy=0.25,
        metric=evolve(made.metric, scrubbed=1.25, random=9.5),
        unexplained=evolve(made.unexplained, aue=1.25, ate=9.5, explained=0.868),
    )  # fmt: skip


def test_a_result_as_it_reads(result: Any) -> None:
    assert str(result).splitlines() == [
        "✓ claim  supported  recovered 0.87 [0.85, 0.89], bar 0.50",
        f"    {result.reason}",
        "    error        model 0.000, scrubbed 1.250, random 9.500; lower is better",
        "    constant     the best answer that ignores its input recovers 0.12",
        "    bar          the claim would pass up to 0.81: state that for rows that you have not looked at, "
        "expect=recovers(0.81)",  # no more is recovered with inputs apart
        f"    shuffled     the same sites with the values of other rows recover {result.controls[-2]}",
        f"    apart        with unclaimed inputs from different rows the claim recovers {result.controls[-1]}",
        "    unexplained  AUE 1.250 of ATE 9.500, explained 0.87 (row by row, errors cannot cancel)",
        "    bits         the claim keeps 1.6 of the 3.6 that tell rows apart",
        f"    story        {result.story}; by itself right on 25.0% of the scored rows",
        "    sample       12 rows x 4 draws, seed 3; 95% interval over rows, which are the whole domain",
        "    options      predicts='label'",
        "",
        "    swaps of  tested  other inputs  own row  donors  rows that agree  no partner",
        "    x         paths             0%      25%      12                4           -",
        *(f"      {sentence}" for sentence in LEGEND),
        "",
        "    3 of 3 parts earn their place",
        "    warning: the story by itself is right on only 25.0% of the scored rows.",
    ]


def test_an_undefined_result_says_why_and_shows_no_numbers_that_mean_nothing(result: Any) -> None:
    shown = evolve(result, recovered=UNDEFINED, constant=None, verdict="undefined", reason="there is nothing.")
    assert headline(shown) == "✗ claim  undefined  recovered undefined, bar 0.50"
    assert details(shown)[0] == "    there is nothing."
    assert "constant" not in result_text(shown)
    assert "interval" not in result_text(shown)


def test_a_foil_is_marked_and_gives_its_reason(result: Any) -> None:
    foil = evolve(result, foil="y matters too", verdict="refuted")
    assert headline(foil).startswith("✓ claim  (foil)  refuted")
    assert details(foil)[0] == "    foil: y matters too"
    assert headline(evolve(foil, verdict="supported")).startswith("✗ claim  (foil)  supported")


def test_every_deviation_from_a_default_is_shown(result: Any) -> None:
    shown = result_text(evolve(result, options={"scored": "big", "rest": "mean", "through": ("mlps",)}))
    assert "options      scored='big', rest='mean', through=('mlps',)" in shown


def test_what_deserves_a_note_gets_one(result: Any) -> None:
    assert "note" not in result_text(result)
    better = evolve(result, recovered=Interval(1.1, 1.05, 1.2))
    assert "note         scrubbed does better than the model" in result_text(better)
    assert "note         3 calls found no rest row and read their own row" in result_text(
        evolve(result, own_rest=3.0)
    )
    assert "every draw" in result_text(evolve(result, draws=None))


def test_changed_routes_are_told(result: Any) -> None:
    assert "experts" not in result_text(result)
    told = result_text(evolve(result, routes=Rerouted(40, 3, (2,))))
    said = "7.5% of 40 mixed streams went to other experts than the frame's own row; not known in layers 2"
    assert f"experts      {said}" in told
    assert "experts      not known in layers 0, 1, whose" in result_text(
        evolve(result, routes=Rerouted(0, 0, (0, 1)))
    )
    assert "no MLP of experts was computed" in result_text(evolve(result, routes=Rerouted(0, 0)))


def test_an_interval_that_starts_at_zero_is_an_interval(result: Any) -> None:
    assert "95% interval over rows" in result_text(evolve(result, recovered=Interval(0.1, 0.0, 0.2)))


def test_what_breaks_it_comes_last(result: Any) -> None:
    lines = result_text(evolve(result, explanation=("undoing one", "undoing two"))).splitlines()
    assert lines[-3:] == ["    what breaks it (scrub explain shows all):", "      undoing one", "      undoing two"]


def test_class_sizes_read_as_a_range(result: Any) -> None:
    swaps = tuple(evolve(s, class_min=1, class_max=9, class_median=2.5, alone=3) for s in result.swaps)
    shown = result_text(evolve(result, swaps=swaps))
    assert "1 to 9, median 2.5  3 rows" in shown


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    assert table([("name", "count", "share"), ("a", "5", "100%"), ("long", "-17", "3%")]) == [
        "name  count  share",
        "a         5   100%",
        "long    -17     3%",
    ]
    assert table([("a", "bc")], indent="  ") == ["  a  bc"]
    assert table([("n", "x"), ("1.5", ""), ("+0.25", "-")]) == ["    n  x", "  1.5", "+0.25  -"]


def test_names_are_shown_without_their_file() -> None:
    assert short_name("dir/ioi.py::ioi[backups=False]") == "ioi[backups=False]"
    assert short_name("claim") == "claim"


def test_a_summary_counts_claims_and_foils(result: Any) -> None:
    refuted = evolve(result, verdict="refuted")
    foil = evolve(refuted, foil="wrong")
    assert summary([result]) == "1 of 1 pass: 1 claim supported."
    assert summary([result, refuted, foil]) == "2 of 3 pass: 1 of 2 claims supported, 1 foil refuted."
    assert summary([foil, evolve(foil, verdict="inconclusive")]) == "1 of 2 pass: 1 of 2 foils refuted."


def test_checks_show_problems_first_and_say_that_nothing_was_run() -> None:
    sound, foil = scrub.check(sum_claim()), scrub.check(sum_claim().foil("wrong"))
    wrong = scrub.check(
        claim_of(SUM, {"answer": lambda x: x}, {"x": "nowhere", "answer": nodes("out").reads(x="x")}, sum_rows())
    )
    fine = checks_text([sound, foil], []).splitlines()
    assert fine[0] == "✓ claim  the story is right on 25.0% of the scored rows"
    assert fine[1].startswith("    warning: the story by itself is right on only")
    assert fine[2].startswith("✓ claim  (foil)")
    assert fine[-1] == "2 claims, no problems."
    assert checks_text([sound], []).endswith("1 claim, no problems.")
    told = checks_text([sound, wrong], []).splitlines()
    assert "node nowhere does not exist" in "\n".join(told[:2])
    assert told[-1] == "1 problem in 1 of 2 claims. Nothing was run."
    assert checks_text([wrong], ["file.py: broken", "other.py: broken"]).splitlines()[-1] == (
        "3 problems in 1 of 1 claim and 2 files. Nothing was run."
    )
    twice = [Problem("one thing", file="f.py"), Problem("another", file="f.py")]
    assert checks_text([], twice).splitlines()[-1] == "2 problems in 1 file. Nothing was run."


def test_warnings_stand_below_the_claim_that_they_are_about() -> None:
    sound = scrub.check(sum_claim())
    wrong = evolve(scrub.check(claim_of(SUM, {}, {}, sum_rows())), warnings=("look",), accuracy=None)
    told = checks_text([sound, wrong], []).splitlines()
    assert told[told.index("    warning: look") - 1] == "✗ claim"


def test_a_metric_of_ones_own_is_shown_by_its_name() -> None:
    def closeness(output: Any, row: Any) -> float:
        return -abs(output - row.columns["label"])

    shown = str(scrub.test(sum_claim(metric=Metric(closeness)), draws=2, explain=False))
    assert "    closeness    model" in shown
    assert "higher is better" in shown


@pytest.mark.parametrize(
    ("idle", "rest", "tested", "other"),
    [
        (1.0, "resample", "paths", "0%"),
        (1.0, "mean", "paths", "0%"),
        (1.0, "keep", "nothing", "0%"),
        (0.4, "keep", "values", "60%"),
        (0.0, "paired", "values, paths", "100%"),
        (0.9999, "resample", "values, paths", "1%"),
        (1 - 1e-12, "resample", "paths", "0%"),
    ],
)
def test_it_is_said_whether_values_or_paths_were_tested(
    result: Any, idle: float, rest: str, tested: str, other: str
) -> None:
    cells = dict(zip(HEAD, swap_row({**result.swaps[0].to_dict(), "idle": idle}, rest), strict=True))
    assert (cells["tested"], cells["other inputs"]) == (tested, other)


def test_the_words_of_swaps_are_explained_once_and_are_those_of_the_page(result: Any) -> None:
    from scrub.report.page.sections import StoredClaim, StoredPicture
    from scrub.report.page.sections.diagnostics import blocks

    stored = StoredClaim(result.to_dict(), StoredPicture("", {}, "", [], []), "")
    (shown,) = [block for block in blocks(stored) if getattr(block, "head", ()) == HEAD]
    assert all(f"{sentence[1:]}." in shown.caption for sentence in LEGEND)
    assert LEGEND[0] in "\n".join(details(result))
    assert LEGEND[0] not in "\n".join(details(result, legend=False))
    assert result_text(result).count(LEGEND[0]) == 1
