"""A comparison in words, in a notebook and as a picture: everything stands there, and every kind can be shown."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from attrs import evolve

from report.test_notebook import Reader
from scrub.report.comparison import comparison_html, comparison_text, headline
from scrub.report.pareto import comparison_svg
from scrub.score.bits import Bits
from scrub.score.comparison import Compared, Comparison, DecidingRow, Difference, Fact, ParetoPoint, Refinement
from scrub.score.control import Control
from scrub.score.spoken import StoryScore
from scrub.score.statistics import UNDEFINED, Interval

A, B, C = "f.py::names", "f.py::<less>", "g.py::other"
ONE = Compared(
    A, "d", None, "supported", "it lies above.", 0.8, Interval(0.9, 0.85, 0.95), Interval(0.7, 0.6, 0.8), 1.0, 5.0,
    Bits(3.25, 8.0), 4, 6, {}, (Control("shuffled values", 0.25, 0.2, 0.3, 3.25),),
)  # fmt: skip
TWO = evolve(
    ONE,
    hypothesis=B,
    foil="why",
    verdict="refuted",
    reason="it lies below.",
    recovered=Interval(0.4, 0.35, 0.45),
    variables=3,
)
THREE = evolve(ONE, hypothesis=C, verdict=None, expect=None, recovered=UNDEFINED, explained=UNDEFINED)
BETTER = Difference(A, B, Interval(0.5, 0.45, 0.55), 9.0, 0.0001, 0.0003, "a better", "clear", "shared")
POINTS = (
    ParetoPoint(A, "claim", 3.25, 0.9),
    ParetoPoint(B, "claim", 3.25, 0.4, A),
    ParetoPoint("keep everything", "control", 8.0, 1.0),
    ParetoPoint("keep nothing", "control", 0.0, 0.0, "best constant"),
    ParetoPoint("best constant", "control", 0.0, 0.3),
)
ROWS = (DecidingRow(A, B, 7, "John[IO] gave <b> & it", 3.0, 2.5, -0.5, A),)
TWO_CLAIMS = Comparison(
    (ONE, TWO), (BETTER,), POINTS, (Refinement(A, B),), (Fact(A, B, "site only in names: 9.9 @ END"),), ROWS,
    "logit_diff(io, s1)", "higher", 3.5, 40, 20, 0, {}, {},
)  # fmt: skip


def lines(c: Comparison, **changed: Any) -> list[str]:
    return comparison_text(evolve(c, **changed)).splitlines()


def test_stories_and_controls_of_parts_are_columns() -> None:
    parts = (
        Control("tied 9.9[U] @ END", 0.5, 0.4, 0.6), Control("tied 9.6[U] @ END", 0.2, 0.1, 0.3),
        Control("random parts", None, None, None, None, "could not be run"), Control("whole hosts", 0.95, 0.9, 1.0),
    )  # fmt: skip
    first = evolve(ONE, controls=parts, story=StoryScore(Interval(0.99, 0.97, 1.0)))
    found = lines(TWO_CLAIMS, hypotheses=(first, TWO))
    at = next(i for i, line in enumerate(found) if "beside it" in line)
    assert found[at : at + 3] == [
        "    beside it  story              tied               whole hosts",
        "    names      0.99 [0.97, 1.00]  0.20 [0.10, 0.30]  0.95 [0.90, 1.00]",
        "    <less>     -                  -                  -",
    ]
    assert not any("beside it" in line for line in lines(TWO_CLAIMS))


def test_a_comparison_as_it_reads() -> None:
    assert lines(TWO_CLAIMS) == [
        "names is better than <less>: 0.50 [0.45, 0.55] more is recovered, p = 0.0003",
        "    claim   recovered          shuffled  explained          bits kept  variables  edges  verdict",
        "    names   0.90 [0.85, 0.95]      0.25  0.70 [0.60, 0.80]        3.2          4      6  "
        "supported (expects 0.8)",
        "    <less>  0.40 [0.35, 0.45]      0.25  0.70 [0.60, 0.80]        3.2          3      6  refuted (foil)",
        "    names: it lies above.",
        "    <less>: it lies below.",
        "",
        "    recovered more  difference              p  verdict",
        "    names - <less>  0.50 [0.45, 0.55]  0.0001  names better",
        "    paired by row; p that the mean difference is 0, the larger of Student's t and Hall's; two-sided",
        "",
        "    share against bits         bits  recovered",
        "    best constant (control)     0.0       0.30",
        "    keep nothing (control)      0.0       0.00  dominated by best constant",
        "    names                       3.2       0.90",
        "    <less>                      3.2       0.40  dominated by names",
        "    keep everything (control)   8.0       1.00",
        "",
        "    names refines <less>: its sites and values decide the other's",
        "",
        "    names and <less> differ:",
        "      site only in names: 9.9 @ END",
        "",
        "    rows that decide between names and <less> (logit_diff(io, s1), higher is better):",
        "      row  model  names  <less>  favours",
        "        7  3.000  2.500  -0.500  names",
        "      row 7: John[IO] gave <b> & it",
        "",
        "    40 rows x 20 draws, seed 0; logit_diff(io, s1), higher is better, model 3.500",
    ]


def test_the_headline_names_the_better_one() -> None:
    worse = evolve(BETTER, share=Interval(-0.5, -0.55, -0.45), verdict="b better")
    assert headline(evolve(TWO_CLAIMS, differences=(worse,))).startswith(
        "<less> is better than names: 0.50 [0.45, 0.55]"
    )
    open_ = evolve(BETTER, verdict="cannot tell", reason="p = 0.2: rows speak for both, or for neither.")
    assert headline(evolve(TWO_CLAIMS, differences=(open_,))) == f"names or <less>, cannot tell: {open_.reason}"


def three(*verdicts: str) -> Comparison:
    pairs = ((A, B), (A, C), (B, C))
    found = [evolve(BETTER, a=a, b=b, verdict=v) for (a, b), v in zip(pairs, verdicts, strict=True)]
    return evolve(TWO_CLAIMS, hypotheses=(ONE, TWO, THREE), differences=tuple(found))


def test_of_three_one_may_be_best() -> None:
    assert headline(three("b better", "a better", "a better")) == "<less> is better than the 2 other claims"
    assert headline(three("a better", "cannot tell", "a better")) == "3 claims: none is better than all others"
    text = comparison_text(three("a better", "a better", "cannot tell"))
    assert "p  p (Holm)  verdict" in text
    assert "0.0001    0.0003  names better" in text
    assert "Holm" not in comparison_text(TWO_CLAIMS)


def test_what_is_undefined_is_said() -> None:
    undefined = evolve(BETTER, share=UNDEFINED, verdict="cannot tell", reason="there is nothing to recover.")
    points = tuple(evolve(p, recovered=None) if p.kind == "claim" else p for p in POINTS)
    other = evolve(TWO_CLAIMS, hypotheses=(ONE, THREE), refines=(), structural=(), deciding=())
    shown = lines(other, differences=(evolve(undefined, b=C),), pareto=points)
    assert "    names - other: there is nothing to recover." in shown
    assert any(line.split() == ["other", "undefined", "0.25", "undefined", "3.2", "4", "6", "-"] for line in shown)
    assert "nan" not in "\n".join(shown)
    svg = comparison_svg(evolve(TWO_CLAIMS, pareto=points))
    assert svg.count("<circle") == 0


def test_equal_claims_refine_each_other_in_one_line() -> None:
    shown = "\n".join(lines(TWO_CLAIMS, refines=(Refinement(A, B), Refinement(B, A)), structural=(), deciding=()))
    assert shown.count("refine") == 1
    assert "refine each other" in shown
    assert "differ:" not in shown
    assert "rows that decide" not in shown


def test_lines_fit() -> None:
    long = "word " * 60
    shown = lines(
        TWO_CLAIMS, structural=(Fact(A, B, long),), deciding=(evolve(ROWS[0], text=long),), options={"random": "own"}
    )
    assert max(map(len, shown)) <= 118
    assert "    random: own" in shown
    assert sum("word" in line for line in shown) >= 3


def test_the_notebook_shows_words_and_picture() -> None:
    page = comparison_html(TWO_CLAIMS)
    read = Reader(page)
    assert read.open == []
    for line in lines(TWO_CLAIMS):
        assert line in read.text
    assert "<svg" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)


def test_the_picture_has_every_point_and_says_them_aloud() -> None:
    root = ET.fromstring(comparison_svg(TWO_CLAIMS))
    space = {"s": "http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    told = root.findtext("s:desc", "", space)
    for text in ("names: 3.2 bits, 0.90", "<less>: 3.2 bits, 0.40, dominated by names", "keep everything (control)"):
        assert text in told
    discs = root.findall("s:circle", space)
    assert [d.get("fill") == "#ffffff" for d in discs] == [False, True]  # hollow where dominated
    assert discs[0].get("cx") == discs[1].get("cx")  # as many bits
    assert float(discs[0].get("cy", 0)) < float(discs[1].get("cy", 0))  # more is higher
    assert len([r for r in root.findall("s:rect", space) if r.get("width") == "8"]) == 3
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for shape in discs:
        assert 0 < float(shape.get("cx", 0)) < width
        assert 0 < float(shape.get("cy", 0)) < height


@pytest.mark.parametrize("share", [-40.0, 0.0, 3.0])
def test_shares_beyond_0_and_1_stay_in_the_frame(share: float) -> None:
    points = (evolve(POINTS[0], recovered=share), *POINTS[1:])
    root = ET.fromstring(comparison_svg(evolve(TWO_CLAIMS, pareto=points)))
    heights = [float(d.get("cy", -1)) for d in root.findall("{http://www.w3.org/2000/svg}circle")]
    assert all(44 <= y <= 304 for y in heights)
