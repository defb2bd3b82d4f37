"""Computation graphs as models: read, refused with every problem, run."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from scrub.anatomy.names import Component
from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.computation import Computation


def drawn(functions: dict[Any, Any], *edges: tuple[Any, Any]) -> nx.DiGraph:
    graph = nx.DiGraph(edges)
    for node, function in functions.items():
        graph.add_node(node, function=function)
    return graph


def diamond() -> Computation:
    functions = {"h1": lambda x: x + 1, "h2": lambda x, shift=10: x * shift, "out": lambda h2, h1: (h1, h2)}
    return Computation.of(drawn(functions, ("x", "h1"), ("x", "h2"), ("h1", "out"), ("h2", "out")))


def node(name: str) -> Component:
    return Component.for_node(name)


def test_a_function_cannot_change_what_others_read() -> None:
    def shifted(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        x += 1
        return x

    given = np.zeros(2)
    with pytest.raises(ModelError, match=r"node 'h' of the model raised ValueError: .*read-only"):
        Computation.of(drawn({"h": shifted}, ("x", "h"))).run({"x": given})
    assert given.tolist() == [0, 0]


def test_a_graph_runs_in_order() -> None:
    model = diamond()
    assert list(model.nodes) == ["x", "h1", "h2", "out"]
    assert model.run({"x": 2, "other": 0}) == {"x": 2, "h1": 3, "h2": 20, "out": (3, 20)}
    assert model.inputs() == ("x",)
    assert model.ends == ("out",)
    assert [model.order(node(n)) for n in ("x", "out")] == [0, 3]
    assert not model.sequence


def test_arguments_are_channels_and_defaults_are_not() -> None:
    model = diamond()
    assert model.channels(node("out")) == ("h2", "h1")
    assert model.channels(node("h2")) == ("x",)
    assert model.channels(node("x")) == ()
    assert model.feeds(node("h1"), node("out"), "h1")
    assert not model.feeds(node("h1"), node("out"), "h2")
    assert not model.feeds(node("x"), node("out"), "h1")
    assert model.is_output(node("out"))
    assert not model.is_output(node("h1"))
    assert model.atoms(node("h1")) == {node("h1")}


@pytest.mark.parametrize(
    ("passed", "channel", "carried"),
    [("h1", "h1", True), ("h1", "h2", False), ("h1 h2", "h2", True), ("", "h1", False), ("all", "x", False)],
)
def test_paths_pass_the_argument_itself(passed: str, channel: str, carried: bool) -> None:
    model = diamond()
    assert model.carries(node("x"), node("out"), channel, model.passed([passed])) == carried


def test_what_a_path_passes() -> None:
    model = diamond()
    assert model.passed(["all"]) == {node("h1"), node("h2"), node("out")}
    assert model.passed(["h1, h2"]) == model.passed(["h1", "h2"]) == {node("h1"), node("h2")}
    with pytest.raises(ClaimError, match=r"through='h3' is no node of the model\. Did you mean 'h"):
        model.passed(["h3"])


def test_what_does_not_exist() -> None:
    model = diamond()
    assert model.has(node("h1"))
    assert not model.has(node("h3"))
    assert not model.has(Component("head", 0, 1))
    known = "the computation graph has the nodes x, h1, h2, out"
    assert model.missing(node("outt")) == (known, "out")
    assert model.missing(Component("head", 9, 6)) == (known, None)


def test_a_missing_column_is_told() -> None:
    with pytest.raises(DataError, match=r"the model's input 'x' has no column\. Did you mean 'xs'"):
        diamond().run({"xs": 1})


def test_a_failing_node_is_named() -> None:
    model = Computation.of(drawn({"inv": lambda x: 1 / x}, ("x", "inv")))
    with pytest.raises(ModelError, match="node 'inv' of the model raised ZeroDivisionError: division by zero"):
        model.run({"x": 0})


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.DiGraph(), "the model's graph has no nodes"),
        (nx.Graph([("x", "y")]), r"has no directions: use a networkx\.DiGraph"),
        (drawn({}, ("a", "b"), ("b", "a")), "the model's graph has a cycle: a -> b -> a"),
        (drawn({}, ("x", "y")), "node 'y' has edges into it but no attribute 'function'"),
        (
            drawn({"y": lambda z: z}, ("x", "y")),
            r"node 'y': its function takes \(z\) but its edges come from \(x\)",
        ),
        (drawn({"y": lambda x: x}), r"takes \(x\) but its edges come from \(\)"),
        (drawn({"y": dict}, ("x", "y")), "node 'y': <class 'dict'> is no function with readable arguments"),
        (drawn({"y": 3}, ("x", "y")), "node 'y': 3 is no function"),
        (drawn({}, (1, 2)), r"node 1 must be named by an identifier.*\n.*node 2"),
        (drawn({"h 1": lambda: 0}), "node 'h 1' must be named by an identifier"),
    ],
)
def test_wrong_graphs(graph: nx.Graph, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Computation.of(graph)


def test_every_problem_of_a_graph_is_told() -> None:
    with pytest.raises(ModelError) as caught:
        Computation.of(drawn({"y": lambda z: z, "b-c": None}, ("x", "y"), ("x", "w")))
    assert len(str(caught.value).splitlines()) == 3


def lists(function: Any, argument: str = "items") -> Computation:
    """A node changes what another one reads after it."""
    return Computation.of(
        drawn({"first": function, "later": lambda items: list(items)}, ("items", "first"), ("items", "later"))
    )


@pytest.mark.parametrize(
    ("items", "change"),
    [
        ([1, 2], lambda items: items.append(3)),
        ([[1], 2], lambda items: items[0].append(3)),
        ({"a": 1}, lambda items: items.update(b=2)),
        ({1, 2}, lambda items: items.add(3)),
    ],
)
def test_a_function_changes_only_its_own_copy_of_what_it_reads(items: Any, change: Callable[[Any], None]) -> None:
    before = deepcopy(items)
    found = lists(lambda items: (change(items), len(items))[1]).run({"items": items})
    assert items == before
    assert found["later"] == list(before)
    assert found["first"] >= len(before)  # the function itself saw its change


def test_a_tensor_that_is_changed_in_place_is_refused_by_the_name_of_the_node() -> None:
    with pytest.raises(ModelError, match=r"node 'first' of the model changes its argument 'items' in place.*clone"):
        lists(lambda items: items.add_(1)).run({"items": torch.zeros(2)})
    with pytest.raises(ModelError, match="in place"):
        lists(lambda items: items[0].mul_(2)).run({"items": torch.ones(2)})
    found = lists(lambda items: items + 1).run({"items": torch.zeros(2)})
    assert found["first"].tolist() == [1, 1]
    with torch.inference_mode():
        frozen = torch.zeros(2)
    assert lists(lambda items: items + 1).run({"items": frozen})["first"].tolist() == [1, 1]


def test_an_array_cannot_be_written_to() -> None:
    with pytest.raises(ModelError, match=r"node 'first' of the model raised ValueError: .*read-only"):
        lists(lambda items: items.fill(1)).run({"items": np.zeros(2)})
