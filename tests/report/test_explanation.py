"""An explanation as it reads: a legend, a table with the worst swap on top, rows with where each value came from."""

from __future__ import annotations

from attrs import evolve

from scrub.report.explanation import LEGEND, explanation_text
from scrub.score.explain import Explanation, SwapEffect
from scrub.score.stories import Donation, RowStory

SWAPS = (
    SwapEffect("mid", "1.0 @ END", "answer/input:1.0@END", "answer", "rest", 0.5, 0.97, 0.305, 0.42, 0.0),
    SwapEffect("first", "embed @ A1", "a/b/c", "mid.v > answer", "donor", 1.0, 0.66, -0.001, -0.001, 0.333),
    SwapEffect("answer", "logits @ END", "answer", "", "rest", None, None, None, None, 0.25),
)
DONATIONS = (
    Donation("answer", "logits @ END", "rest", 0, 7, "to be[END]", "", False),
    Donation("mid", "1.0 @ END", "donor", 1, 3, "or not[END]", "mid = 4", False),
    Donation("first", "embed @ A1", "donor", 2, 3, "or not[END]", "first = 9", True),
)
STORY = RowStory(3, "or not[END]", {"a": 1, "b": "x"}, 0.02, 5.5, "not (98%)", "be (40%)", 2, DONATIONS)
SHOWN = Explanation("dir/f.py::claim", 0.665, "loss(b)", "resample", SWAPS, (STORY,), 50, 20, 1)


def test_it_reads_like_this() -> None:
    assert explanation_text(SHOWN).splitlines() == [
        "claim  recovered 0.67 of loss(b)  (50 rows x 20 draws, seed 1)",
        "",
        *LEGEND.splitlines(),
        "",
        "swap            at            read by         only it  all but it  undoing gains  with all below  own row",
        "rest of mid     1.0 @ END     answer             0.50        0.97          +0.30           +0.42       0%",
        "donor of first  embed @ A1    mid.v > answer     1.00        0.66          +0.00           +0.00      33%",
        "rest of answer  logits @ END                        -           -              -               -      25%",
        "",
        "row 3: loss(b) is 0.020 in the model, 5.500 scrubbed",
        "    or not[END]",
        "    a=1  b='x'",
        "    the model says not (98%); scrubbed, in draw 2, it says be (40%)",
        "    rest of answer (logits @ END): row 7",
        "        to be[END]",
        "      donor of mid (1.0 @ END): row 3, mid = 4",
        "          or not[END]",
        "        donor of first (embed @ A1): the calling row itself, row 3, first = 9",
    ]


def test_the_legend_fits_a_terminal_and_names_what_the_table_heads() -> None:
    assert max(map(len, LEGEND.splitlines())) <= 118
    for word in ("only it", "all but it", "own row", "rest", "donor"):
        assert word in LEGEND


def test_a_row_without_columns_has_no_empty_line() -> None:
    lines = explanation_text(evolve(SHOWN, worst=(evolve(STORY, columns={}),))).splitlines()
    assert "    " not in lines
    assert lines[lines.index("    or not[END]") + 1].startswith("    the model says")


def test_an_empty_claim_and_a_rest_that_is_no_row() -> None:
    text = explanation_text(evolve(SHOWN, swaps=(), worst=(), rest="keep", recovered=None))
    assert text.splitlines() == [
        "claim  recovered undefined of loss(b)  (50 rows x 20 draws, seed 1)",
        "",
        "No rest is swapped: the claim says rest='keep'.",
    ]
