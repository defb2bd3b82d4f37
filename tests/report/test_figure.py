"""The figure of a claim: boxes at layers and positions, edges by channel, words for those who cannot see it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import scrub
from cli_cases import scrub as command
from score.cases import sum_claim
from scrub import Hypothesis
from scrub.claims.collect import collect
from scrub.model.resolve import sound
from scrub.report.figure import claim_svg

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
