"""What a smaller or larger claim changes: its sites, its story, and the file that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import ERROR, claim_of, graph, rows_of
from scrub import Hypothesis, Interpretation, directions, heads, inside, neurons, nodes, queries, values
from scrub.claims.code import Changes, ImportedClaim, claim_file, place_code
from scrub.claims.collect import collect
from scrub.claims.edited import also, changed, coarser, held_by, with_settings, with_tokens
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
    for part in (neurons("1.3 0.2", at="END"), queries("0.1", at="END").reads(input="a"), values("0.1 1.0", at="A")):
        assert eval(place_code(part), {"neurons": neurons, "queries": queries, "values": values}) == part


def test_parts_known_by_arrays_are_those_that_the_claim_has() -> None:
    whole = heads("0.1 1.0", at="END")
    site = whole.part(directions(np.eye(4)[:1], name="U"), directions(np.eye(4)[1:], name="V"))
    made = Interpretation()
    made.add("x", lambda c: c, None)
    own = scrub.claim(made, model="gpt2", data=rows_of([{"c": 1}]), metric="loss(c)")({"x": site})
    changes = Changes(places={"x": evolve(site, components=site.components[:2]).omits("c")})
    text = changes.code("own", "smaller", seen=False)
    first, second = map(str, site.components[:2])
    assert {first, second} == {"0.1[U]", "0.1[V]"}
    assert f"held_by(own, 'x', '{first}', '{second}', at='END').omits('c')" in text
    names = {"own": own, "held_by": held_by}
    exec(text, names)
    assert names["smaller"].correspondence()["x"] == changes.places["x"]  # type: ignore[attr-defined]
    assert "from scrub.claims.edited import held_by" in list(changes.imports(False, ()))
    with pytest.raises(ClaimError, match=r"x has no 0.1\[W\]: it has 0.1\["):
        held_by(own, "x", "0.1[W]", at="END")


def test_a_file_says_the_changes_and_is_a_claim(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FILE)
    changes = Changes(places={"y": None, "mid": nodes("g").reads(h="first")}, coarser={"first": [(0, 1)]})
    text = claim_file(changes, ImportedClaim("from own import own as _claim"), "own_smaller", "smaller: by hand", ())
    (tmp_path / "new.py").write_text(text)
    (found,) = collect([str(tmp_path / "new.py")]).hypotheses
    (own,) = collect([str(tmp_path / "own.py")]).hypotheses
    assert found.name == "own_smaller"
    assert sound(found, None)[0].digest == sound(changed(own, changes), None)[0].digest


def test_a_variable_may_have_the_name_of_a_setting(tmp_path: Path) -> None:
    """`.but(seen=...)` is a site then: settings are said apart from it, and both arrive."""
    (tmp_path / "own.py").write_text(FILE.replace("first", "seen").replace("mid", "through"))
    (own,) = collect([str(tmp_path / "own.py")]).hypotheses
    changes = Changes(places={"y": None, "through": nodes("g").reads(h="seen")}, options={"through": ("h",)})
    (digest, *_) = (row.input_digest for row in sound(own, None)[0].data.rows)
    of = ImportedClaim("from own import own as _claim", frozenset(own.story.variables))
    (tmp_path / "new.py").write_text(claim_file(changes, of, "own_smaller", "smaller", (digest,)))
    (found,) = collect([str(tmp_path / "new.py")]).hypotheses
    assert (found.name, found.options.seen, found.options.through) == ("own_smaller", (digest,), ("h",))
    made = with_settings(changed(own, changes), seen=(digest,))
    assert sound(found, None)[0].digest == sound(made, None)[0].digest


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
