"""The unrolled tree as a picture: every occurrence once, readers left of what they read, words for all."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import scrub
from scrub.claims.collect import collect
from scrub.engine.unroll import Occurrence
from scrub.report.tree import tree_svg

GALLERY = Path(__file__).parents[2] / "hypotheses"
SVG = "{http://www.w3.org/2000/svg}"
Place = tuple[float, float, float, float]


def tree_of(file: str) -> Occurrence:
    hypothesis = next(h for h in collect([str(GALLERY / f"{file}.py")]).hypotheses if not h.foil_reason)
    tree = scrub.plan(hypothesis, rows=4, draws=1).tree
    assert tree is not None
    return tree


def boxes(picture: ElementTree.Element) -> list[tuple[str, str, Place]]:
    """What is told of each box, its first words, and where it is."""
    found: list[tuple[str, str, Place]] = []
    for group in picture.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            x, y, wide, high = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
            found.append((group.findtext(f"{SVG}title", ""), group.findtext(f"{SVG}text", ""), (x, y, wide, high)))
    return found


@pytest.mark.parametrize("file", ["names", "induction", "brackets", "either"])
def test_every_occurrence_has_a_box_and_none_overlaps(file: str) -> None:
    tree = tree_of(file)
    picture = ElementTree.fromstring(tree_svg(tree))
    found = boxes(picture)
    assert sorted(name for _, name, _ in found) == sorted(o.variable for o in tree.walk())
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    for i, (_, _, (x, y, wide, high)) in enumerate(found):
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + high <= height
        for _, _, (x2, y2, wide2, high2) in found[i + 1 :]:
            assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


def test_readers_stand_left_of_what_they_read_and_edges_name_their_channels() -> None:
    picture = ElementTree.fromstring(tree_svg(tree_of("induction")))
    left = {name: place[0] for _, name, place in boxes(picture)}
    assert left["answer"] < left["found"] < left["before"] < left["first"]
    right = {name: place[0] + place[2] for _, name, place in boxes(picture)}
    assert left["found"] - right["answer"] > 20  # there is room for an edge and its channel
    edges = [g.findtext(f"{SVG}title") for g in picture.iter(f"{SVG}g") if g.find(f"{SVG}path") is not None]
    assert sorted(str(edge) for edge in edges) == [
        "input of answer reads found",
        "k of found reads before",
        "q of found reads current",
        "v of before reads first",
        "v of found reads b",
    ]


def test_a_box_tells_who_its_donor_agrees_with() -> None:
    told = {name: words for words, name, _ in boxes(ElementTree.fromstring(tree_svg(tree_of("induction"))))}
    assert "the calling row itself" in told["answer"]
    assert "agrees with the caller on before" in told["before"]
    assert "rest row" in told["before"]
    assert "rest row" not in told["first"]


def test_the_tree_is_read_aloud_as_the_terminal_shows_it() -> None:
    tree = tree_of("names")
    picture = ElementTree.fromstring(tree_svg(tree))
    assert picture.attrib["role"] == "img"
    assert picture.findtext(f"{SVG}desc") == str(tree)
    assert picture.findtext(f"{SVG}title") == f"the claim unrolled: {sum(1 for _ in tree.walk())} occurrences"
