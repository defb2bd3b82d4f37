"""The figure of a claim: boxes at layers and positions, edges by channel, words for those who cannot see it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from math import comb
from pathlib import Path
from xml.etree import ElementTree

import pytest

import scrub
from cli_cases import scrub as command
from score.cases import sum_claim
from scrub import Hypothesis
from scrub.claims.collect import collect
from scrub.model.resolve import sound
from scrub.report.drawn import Figure, FigureBox, Link
from scrub.report.figure import claim_svg, figure_svg

GALLERY = Path(__file__).parents[2] / "hypotheses"
SVG = "{http://www.w3.org/2000/svg}"


def claim_in(file: str) -> Hypothesis:
    return next(h for h in collect([str(GALLERY / f"{file}.py")]).hypotheses if not h.foil_reason)


def drawn(hypothesis: Hypothesis, **told: str) -> ElementTree.Element:
    return ElementTree.fromstring(claim_svg(sound(hypothesis)[0], told))


def titles(figure: ElementTree.Element) -> list[str]:
    return [found.findtext(f"{SVG}title", "") for found in figure.iter(f"{SVG}g")]


def box(figure: ElementTree.Element, variable: str) -> dict[str, float]:
    for group in figure.iter(f"{SVG}g"):
        if group.findtext(f"{SVG}title", "").startswith(f"{variable} at "):
            rect = group.find(f"{SVG}rect")
            assert rect is not None
            return {name: float(rect.attrib[name]) for name in ("x", "y", "width", "height")}
    raise AssertionError(f"{variable} is not drawn")


def test_layers_go_up_and_positions_across() -> None:
    figure = drawn(claim_in("names"))
    height = {name: box(figure, name)["y"] for name in ("answer", "name", "gathered", "io")}
    assert height["answer"] < height["name"] < height["gathered"] < height["io"]
    assert box(figure, "io")["x"] < box(figure, "s2")["x"] < box(figure, "gathered")["x"]
    words = [text.text for text in figure.iter(f"{SVG}text")]
    assert {"END", "IO", "S2", "attn 1", "embed", "0.0 0.1 0.3"} <= set(words)


def test_boxes_do_not_overlap() -> None:
    figure = drawn(claim_in("brackets"))
    boxes = [{k: float(v) for k, v in r.attrib.items() if k in "xywidthheight"} for r in figure.iter(f"{SVG}rect")][
        1:
    ]
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]


def points(path: str) -> Iterator[tuple[float, float]]:
    """Points along a path of `M`, `V` and `C`."""
    x = y = 0.0
    for letter, words in re.findall(r"([MVC])([^MVC]*)", path):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", words)]
        to = [(x, numbers[0])] if letter == "V" else [*zip(numbers[::2], numbers[1::2], strict=True)]
        ends = [(x, y), *to]
        for t in (step / 32 for step in range(33)) if letter != "M" else ():
            weights = [comb(len(ends) - 1, i) * t**i * (1 - t) ** (len(ends) - 1 - i) for i in range(len(ends))]
            yield tuple(sum(w * end[axis] for w, end in zip(weights, ends, strict=True)) for axis in (0, 1))
        x, y = ends[-1]


def behind(drawn: ElementTree.Element) -> list[tuple[float, float]]:
    """Points of edges that lie within a box."""
    rects = [
        {k: float(r.attrib[k]) for k in ("x", "y", "width", "height")}
        for r in drawn.iter(f"{SVG}rect")
        if "x" in r.attrib
    ]
    return [
        (x, y)
        for path in drawn.iter(f"{SVG}path")
        for x, y in points(path.attrib["d"])
        if any(r["x"] < x < r["x"] + r["width"] and r["y"] < y < r["y"] + r["height"] for r in rects)
    ]


@pytest.mark.parametrize("name", ["names", "compose"])
def test_no_edge_passes_behind_a_box(name: str) -> None:
    assert not behind(drawn(claim_in(name)))


@pytest.mark.parametrize("seed", range(8))
def test_no_edge_of_any_figure_passes_behind_a_box(seed: int) -> None:
    """Boxes of any widths anywhere, several at one place, and every edge that there could be: up, down and beside."""
    rng = random.Random(seed)
    levels, slots = ("c", "b", "a"), ("X", "Y", "Z")
    cells = [(level, slot) for level in levels for slot in slots for _ in range(rng.choice((0, 1, 1, 2)))]
    boxes = tuple(FigureBox(*cell, ("v", "w" * rng.randint(1, 24)), "leaf", "") for cell in cells)
    slots = tuple(slot for slot in slots if slot in {box.slot for box in boxes})
    pairs = [(i, j) for i in range(len(boxes)) for j in range(len(boxes)) if i != j]
    links = tuple(Link(*pair, ("q",), "") for pair in rng.sample(pairs, min(40, len(pairs))))
    figure = ElementTree.fromstring(figure_svg(Figure("t", "n", "", True, levels, slots, boxes, links)))
    assert not behind(figure)
    assert max(x for p in figure.iter(f"{SVG}path") for x, _ in points(p.attrib["d"])) < float(figure.attrib["width"])


def test_edges_are_told_by_channel() -> None:
    told = titles(drawn(claim_in("names")))
    assert "q of name reads gathered" in told
    assert "k, v of name reads io" in told
    assert "input of answer reads name" in told
    cut = titles(drawn(next(h for h in collect([str(GALLERY / "names.py")]).hypotheses if h.name == "no_query")))
    assert "q of name reads gathered" not in cut


def test_hovering_tells_values_and_what_was_measured() -> None:
    figure = drawn(claim_in("either"), lookup="undoing it gains 0.1")
    facts = next(t for t in titles(figure) if t.startswith("lookup at "))
    assert "1.0 @ END" in facts
    assert "different values" in facts
    assert facts.endswith("undoing it gains 0.1")
    assert "answer at logits @ END" in figure.findtext(f"{SVG}desc", "")


def test_a_graph_of_functions_is_drawn_by_order() -> None:
    figure = drawn(sum_claim())
    assert [t.partition(" at ")[0] for t in titles(figure) if " at " in t]


def test_the_picture_of_one_claim(tmp_path: Path) -> None:
    picture = tmp_path / "claim.svg"
    found = command("show", f"{GALLERY / 'names.py'}::names", "--picture", picture)
    assert found.exit_code == 0, found.stderr
    assert ElementTree.fromstring(picture.read_text()).tag == f"{SVG}svg"
    several = command("show", GALLERY / "names.py", "--picture", picture)
    assert several.exit_code == 2
    assert "one claim at a time" in several.stderr


def test_checked_claims_and_plans_show_themselves() -> None:
    checked = scrub.check(claim_in("names"))
    assert "<svg" in checked._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert checked.frame().empty
    wrong = scrub.check(claim_in("names").but(metric="logit_diff(io)"))
    assert "<svg" not in wrong._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert list(wrong.frame()["found"]) == [p.found for p in wrong.problems]
    plan = scrub.plan(claim_in("names"), rows=8, draws=2)
    assert "<details>" in plan._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert pytest.approx(plan.draws) == 2
