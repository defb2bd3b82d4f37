"""Scales with round steps, names that are cut, and labels that stand by their points."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from attrs import evolve

from report.test_comparison_text import POINTS, TWO_CLAIMS, A, B
from score.cases import claim_of, graph, resolved, rows_of
from scrub import nodes
from scrub.engine.unroll import unroll
from scrub.report.differences import differences_svg
from scrub.report.figure import claim_svg
from scrub.report.labels import RINGS, Room, around, labelled
from scrub.report.page.blocks import Section, Table
from scrub.report.page.whole import page
from scrub.report.pareto import comparison_svg
from scrub.report.svg import cut, ticks
from scrub.report.tree import tree_svg
from scrub.score.comparison import ParetoPoint

SVG = "{http://www.w3.org/2000/svg}"
PHONE = 390
LONG = "a_" + "long_" * 40 + "name"


def width(svg: str) -> float:
    return float(ElementTree.fromstring(svg).attrib["width"])


def words(svg: str) -> list[str]:
    return [str(part.text) for part in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def difference(value: float, low: float, high: float) -> dict[str, Any]:
    return {"a": A, "b": B, "value": value, "low": low, "high": high, "verdict": "cannot tell"}


@pytest.mark.parametrize(
    ("low", "high", "most", "told"),
    [
        (0, 8.7, 6, ["0", "2", "4", "6", "8"]),
        (-0.05, 1.05, 8, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-0.003, 0.004, 5, ["-0.002", "0.000", "0.002", "0.004"]),
        (-40, 3, 8, ["-40", "-30", "-20", "-10", "0"]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, told: list[str]) -> None:
    found = list(ticks(low, high, most))
    assert [number for _, number in found] == told
    assert np.allclose([at for at, _ in found], [float(number) for number in told])


def test_ticks_of_differences_differ_and_stay_inside() -> None:
    names = {A: "one", B: "two"}
    for ends in ((0.0, 0.0, 0.0), (-0.5, -0.6, -0.4), (0.001, 0.0005, 0.002)):
        svg = differences_svg([difference(*ends)], names)
        found = [
            part for part in ElementTree.fromstring(svg).iter(f"{SVG}text") if part.get("text-anchor") == "middle"
        ]
        assert len({part.text for part in found}) == len(found) >= 2
        assert all(20 <= float(part.attrib["x"]) <= width(svg) - 20 for part in found)


def test_names_are_cut_and_told_in_full() -> None:
    assert cut("short", 5) == "short"
    assert cut("shorter", 5) == "shor…"
    claim = resolved(
        claim_of(
            graph(h=lambda x: x, out=lambda h: 3 * h),
            {LONG: lambda x: x, "answer": eval(f"lambda {LONG}: 3 * {LONG}")},
            {LONG: nodes("h"), "answer": nodes("out").reads(h=LONG)},
            rows_of({"x": x, "label": 3 * x} for x in range(12)),
        )
    )
    names = {A: LONG, B: f"other_{LONG}"}
    shown = {
        "figure": claim_svg(claim), "tree": tree_svg(unroll(claim)),
        "differences": differences_svg([difference(0.1, 0.0, 0.2)], names),
        "pareto": comparison_svg(_named(f"f.py::{LONG}")),
    }  # fmt: skip
    for name, svg in shown.items():
        assert width(svg) <= 620, name
        assert max(map(len, words(svg))) <= 80, name
        assert any("…" in line for line in words(svg)), name
        assert any(LONG in str(part.text) for part in ElementTree.fromstring(svg).iter(f"{SVG}title")), name


def _named(name: str) -> Any:
    one = evolve(TWO_CLAIMS.hypotheses[0], hypothesis=name)
    return evolve(
        TWO_CLAIMS, hypotheses=(one, TWO_CLAIMS.hypotheses[1]), pareto=(evolve(POINTS[0], hypothesis=name), POINTS[2])
    )


def test_pictures_of_a_comparison_fit_a_phone() -> None:
    assert width(comparison_svg(TWO_CLAIMS)) <= PHONE
    assert width(differences_svg([difference(0.1, 0.0, 0.2)], {A: "induction", B: "wrong_head"})) <= PHONE


def test_labels_stand_by_their_points_and_on_nothing_else() -> None:
    points = [(60.0, 60.0), (62.0, 61.0), (60.0, 68.0), (60.0, 76.0), (300.0, 60.0), (75.0, 53.0)]
    frame = Room(48, 44, 364, 304)
    found = labelled(points, frame)
    assert [label.words for label in found] == ["1, 2", "3", "4", "5", "6"]
    rooms = [around(label.x, label.y, 7.5 * len(label.words), 13) for label in found]
    for i, room in enumerate(rooms):
        assert frame.holds(room)
        assert not any(room.meets(other) for other in rooms[:i])
        assert not any(room.meets(around(x, y, 10, 10)) for x, y in points)
    for label in found:
        away = np.hypot(label.x - label.of_x, label.y - label.of_y)
        assert away < 40 or label.far
        assert away < RINGS[-1] + 40


@pytest.mark.parametrize("seed", range(40))
def test_no_label_can_be_taken_for_that_of_another_point(seed: int) -> None:
    """It is nearer its own, or joined to it by a line and away from all others."""
    rng, frame = np.random.default_rng(seed), Room(48, 44, 364, 304)
    x, y = 48 + 316 * rng.random(10) ** 3, 44 + 260 * rng.random(10)
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    for label in labelled(points, frame):
        own = {int(word) - 1 for word in label.words.split(", ")}
        room = around(label.x, label.y, 7.5 * len(label.words), 13)
        nearest = min(room.gap(point) for i, point in enumerate(points) if i not in own)
        assert nearest > (9 if label.far else room.gap((label.of_x, label.of_y)) + 2)


def test_claims_and_controls_on_each_other_share_a_label() -> None:
    twins = tuple(ParetoPoint(f"f.py::{i}", "claim", 3.25, 0.9) for i in range(4))
    numbers = words(comparison_svg(evolve(TWO_CLAIMS, pareto=twins)))
    assert "1, 2, 3, 4" in numbers


def test_only_words_without_end_are_broken_anywhere() -> None:
    assert Table.unbroken(f"what {LONG}")
    assert not Table.unbroken("0.9, 1.2, 1.3 @ END of every row of a class that is large")
    table = Table((LONG, "share"), ((LONG, "0.50"), ("plain", "0.40")), texts=("<start> a b", ""))
    shown = page("title", "summary", [Section("one", "brief", (table,), ())], "1")
    assert shown.count(' class="any"') == 2
    assert "<div>&lt;start&gt; a b</div>" in shown  # which stays where it is seen when the table scrolls
