"""Positions in every row, layer order, paths, overlaps: asked of every row of the pool."""

from __future__ import annotations

import re
from typing import Any

import networkx as nx
import pytest
from attrs import evolve

from claim_cases import TINY, checked, names_rows, names_sites, names_story, told
from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.positions import ALL, Slot
from scrub.claims.dataset import Dataset
from scrub.claims.geometry import check_geometry, claims_of, slots_of
from scrub.claims.interpretation import Interpretation
from scrub.claims.placement import Placement, place
from scrub.claims.sites import Site, attn, embed, heads, inside, logits, mlps, nodes, pos, resid
from scrub.model.computation import Computation

DATA = Dataset.from_rows(names_rows())
BOTH_WAYS = evolve(TINY, shape=evolve(TINY.shape, causal=False))
PARALLEL = evolve(TINY, shape=evolve(TINY.shape, parallel=True))


def wrong(graph: Any = TINY, rows: Any = DATA, **options: Any) -> str:
    names = {name: options.pop(name) for name in ("io", "s1", "s2", "doubled", "name", "answer") if name in options}
    return told(checked(names_sites(**names), graph=graph, data=rows, **options))


def test_the_sound_claim_is_sound() -> None:
    assert wrong() == ""


def rows_where(**positions: dict[int, int | None]) -> Dataset:
    """The rows with named positions moved, or taken away, in some of them."""
    rows = names_rows()
    for name, moved in positions.items():
        for row, index in moved.items():
            del rows[row]["positions"][name]
            if index is not None:
                rows[row]["positions"][name] = index
    return Dataset.from_rows(rows)


@pytest.mark.parametrize(
    ("at", "rows", "message"),
    [
        (
            "EDN",
            DATA,
            r"> name\n.*the data have no position 'EDN': they name IO, S1, S2, END\.  Did you mean END\?",
        ),
        (
            "END+1",
            DATA,
            r"position END\+1 is missing in 12 of 12 rows: 0, 1, 2, 3, 4, 5, 6, 7 and 4 "
            r"more\.  Every row needs every position",
        ),
        ("-7", DATA, r"position -7 is missing in 8 of 12 rows: 1, 2, 4, 5, 7, 8, 10, 11"),
        ("S2+2", DATA, r"position S2\+2 is missing in 8 of 12 rows"),
        ("END", rows_where(END={3: None, 7: None}), r"position END is missing in 2 of 12 rows: 3, 7"),
    ],
)
def test_positions_are_asked_of_every_row(at: str, rows: Dataset, message: str) -> None:
    found = wrong(rows=rows, name=heads("2.0", at=at).reads(k="doubled", v="io doubled"))
    assert re.search(message, found), found
    assert re.search(r"test_geometry\.py:\d+  build > name", found)


def test_positions_belong_to_transformers_alone() -> None:
    bare = Site((parse_component("2.0"),)).reads(k="doubled io")
    assert "2.0 needs at='END' or another position." in wrong(name=bare)


@pytest.mark.parametrize(
    ("graph", "changes", "message"),
    [
        (
            TINY,
            {"doubled": heads("3.0", at="S2").reads(q="s2", v="s1")},
            r"> name\n +k of 2\.0 cannot read 'doubled' at 3\.0 @ S2: nothing there is "
            r"written before 2\.0 reads\.",
        ),
        (
            TINY,
            {
                "doubled": heads("2.0", at="S2").reads(q="s2", v="s1"),
                "name": heads("2.1", at="END").reads(v="io doubled"),
            },
            r"v of 2\.1 cannot read 'doubled' at 2\.0 @ S2: nothing there is written before",
        ),
        (
            TINY,
            {"name": mlps(2, at="S2"), "answer": logits("S2"), "doubled": mlps(2, at="S2").omits("s1")},
            r"input of mlp 2 cannot read 'doubled'",
        ),
        (
            PARALLEL,
            {
                "name": mlps(2, at="S2").omits("io"),
                "answer": logits("S2"),
                "doubled": heads("2.0", at="S2").reads(q="s2", v="s1"),
            },
            r"input of mlp 2 cannot read 'doubled' at 2\.0 @ S2: nothing there is written before mlp 2 reads",
        ),
        (TINY, {"io": embed("IO").reads()}, ""),
        (
            TINY,
            {"name": heads("2.0", at="END").reads(q="doubled", v="io")},
            r"q of 2\.0 cannot read 'doubled' at 0\.1 @ S2: queries are read at the reader's "
            r"own position, END, and no passed-through head",
        ),
        (
            TINY,
            {"name": mlps(2, at="END")},
            r"input of mlp 2 cannot read 'io' at embed @ IO: 'input' is read at the reader's "
            r"own position, END",
        ),
        (
            TINY,
            {"answer": logits("S2")},
            r"> answer\n +input of logits cannot read 'name' at 2\.0 2\.1 @ END: 'input' is read at",
        ),
        (
            TINY,
            {"doubled": heads("0.1", at="S1").reads(q="s1", v="s2")},
            r"v of 0\.1 cannot read 's2' at embed @ S2: it lies after the reader in every "
            r"row, and the mask hides it",
        ),
        (
            BOTH_WAYS,
            {
                "doubled": heads("0.1", at="S1").reads(q="s1", v="s2"),
                "name": heads("2.0", at="END").reads(v="io doubled"),
            },
            "",
        ),
    ],
)
def test_channels_that_can_and_cannot_carry_a_parent(graph: Any, changes: dict[str, Any], message: str) -> None:
    found = wrong(graph, **changes)
    assert re.search(message, found) if message else not found, found


@pytest.mark.parametrize(
    ("through", "sound"),
    [
        ("1.0", True),
        ("heads", True),
        ("all", True),
        ("attn 1", True),
        ("heads 1-2", True),
        ("mlps", False),
        ("heads 0", False),
        ("2.1", False),
        ((), False),
    ],
)
def test_a_query_at_another_position_needs_a_head_on_the_way(through: Any, sound: bool) -> None:
    name = heads("2.0", at="END").reads(q="doubled", v="io")
    assert bool(wrong(name=name, through=through)) != sound


def test_a_value_that_is_read_where_it_does_not_stand_is_split_in_two() -> None:
    """The sentence ends with lines in the user's own names that, put into the claim, are sound."""
    found = wrong(name=heads("2.0 2.1", at="S2-1").reads(k="io", v="io").omits("doubled"))
    lines = [
        "@story.variable",
        "def name_at_end(name): return name",
        'name_at_end=heads("L.H", at="END").reads(v="name"),  # in the claim',
    ]
    first, *shown = found.split("  Split the variable in two, ")[1].splitlines()
    assert [line.strip() for line in shown[:3]] == lines
    assert first.startswith("'name' there and what brings it to END, and let 'answer' read the second")
    assert first.endswith("(L.H: heads that read S2-1 from END):")
    later = wrong(answer=logits("S1"))
    assert "input of logits cannot read 'name' at 2.0 2.1 @ END" in later
    assert "Split" not in later  # no head reads what comes after it
    early = heads("2.0", at="S2").reads(k="io", v="io").omits("doubled")
    late = heads("3.1", at="END").reads(k="doubled io", v="io doubled")
    both = wrong(name=[early, late])
    assert "input of logits cannot read 'name' at 2.0 @ S2" in both
    assert 'name_at_end=heads("3.1", at="END").reads(v="name"),' in both  # its own site there brings it
    assert "L.H" not in both
    story = names_story()

    @story.variable
    def brought(name: int | None) -> int | None:
        return name

    @story.variable
    def said(brought: int | None) -> int | None:
        return brought

    split = names_sites(name=early, brought=heads("3.1", at="END").reads(v="name"), said=logits("END"))
    del split["answer"]
    story.variables.pop("answer")
    assert told(checked(split, story=story)) == ""


def test_without_a_mask_a_passed_head_carries_backwards() -> None:
    name = heads("2.0", at="S2").reads(q="doubled", v="io")
    rows = [row for row in names_rows() if row["columns"]["length"] == 6]
    for row in rows:
        row["positions"]["S2"], row["positions"]["END"] = 4, 5
    doubled = mlps(0, at="END").omits("s1 s2")
    for graph, sound in ((TINY, False), (BOTH_WAYS, True)):
        sites = {"name": name, "doubled": doubled, "answer": logits("S2")}
        found = wrong(graph, Dataset.from_rows(rows), through="1.0", **sites)
        assert (not found) == sound, found


@pytest.mark.parametrize(
    ("held", "reader", "blocked"),
    [
        ("END", "END", True),
        ("all", "END", True),
        ("S2", "END", False),
        ("END", "S2 END", False),
        ("S2 END", "S2 END", True),
    ],
)
def test_a_claimed_head_is_not_passed_through_where_it_is_claimed(held: str, reader: str, blocked: bool) -> None:
    """1.0 carries `doubled` to the reader only where no site of the claim holds it."""
    story = Interpretation()
    story.variable(lambda_named("doubled", lambda s1: s1))
    story.variable(lambda_named("held", lambda s1: s1))
    story.variable(lambda_named("name", lambda doubled: doubled))
    story.variable(lambda_named("answer", lambda name, held: name))
    sites = {
        "doubled": heads("0.1", at="S1"),
        "held": heads("1.0", at=held),
        "name": heads("2.0", at=reader).reads(q="doubled"),
        "answer": logits("END").reads(input="name").omits("held"),
    }
    rows = Dataset.from_rows(row for row in names_rows() if row["columns"]["length"] == 6)
    found = told(checked(sites, story=story, data=rows, through="1.0"))
    assert ("q of 2.0 cannot read 'doubled'" in found) == blocked, found


def lambda_named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"s1": embed("IO"), "doubled": heads("0.1", at="S2").reads(k="s1 s2", v="s1"), "s2": embed("IO")},
            r"'s1' at embed @ IO and 's2' at embed @ IO, both read by k of 0\.1 @ S2, "
            r"overlap\.  They share embed; give each part to one",
        ),
        (
            {
                "s1": attn(0, at="S1"),
                "s2": heads("0.1", at="S1"),
                "doubled": heads("1.0", at="S2").reads(k="s1 s2"),
            },
            r"'s1' at attn 0 @ S1 and 's2' at 0\.1 @ S1.*They share 0\.1; give",
        ),
        (
            {"s1": resid(1, at="S1"), "s2": embed("S1"), "doubled": heads("1.0", at="S2").reads(v="s1 s2")},
            "They share embed",
        ),
        (
            {"s2": embed("all"), "doubled": heads("0.1", at="S2").reads(k="s1 s2"), "within": "length"},
            r"'s1' at embed @ S1 and 's2' at embed @ all",
        ),
        (
            {"s2": embed("S1+1 S2"), "doubled": heads("0.1", at="S2").reads(k="s2 s1")},
            r"S1\+1 and S2 of embed @ S1\+1 S2 are the same position in 12 rows: 0, 1",
        ),
        (
            {
                "name": (
                    heads("2.0", at="END").reads(v="io doubled"),
                    heads("2.0 2.1", at="END").reads(v="io doubled"),
                )
            },
            r"> answer\n.*'name' at 2\.0 @ END and 'name' at 2\.0 2\.1 @ END, both read by "
            r"input of logits @ END, overlap",
        ),
    ],
)
def test_siblings_must_not_overlap(changes: dict[str, Any], message: str) -> None:
    if isinstance(changes.get("name"), tuple):
        changes = {**changes, "name": list(changes["name"])}
    found = wrong(**changes)
    assert re.search(message, found), found


def test_rows_in_which_named_positions_coincide_are_told() -> None:
    rows = rows_where(S1={2: 4, 5: 4})
    found = wrong(rows=rows, doubled=heads("0.1", at="S2").reads(k="s1 s2", v="s1"))
    assert (
        "'s1' at embed @ S1 and 's2' at embed @ S2, both read by k of 0.1 @ S2, overlap "
        "in 2 rows, where their positions coincide: 2, 5." in found
    )
    assert wrong(rows=rows) == ""  # through different channels they may meet
    found = wrong(rows=rows, s1=embed("S1 S2"))
    assert (
        "S1 and S2 of embed @ S1 S2 are the same position in 2 rows: 2, 5.  Two slots of "
        "one component must differ" in found
    )


def test_different_parts_at_one_position_do_not_overlap() -> None:
    assert wrong(s1=pos("S1"), s2=embed("S1"), doubled=heads("0.1", at="S2").reads(k="s1 s2")) == ""


def test_an_overlap_is_told_once_for_all_channels() -> None:
    found = wrong(s2=embed("S1"), doubled=heads("0.1", at="S2").reads(k="s1 s2", v="s1 s2"))
    assert found.count("overlap") == 1


def test_slots_and_claims() -> None:
    placement = Placement({}, "answer")
    assert slots_of(placement) == ()
    found = checked(names_sites(io=embed("all")), within="length").claim
    assert found is not None
    assert slots_of(found.placement) == (Slot("END"), Slot("S1"), Slot("S2"))
    assert (Component("embed"), ALL) in claims_of(found.placement, TINY)
    assert (Component("head", 2, 1), Slot("END")) in found.claimed


def diamond() -> Computation:
    graph = nx.DiGraph([("x", "a"), ("a", "b"), ("b", "out"), ("x", "out")])
    for node, function in {"a": lambda x: x, "b": lambda a: a, "out": lambda b, x: b + x}.items():
        graph.nodes[node]["function"] = function
    return Computation.of(graph)


@pytest.mark.parametrize(("through", "sound"), [((), False), ("b", True), ("all", True), ("a", False)])
def test_arguments_are_reached_by_edges_or_paths(through: Any, sound: bool) -> None:
    story = Interpretation()
    story.variable(lambda_named("first", lambda x: x))
    story.variable(lambda_named("answer", lambda first: first))
    sites = {"x": nodes("x"), "first": nodes("a"), "answer": nodes("out").reads(b="first")}
    graph = diamond()
    placement, problems = place(story, sites, graph)
    assert placement is not None
    assert not problems
    words = (through,) if isinstance(through, str) else through
    rows = Dataset.from_rows([{"columns": {"x": i}} for i in range(4)])
    found = "".join(p.found for p in check_geometry(placement, graph, graph.passed(words), rows))
    assert found == (
        ""
        if sound
        else "b of out cannot read 'first' at a: no edge or passed-through path leads from a into the argument 'b'."
    )


def test_a_node_takes_no_position() -> None:
    placement, _ = place(
        story_of_x(),
        {"x": Site((Component.for_node("x"),), (Slot("END"),)), "answer": nodes("out").omits("x")},
        diamond(),
    )
    assert placement is not None
    rows = Dataset.from_rows([{"columns": {"x": 1}}])
    (problem,) = check_geometry(placement, diamond(), frozenset(), rows)
    assert problem.found == "x @ END takes no position in a computation graph."


def story_of_x() -> Interpretation:
    story = Interpretation()
    story.variable(lambda_named("answer", lambda x: x))
    return story


def test_inside_has_no_geometry() -> None:
    assert wrong(doubled=inside, name=heads("2.0", at="END").reads(k="s1 s2", v="io")) == ""
