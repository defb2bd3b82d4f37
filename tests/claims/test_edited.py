"""What a smaller or larger claim changes: its sites, its story, and the file that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import scrub
from score.cases import ERROR, claim_of, graph, rows_of
from scrub import Hypothesis, heads, inside, nodes
from scrub.claims.code import Changes, claim_file, place_code
from scrub.claims.collect import collect
from scrub.claims.edited import also, changed, coarser, with_tokens
from scrub.claims.parts import ClaimPart, parts_of
from scrub.claims.smaller import places_without
from scrub.errors import ClaimError
from scrub.model.resolve import sound

TWO = graph(h=lambda x: x, g=lambda h, y: h + y, out=lambda g, h: g + h)


def claim() -> Hypothesis:
    made = rows_of({"x": x, "y": y, "label": 2 * x + y} for x in range(4) for y in range(4))
    story = {"first": lambda x: x, "mid": lambda first, y: first + y, "answer": lambda mid, first: mid + first}
    sites = {"first": "h", "y": "y", "mid": nodes("g").reads(h="first", y="y"),
             "answer": nodes("out").reads(g="mid", h="first")}  # fmt: skip
    return claim_of(TWO, story, sites, made, metric=ERROR)


def dropped(*words: str) -> frozenset[ClaimPart]:
    resolved, _ = sound(claim(), None)
    found = {part.words: part for part in parts_of(resolved)}
    return frozenset(found[word] for word in words)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["the edge first -> answer.h"], {"answer": "nodes('out').reads(g='mid').omits('first')"}),
        (["y of y"], {"y": "None", "mid": "nodes('g').reads(h='first')"}),
        (["g of mid"], {"y": "None", "mid": "inside", "answer": "nodes('out').reads(h='first')"}),
        # with its last parent gone it would be a leaf, which reads all: the parent stays, and is omitted
        (["the edge first -> mid.h", "the edge y -> mid.y"],
         {"y": "None", "mid": "nodes('g').omits('first')"}),
    ],
)  # fmt: skip
def test_what_is_left_is_said_as_a_claim(gone: list[str], said: dict[str, str]) -> None:
    resolved, _ = sound(claim(), None)
    places = places_without(resolved, dropped(*gone))
    assert {name: place_code(place) for name, place in places.items()} == said
    smaller, _ = sound(claim().but(**places), None)
    assert not smaller.placement.placed["answer"].leaf
    assert "mid" not in smaller.placement.placed or not smaller.placement.placed["mid"].leaf


def test_values_that_are_one_are_one_for_all_that_is_computed_from_them() -> None:
    resolved, _ = sound(coarser(claim(), first=[(0, 1), (2, 3)]), None)
    rows = resolved.data.rows
    assert resolved.values["first"] == tuple(row.columns["x"] // 2 * 2 for row in rows)
    assert resolved.values["mid"] == tuple(row.columns["x"] // 2 * 2 + row.columns["y"] for row in rows)
    with pytest.raises(ClaimError, match=r"no such variable. Did you mean 'first'"):
        coarser(claim(), frist=[(0, 1)])


def test_more_is_read_than_is_used() -> None:
    more = also(claim(), answer="pair", pair="x y").but(
        pair=nodes("y"), y=None, answer=nodes("out").reads(g="mid", h="first").omits("pair"),
        mid=nodes("g").reads(h="first"),
    )  # fmt: skip
    resolved, _ = sound(more, None)
    assert resolved.values["pair"][1] == (0, 1)
    assert resolved.values["answer"] == sound(claim(), None)[0].values["answer"]


def test_tokens_become_columns_of_data_made_late() -> None:
    rows = scrub.Dataset.from_rows([{"tokens": [5, 9], "positions": {"END": 1}}])
    made = with_tokens(claim().but(data=lambda: rows), "END").data
    assert callable(made)
    assert made().rows[0].columns == {"END_token": 9}


def test_sites_are_written_as_they_are_read() -> None:
    site = heads("0.1 2.10", at="END S1+1").reads(q="a b", v="a").omits("c").linked()
    names = {"heads": heads}
    assert eval(place_code(site), names) == site
    assert place_code((nodes("a"), nodes("b").reads(x="y"))) == "[nodes('a'), nodes('b').reads(x='y')]"
    assert place_code(inside) == "inside"


def test_a_file_says_the_changes_and_is_a_claim(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FILE)
    changes = Changes(places={"y": None, "mid": nodes("g").reads(h="first")}, coarser={"first": [(0, 1)]})
    text = claim_file(changes, "own", "own", "own_smaller", "smaller: by hand", ())
    (tmp_path / "new.py").write_text(text)
    (found,) = collect([str(tmp_path / "new.py")]).hypotheses
    (own,) = collect([str(tmp_path / "own.py")]).hypotheses
    assert found.name == "own_smaller"
    assert sound(found, None)[0].digest == sound(changed(own, changes), None)[0].digest


FILE = """
import networkx as nx
from scrub import Dataset, Interpretation, Metric, claim, nodes, recovers

model = nx.DiGraph([("x", "h"), ("h", "g"), ("y", "g"), ("g", "out"), ("h", "out")])
model.nodes["h"]["function"] = lambda x: x
model.nodes["g"]["function"] = lambda h, y: h + y
model.nodes["out"]["function"] = lambda g, h: g + h
story = Interpretation()


@story.variable
def first(x):
    return x


@story.variable
def mid(first, y):
    return first


@story.variable
def answer(mid, first):
    return mid + first


@claim(
    story, model=model, metric=Metric(lambda output, row: abs(output - row.columns["label"]), better="lower"),
    data=Dataset.from_rows([{"columns": {"x": x, "y": y, "z": z, "label": 2 * x}}
                            for x in range(4) for y in range(2) for z in range(8)]),
    predicts="label", expect=recovers(0.5),
)
def own():
    return dict(first=nodes("h"), y=nodes("y"), mid=nodes("g").reads(h="first", y="y"),
                answer=nodes("out").reads(g="mid", h="first"))
"""
