"""From a story and a correspondence to placed variables."""

from __future__ import annotations

import re
from typing import Any

import networkx as nx
import pytest

from claim_cases import TINY, checked, names_sites, names_story, told
from scrub.claims.interpretation import Interpretation
from scrub.claims.placement import Placement, place
from scrub.claims.sites import attn, embed, heads, inside, logits, mlps, nodes, resid
from scrub.model.computation import Computation


def placed(**changes: Any) -> Placement:
    placement, problems = place(names_story(), names_sites(**changes), TINY)
    assert placement is not None
    assert not problems, problems
    return placement


def without(*names: str) -> dict[str, Any]:
    return {name: site for name, site in names_sites().items() if name not in names}


def test_reads_parents_and_leaves() -> None:
    found = placed()
    assert found.output == "answer"
    assert {name: p.parents for name, p in found.placed.items()} == {
        "io": (),
        "s1": (),
        "s2": (),
        "doubled": ("s1", "s2"),
        "name": ("doubled", "io"),
        "answer": ("name",),
    }
    assert [name for name, p in found.placed.items() if p.leaf] == ["io", "s1", "s2"]
    (site,) = found.placed["doubled"].sites
    assert site.reads == (("k", ("s1",)), ("q", ("s2",)), ("v", ("s1",)))
    assert site.parents() == ("s1", "s2")
    assert site.channels_of("s1") == ("k", "v")
    assert found.placed["answer"].sites[0].reads == (("input", ("name",)),)
    assert found.readers("io") == ("name",)
    assert set(found.reached()) == set(found.placed)


def test_inside_dissolves_into_its_readers() -> None:
    found = placed(doubled=inside, name=heads("2.0", at="END").reads(k="s1 s2", v="io"))
    assert found.placed["name"].parents == ("s1", "s2", "io")
    assert "doubled" not in found.placed
    assert found.inside == ("doubled",)


def test_an_unplaced_column_is_free_and_an_omitted_parent_makes_no_leaf() -> None:
    sites = without("io") | {"name": heads("2.0", at="END").omits("doubled")}
    placement, problems = place(names_story(), sites, TINY)
    assert placement is not None
    assert not problems
    assert placement.placed["name"].parents == ("doubled",)
    assert not placement.placed["name"].leaf
    assert set(placement.reached()) == {"answer", "name"}


def test_a_single_channel_reads_every_parent_unless_told_otherwise() -> None:
    assert placed(name=mlps(3, at="END").omits("io")).placed["name"].sites[0].reads == (("input", ("doubled",)),)
    site = mlps(3, at="END").reads(input="io").omits("doubled")
    assert placed(name=site).placed["name"].sites[0].reads == (("input", ("io",)),)


def test_several_sites_together_read_all_parents() -> None:
    sites = heads("2.0", at="END").reads(k="doubled"), mlps(3, at="END").omits("doubled")
    assert [s.parents() for s in placed(name=sites).placed["name"].sites] == [("doubled",), ("io",)]


@pytest.mark.parametrize(
    ("sites", "variable", "message"),
    [
        (
            names_sites(name=heads("7.0", at="END")),
            "name",
            r"head 7\.0 does not exist: tiny has layers 0 to 3\.  Did you mean 3\.0\?",
        ),
        (
            names_sites(name=heads("2.9", at="END")),
            "name",
            r"head 2\.9 does not exist: tiny has heads 2\.0 to 2\.1\.  Did you mean 2\.1\?",
        ),
        (
            names_sites(name=mlps(4, at="END")),
            "name",
            r"mlp 4 does not exist: tiny has mlp 0 to 3\.  Did you mean mlp 3\?",
        ),
        (names_sites(name=resid(5, at="END")), "name", r"resid 5 does not exist: tiny has resid 0 to 4"),
        (names_sites(name=nodes("h1")), "name", "node h1 does not exist: tiny is a transformer; nodes"),
        (
            names_sites(name=heads("2.0", at="END").reads(k="doubled", v="doubled")),
            "name",
            r"the parent 'io' is read by no channel of 2\.0 @ END",
        ),
        (
            names_sites(name=heads("2.0", at="END").reads(k="doubled", v="doubled")),
            "name",
            r"Name it, \.reads\(v='io'\), or cut it on purpose, \.omits\('io'\)",
        ),
        (
            names_sites(name=heads("2.0", at="END").reads(k="doubled", v="oi")),
            "name",
            r"\.reads\(v='oi'\): not a placed parent; those are doubled, io\.  Did you mean io\?",
        ),
        (
            names_sites(name=heads("2.0", at="END").reads(z="doubled io")),
            "name",
            r"2\.0 @ END has no channel 'z': it has q, k, v",
        ),
        (
            names_sites(name=mlps(3, at="END").reads(inptu="doubled io")),
            "name",
            "has no channel 'inptu': it has input.  Did you mean input\\?",
        ),
        (
            names_sites(name=heads("2.0", at="END").reads(k="doubled io").omits("s1")),
            "name",
            r"\.omits\('s1'\): not a placed parent; those are doubled, io",
        ),
        (
            names_sites(name=heads("2.0", at="END").reads(k="doubled io").omits("io")),
            "name",
            "'io' is both read and omitted",
        ),
        (
            names_sites(s1=embed("S1").reads(input="s2")),
            "s1",
            r"\.reads\(input='s2'\): not a placed parent; those are none",
        ),
        (
            names_sites(naem=embed("S1")),
            "naem",
            "'naem' is no variable of the story and no column that it reads.  Did you mean name\\?",
        ),
        (names_sites(io=inside), "io", "a column cannot be inside.  Leave it out"),
        (without("doubled"), "doubled", "this variable has no entry in the correspondence.  Give it a site"),
        (
            names_sites(answer=heads("2.0", at="END")),
            "answer",
            r"the output is read at 2\.0 @ END\.  Place it at logits\('END'\)",
        ),
        (names_sites(answer=inside), "answer", r"the output is inside\.  Place it at logits"),
        (
            names_sites(answer=[logits("END"), logits("S1")]),
            "answer",
            "the output has one site, found a list",
        ),
        (
            names_sites(answer=logits("END S1")),
            "answer",
            "the output is read at one place, found logits @ END S1",
        ),
        (names_sites(answer=logits("all")), "answer", "the output is read at one place, found logits @ all"),
        (names_sites(doubled=logits("S2")), "doubled", "logits belongs to the output alone"),
        (
            names_sites(name=resid("1 2", at="END")),
            "name",
            "components of resid 1, resid 2 @ END contain one another.  Name each part once",
        ),
    ],
)
def test_a_wrong_entry_is_told_at_its_variable(sites: dict[str, Any], variable: str, message: str) -> None:
    result = checked(sites)
    assert result.claim is None
    (problem, *_) = [p for p in result.problems if p.variable == variable]
    assert problem.line
    assert re.search(message, told(result)), told(result)


def test_attention_and_its_heads_contain_one_another_across_layers_only_once() -> None:
    result = checked(names_sites(name=attn("2 3", at="END").reads(k="doubled io", v="io")))
    assert not result.problems, told(result)


def story_of(*edges: tuple[str, str]) -> Interpretation:
    graph = nx.DiGraph(edges)
    for node in graph:
        parents = list(graph.predecessors(node))
        if parents:
            graph.nodes[node]["function"] = eval(f"lambda {', '.join(parents)}: {parents[0]}")
    return Interpretation.from_networkx(graph)


def test_a_cycle_is_told_with_its_way() -> None:
    story = story_of(("io", "a"), ("b", "a"), ("a", "b"), ("b", "answer"))
    result = checked({"io": embed("IO"), "a": inside, "b": inside, "answer": logits("END")}, story=story)
    assert "the story has a cycle: a -> b -> a.  A variable is a function of earlier ones." in told(result)


def test_an_unused_variable_is_told() -> None:
    story = story_of(("io", "name"), ("name", "answer"), ("io", "spare"))
    sites = {
        "name": heads("2.0", at="END").reads(v="io"),
        "io": embed("IO"),
        "answer": logits("END"),
        "spare": inside,
    }
    (problem,) = checked(sites, story=story).problems
    assert (problem.variable, problem.found) == (
        "spare",
        "this variable is unused: nothing reads it, and it is not the output.",
    )
    assert problem.fix == "Read it in another variable, or delete it."


def test_several_outputs_are_told_without_echoes() -> None:
    story = story_of(("io", "one"), ("io", "two"))
    for sites in (
        {"io": embed("END"), "one": inside, "two": inside},
        {"io": embed("END"), "one": logits("END"), "two": logits("END")},
    ):
        (problem,) = checked(sites, story=story).problems
        assert problem.found == "the story has several outputs: one, two."


def test_a_story_without_variables() -> None:
    assert "the story has no variables.  Add functions with @story.variable" in told(
        checked({}, story=Interpretation())
    )


def chain() -> Computation:
    graph = nx.DiGraph([("x", "h"), ("h", "out")])
    graph.nodes["h"]["function"] = lambda x: x
    graph.nodes["out"]["function"] = lambda h: h
    return Computation.of(graph)


def test_in_a_computation_graph_the_output_is_an_end_node() -> None:
    story = story_of(("x", "a"), ("a", "b"))
    good = {"x": nodes("x"), "a": nodes("h"), "b": nodes("out")}
    placement, problems = place(story, good, chain())
    assert placement is not None
    assert not problems
    assert placement.placed["b"].sites[0].reads == (("h", ("a",)),)
    _, problems = place(story, good | {"b": nodes("h"), "a": inside}, chain())
    assert [p.fix for p in problems] == ["Place it at nodes(...) of the model's output node."]
    _, problems = place(story, good | {"a": nodes("hh")}, chain())
    assert str(problems[0]).splitlines()[1].strip() == (
        "node hh does not exist: the computation graph has the nodes x, h, out.  Did you mean h?"
    )
    _, problems = place(story, good | {"a": nodes("x"), "x": nodes("h")}, chain())
    assert problems[-1].fix == "Cut it on purpose, .omits('x')."
    _, problems = place(story, {"x": nodes("x"), "a": nodes("h"), "bb": nodes("out")}, chain())
    assert [p.variable for p in problems] == ["b", "bb"]  # no word of where an unknown name is placed


def test_a_parent_that_is_read_nowhere_is_offered_the_channel_of_its_name() -> None:
    graph = nx.DiGraph([("x", "out"), ("y", "out")])
    graph.nodes["out"]["function"] = lambda x, y: x + y
    story = story_of(("x", "a"), ("y", "a"))
    sites = {"x": nodes("x"), "y": nodes("y"), "a": nodes("out").reads(x="x")}
    _, (problem,) = place(story, sites, Computation.of(graph))
    assert problem.fix == "Name it, .reads(y='y'), or cut it on purpose, .omits('y')."
