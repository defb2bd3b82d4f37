"""A proposal in a notebook and as a picture; and that every kind of proposal can be shown at all."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache
from itertools import pairwise

import pytest
from attrs import evolve

from report.test_notebook import Reader
from report.test_proposal_text import NODES, edge, lines, made, node, rgb
from scrub.anatomy.edges import Edge
from scrub.anatomy.names import Component
from scrub.proposals.agreement import Agreement
from scrub.proposals.bound import Bounded
from scrub.proposals.proposal import Proposal, RankedEdge
from scrub.report.proposal import proposal_html, proposal_svg, proposal_text
from scrub.report.ranked import components

BLUE, RED = "#2166ac", "#b2182b"


@cache
def hostile() -> dict[str, Proposal]:
    long, odd = "x" * 300, "<b>&\"'\n\x00"
    strange = RankedEdge(Edge(Component.for_node(long), Component.for_node(odd)), 1e-9)
    neurons = [node(f"mlp {i % 12}.{i // 12}", 1 / (i + 1)) for i in range(36_864)]
    heads = [
        node(f"{layer}.{head}", layer - head / 9, disagree=True, companions={"atp": 1.0, "b": 2.0})
        for layer in range(48)
        for head in range(25)
    ]
    return {
        "plain": made(),
        "attention alone": made(node("0.0", 1.0), node("0.1", -1.0)),
        "graph": made(*(node(f"{n}{i}", i) for i, n in enumerate(("a b", long, odd)))),
        "neurons": made(*neurons),
        "large": made(*heads),
        "zeros": made(*(evolve(n, score=0.0, signed=0.0, absolute=0.0, exact=None) for n in NODES), recall=()),
        "one row": made(rows=1, agreement=Agreement(1, 0, None, None, None, None, 0), recall=()),
        "positions": made(*(node(f"0.{h}", 1e-5 * h, position=p) for h in range(30) for p in range(60))),
        "nothing patched": made(node("0.0", 1.0), agreement=None, recall=(), bounded=Bounded((), 0, 0)),
        "wordy": made(
            hypothesis=long, metric=odd + long, method=long, left_out=(long,) * 40, cautions=(f"{long} " * 3,),
            options={long: long}, edges=(strange,), edge_method=long, rules={long: "live"},
        ),
    }  # fmt: skip


@pytest.mark.parametrize("case", list(hostile()))
def test_every_kind_of_proposal_can_be_shown(case: str) -> None:
    p = hostile()[case]
    shown = lines(p)
    assert max(map(len, shown)) <= 118
    assert case == "wordy" or not any(line.endswith("...") for line in shown)
    assert all(line == line.rstrip() for line in shown)
    assert "nan" not in proposal_text(p).replace("names", "")
    assert "None" not in proposal_text(p)
    page = Reader(proposal_html(p))
    assert page.open == []
    assert ET.fromstring(proposal_svg(p)).tag.endswith("svg")


def test_every_score_is_zero() -> None:
    p = hostile()["zeros"]
    assert "every score is 0" in proposal_text(p)
    assert set(re.findall(r"background:(#\w+)", proposal_html(p))) == {"#ffffff"}
    assert "every score is 0" not in proposal_text(made())


def test_a_list_where_there_are_no_layers() -> None:
    p = hostile()["neurons"]
    assert components(p) is None
    assert "shades" not in proposal_text(p)
    assert "the 15 strongest of 36,864 nodes" in proposal_text(p)
    assert len(boxes(proposal_svg(p))) == 20


def test_cells_of_a_notebook_are_coloured_and_told() -> None:
    page = proposal_html(made(node("0.0", 4.0), node("0.1", -1.0, -4.0), node("<b>&", 0.0)))
    assert "<b>" not in page
    assert "http" not in page
    cells = re.findall(r'<td title="([^"]*)" style="background:(#\w+)[^"]*">([^<]*)<', page)
    assert cells[:2] == [
        ("0.0 +4.00 (not patched, estimate +4.00 by relp)", BLUE, "+4.00"),
        ("0.1 -4.00 (exact -4.00, estimate -1.00 by relp)", RED, "-4.00"),
    ]
    assert cells[2:4] == cells[:2]  # in the list of the strongest, too
    assert 'font-weight:bold">-4.00' in page
    assert 'font-weight:bold">+4.00' not in page


def test_a_notebook_tells_the_same() -> None:
    p = made(hypothesis="a::b", edges=(edge("0.0", "1.1.q", 0.5),), edge_method="eap", cautions=("beware",))
    told = Reader(proposal_html(p)).text
    for fact in (
        "proposal for b",
        "components by layers",
        "1.1.q",
        "by eap",
        "beware",
        "nothing strong is left out",
        "base 3.32",
        "over the patched nodes",
        "90 % confidence",
        "rows were seen",
    ):
        assert fact in told


SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> dict[str, tuple[str, str, int, int]]:
    """What every cell tells: its title -> fill, number, x and y."""
    found: dict[str, tuple[str, str, int, int]] = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        title, rect, text = group
        found[title.text or ""] = (
            rect.get("fill", ""),
            text.text or "",
            int(rect.get("x", "")),
            int(rect.get("y", "")),
        )
    return found


def test_the_picture_has_layers_up_and_heads_across() -> None:
    found = {re.split(r" \S+ \(", title)[0]: box for title, box in boxes(proposal_svg(made())).items()}
    assert set(found) == {"0.0", "0.1", "1.0", "1.1", "mlp 0", "attn 1"}
    assert (found["1.1"][:2], found["mlp 0"][1], found["1.0"][:2]) == ((BLUE, "+3.00"), "-1.50", ("#ffffff", "·"))
    fill = rgb(found["mlp 0"][0])
    assert fill[0] > fill[2]
    assert found["1.0"][3] < found["0.0"][3] == found["0.1"][3]
    assert found["0.0"][2] < found["0.1"][2] < found["attn 1"][2] < found["mlp 0"][2]


def test_the_picture_stands_alone_and_can_be_read_aloud() -> None:
    drawn = proposal_svg(made())
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    assert "logit_diff(io, s1)" in (root[0].text or "")
    assert "The strongest nodes: 1.1 +3.00, mlp 0 -1.50" in (root[1].text or "")
    assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
    assert drawn == proposal_svg(made())
    assert drawn.count("http") == 1  # the namespace
    assert not re.search(r"<(script|image|style|a|use)\b|href|url\(", drawn)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"layer", "attn", "mlp", "-3.00", "+3.00"} <= set(texts)
    width, height = int(root.get("width", "")), int(root.get("height", ""))
    for box in root.iter(f"{SVG}rect"):
        assert int(box.get("x", 0)) + int(box.get("width", "")) <= width
        assert int(box.get("y", 0)) + int(box.get("height", "")) <= height


def test_the_picture_of_positions() -> None:
    p = made(node("0.0", 1.0, position="END"), node("0.1", -3.0, position="S2"))
    found = {re.split(r" \S+ \(", title)[0]: box for title, box in boxes(proposal_svg(p)).items()}
    assert found["0.1 @ S2"][3] < found["0.0 @ END"][3]
    assert found["0.0 @ END"][2] < found["0.1 @ S2"][2]


def test_cells_of_the_picture_lie_side_by_side() -> None:
    places = sorted((box[3], box[2]) for box in boxes(proposal_svg(made())).values())
    for (y, x), (below_y, next_x) in pairwise(places):
        assert next_x - x >= 40 if y == below_y else below_y - y == 22


def test_names_are_escaped_wherever_they_stand() -> None:
    page = proposal_html(made(evolve(node("<i>", 1.0), position="<u>", method="<s>")))
    assert not re.search(r"<[ius]>", page)
    assert page.count("&lt;i&gt;") == 4  # a row, a cell's title, and both in the list
