"""The story by itself: built, frozen, ordered, run."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest

from claim_cases import names_story
from scrub.claims.interpretation import Interpretation
from scrub.errors import ClaimError


def story_of(**functions: Callable[..., Any]) -> Interpretation:
    story = Interpretation()
    for name, function in functions.items():
        function.__name__ = name
        story.variable(function)
    return story


def test_parameters_are_edges_and_defaults_are_constants() -> None:
    story = Interpretation()

    @story.variable
    def seen(s1: int, shift: int = 2) -> int:
        return s1 + shift

    @story.variable
    def answer(seen: int, io: int) -> int:
        return seen + io

    assert seen(1) == 3  # the plain function is handed back
    assert {v.name: v.parents for v in story.variables.values()} == {
        "seen": ("s1",),
        "answer": ("seen", "io"),
    }
    assert story.columns == ("s1", "io")
    assert story.outputs() == ("answer",)
    assert story.run({"s1": 1, "io": 10, "other": 0}) == {"seen": 3, "answer": 13}
    assert story.variables["seen"].line == seen.__code__.co_firstlineno
    assert story.variables["seen"].file == __file__
    assert repr(story) == "Interpretation(seen, answer)"


def test_order_does_not_depend_on_how_the_story_was_written() -> None:
    written = {"b": lambda x: x, "a": lambda x: x, "end": lambda b, a: (a, b)}
    back = dict(reversed(written.items()))
    orders = [[v.name for v in story_of(**functions).order()] for functions in (written, back)]
    assert orders == [["a", "b", "end"]] * 2


def test_given_values_replace_variables() -> None:
    story = names_story()
    row = {"s1": 1, "s2": 1, "io": 2}
    assert story.run(row) == {"doubled": 1, "name": 2, "answer": 2}
    assert story.run(row, {"doubled": 2}) == {"doubled": 2, "name": None, "answer": None}


def test_rounding_stores_the_bin() -> None:
    story = Interpretation()

    @story.variable(round=0.25)
    def share(x: float) -> float:
        return x

    @story.variable()
    def answer(share: Fraction) -> str:
        return str(share)

    assert story.run({"x": 0.3}) == {"share": Fraction(1, 4), "answer": "1/4"}


@pytest.mark.parametrize("step", [0, -1, float("nan")])
def test_a_wrong_width_is_refused(step: float) -> None:
    with pytest.raises(ClaimError, match=r"variable 'f': round=.* must be a positive width"):

        @Interpretation().variable(round=step)
        def f(x: float) -> float:
            return x


def test_first_use_freezes_the_story() -> None:
    story = names_story()
    assert story.columns
    with pytest.raises(ClaimError, match="variable 'late' comes too late: the story was used already and is frozen"):

        @story.variable
        def late(io: int) -> int:
            return io


def test_a_name_twice_is_refused() -> None:
    story = Interpretation()
    story.variable(test_a_name_twice_is_refused)
    with pytest.raises(ClaimError, match="variable 'test_a_name_twice_is_refused' is defined twice in one story"):
        story.variable(test_a_name_twice_is_refused)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda *rest: 0, "the parameter 'rest' is no edge; name every parent"),
        (lambda **more: 0, "the parameter 'more' is no edge"),
        (lambda x, /: 0, "the parameter 'x' is no edge"),
        (3, "3 is not a function"),
        (dict, "cannot be read; wrap it"),
    ],
)
def test_what_cannot_be_a_variable(function: Any, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        Interpretation().variable(function)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda io: 0.5, "variable 'name': 0.5 is a float: say how it is rounded"),
        (lambda io: [io], r"variable 'name': \[1\] \(list\) is no value"),
        (lambda io: {}[io], "variable 'name' raised KeyError: 1"),
        (lambda io: int("x"), "variable 'name' raised ValueError: invalid literal"),
        (lambda oi: oi, "variable 'name': the row has no 'oi'. Did you mean 'io'"),
    ],
)
def test_a_failing_variable_is_named(function: Any, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        story_of(name=function).run({"io": 1})


def test_numpy_results_become_plain() -> None:
    (value,) = story_of(name=lambda io: np.int64(io)).run({"io": 1}).values()
    assert type(value) is int


def test_cycles_close() -> None:
    story = story_of(a=lambda c: c, b=lambda a: a, c=lambda b: b)
    cycle = story.cycle()
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "b", "c"}
    assert story_of(a=lambda a: a).cycle() == ("a", "a")
    assert names_story().cycle() == ()


def test_a_graph_is_an_equal_way_in_and_out() -> None:
    story = names_story()
    graph = story.graph
    assert set(graph.edges) == {
        ("s1", "doubled"),
        ("s2", "doubled"),
        ("doubled", "name"),
        ("io", "name"),
        ("name", "answer"),
    }
    assert "function" not in graph.nodes["io"]
    again = Interpretation.from_networkx(graph)
    row = {"s1": 1, "s2": 3, "io": 2}
    assert again.run(row) == story.run(row)
    assert again.columns == ("s1", "s2", "io")


def test_a_graph_may_round() -> None:
    graph = nx.DiGraph([("x", "half")])
    graph.nodes["half"].update(function=lambda x: x / 2, round=1)
    assert Interpretation.from_networkx(graph).run({"x": 3}) == {"half": 2}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (None, "node 'y' has edges into it but no attribute 'function'"),
        (lambda x: x, r"node 'y': its function takes \(x\) but its edges come from \(x, z\)"),
    ],
)
def test_graphs_whose_edges_are_no_arguments(function: Any, message: str) -> None:
    graph = nx.DiGraph([("x", "y"), ("z", "y")])
    graph.nodes["y"]["function"] = function
    with pytest.raises(ClaimError, match=message):
        Interpretation.from_networkx(graph)


def test_a_graph_needs_directions() -> None:
    with pytest.raises(ClaimError, match=r"has no directions: use a networkx\.DiGraph"):
        Interpretation.from_networkx(nx.Graph([("x", "y")]))


def test_a_story_is_ordered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sorts, own = list[nx.DiGraph](), nx.lexicographical_topological_sort
    monkeypatch.setattr(nx, "lexicographical_topological_sort", lambda graph: sorts.append(graph) or own(graph))
    story = story_of(answer=lambda b: b + 1, b=lambda a: a * 2)
    assert [story.run({"a": a})["answer"] for a in range(3)] == [1, 3, 5]
    assert len(sorts) == 1
