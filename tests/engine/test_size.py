"""A claim's tree is counted before it is unrolled: a large one is refused, or planned, without being visited."""

from __future__ import annotations

from random import Random
from typing import Any

import networkx as nx
import pytest
from graph_cases import claim_of, feature

import scrub
from scrub import Hypothesis, Interpretation, inside, nodes
from scrub.claims.resolved import Claim
from scrub.claims.size import DEEPEST, MOST_OCCURRENCES, size_of
from scrub.engine import counted
from scrub.engine.counted import count
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import Occurrence, folded, unroll
from scrub.model.resolve import sound
from scrub.verbs.setup import references
from strategies import checked, random_graph_claim
from strategies_models import named

ROWS = [{"x": i % 3} for i in range(12)]


def add(graph: nx.DiGraph, story: Interpretation, name: str, read: list[str]) -> None:
    """A node that adds up others, and a variable of it that does so modulo 3."""
    graph.add_node(name, function=named(name, read, sum))
    graph.add_edges_from((parent, name) for parent in read)
    story.variable(named(f"v{name}", ["x" if p == "x" else f"v{p}" for p in read], lambda values: sum(values) % 3))


def diamonds(layers: int, placed: bool = True) -> Hypothesis:
    """Each layer reads the one before twice, so that it occurs twice as often: 3 (2 ** layers - 1) occurrences."""
    graph, story, sites, last = nx.DiGraph(), Interpretation(), dict[str, Any](), "x"
    graph.add_node("x")
    for i in range(layers):
        for name, read in ((f"a{i}", [last]), (f"b{i}", [last]), (f"h{i}", [f"a{i}", f"b{i}"])):
            add(graph, story, name, read)
            sites[f"v{name}"] = nodes(name) if len(read) == 1 else nodes(name).reads(**{r: f"v{r}" for r in read})
        last = f"h{i}"
    if not placed:
        sites = {name: inside for name in sites} | {f"v{last}": nodes(last)}
    return claim_of(graph, story, sites, ROWS)


def chain(length: int) -> Hypothesis:
    graph, story, sites, last = nx.DiGraph(), Interpretation(), dict[str, Any](), "x"
    graph.add_node("x")
    for i in range(length):
        graph.add_node(f"h{i}", function=named(f"h{i}", [last], sum))
        graph.add_edge(last, f"h{i}")
        story.variable(feature(f"v{i}", f"v{i - 1}" if i else "x", lambda value: value))
        sites[f"v{i}"], last = nodes(f"h{i}"), f"h{i}"
    return claim_of(graph, story, sites, ROWS)


def depth(node: Occurrence) -> int:
    return 1 + max(map(depth, node.children), default=0)


def claims() -> list[Claim]:
    made = (random_graph_claim(Random(f"size {seed}")) for seed in range(60))
    return [found for found in (checked(*case) for case in made) if found is not None]


def test_sizes_and_steps_are_those_of_the_unrolled_tree() -> None:
    several = 0
    for claim in claims():
        tree = unroll(claim)
        size = size_of(claim.placement)
        assert size.occurrences == sum(1 for _ in tree.walk())
        assert size.depth == depth(tree)
        assert set(compile_tree(claim, folded(claim)).steps) == set(compile_tree(claim, tree).steps)
        several += size.occurrences > 4
    assert several > 10


def test_a_folded_count_asks_for_what_the_pilot_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for claim in (*claims()[:20], sound(diamonds(5))[0]):
        rows = references(claim, None, 0)
        drawn = count(claim, rows, 10, 0)
        with monkeypatch.context() as patched:
            patched.setattr(counted, "PILOT_OCCURRENCES", 0)
            expected = count(claim, rows, 10, 0)
        assert (expected.occurrences, expected.asked) == (drawn.occurrences, drawn.asked)
        assert sum(expected.evaluated) <= expected.asked
    assert sum(expected.evaluated) == pytest.approx(sum(drawn.evaluated), rel=0.25)  # of the diamonds


def forbidden(*_: Any) -> Any:
    raise AssertionError("the tree is unrolled")


def test_a_large_claim_is_planned_without_being_unrolled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "unroll", forbidden)
    plan = scrub.plan(diamonds(15), draws=20)
    assert plan.occurrences == 3 * (2**15 - 1) <= MOST_OCCURRENCES
    assert plan.tree is None
    assert plan.steps == 89
    assert 0 < plan.evaluations < plan.asked
    assert "the claim unrolls to 98301 occurrences, 89 different steps" in str(plan)


@pytest.mark.parametrize(
    ("hypothesis", "said"),
    [
        (diamonds(16), "the claim unrolls to 196,605 occurrences, more than 100,000."),
        (diamonds(60), "the claim unrolls to about 10^18 occurrences, more than 100,000."),
        (chain(DEEPEST + 1), "the claim has a chain of 201 variables, longer than 200."),
        (chain(1500), "the claim has a chain of 1,500 variables, longer than 200."),
    ],
)
def test_a_claim_that_nobody_could_test_is_refused_with_its_size(hypothesis: Hypothesis, said: str) -> None:
    found = scrub.check(hypothesis)
    assert [problem.found for problem in found.problems] == [said]
    assert "inside" in found.problems[0].fix


def test_the_largest_claims_are_identified_and_tested() -> None:
    assert len(sound(diamonds(15))[0].digest) == 32  # each variable is told once
    deep = chain(DEEPEST)
    assert scrub.plan(deep, draws=2).occurrences == DEEPEST
    assert scrub.test(deep, draws=1, controls="none", explain=False).metric.scrubbed >= 0
    assert scrub.test(chain(80), exact=True).metric.scrubbed == pytest.approx(1)


def test_what_is_inside_does_not_make_a_claim_large() -> None:
    found = sound(diamonds(60, placed=False))[0]
    assert size_of(found.placement).occurrences == 1
