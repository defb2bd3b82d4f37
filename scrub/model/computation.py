# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false
"""A computation graph as a model: a networkx graph of plain functions.

FunctionNode attribute `function`, with arguments named like the node's predecessors; nodes without one are inputs,
read from the column of their name. Every argument is a channel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import networkx as nx
from attrs import frozen

from scrub.anatomy.names import Component
from scrub.claims.problems import at_line
from scrub.claims.values import read_only
from scrub.errors import ClaimError, DataError, ModelError, did_you_mean, nearest, some


@frozen
class FunctionNode:
    """One function of the graph; `arguments` is empty and `function` None for an input."""

    name: str
    function: Callable[..., Any] | None
    arguments: tuple[str, ...]

    def value(self, known: Mapping[str, Any]) -> Any:
        """The node's value. Raises ModelError naming the node when its function fails, or changes what it reads."""
        assert self.function is not None
        given = {name: read_only(known[name]) for name in self.arguments}
        before = {name: _version(value) for name, value in given.items()}
        try:
            found = self.function(**given)
        except Exception as error:
            raised = f"raised {type(error).__name__}: {error}{at_line(error)}"
            raise ModelError(f"node {self.name!r} of the model {raised}") from error
        for name, value in given.items():
            if _version(value) != before[name]:
                raise ModelError(
                    f"node {self.name!r} of the model changes its argument {name!r} in place, and other calls read "
                    f"the same tensor: let it work on {name}.clone()."
                )
        return found


def _version(value: Any) -> int | None:
    """How often a tensor was changed in place; None for anything else."""
    try:
        return getattr(value, "_version", None)
    except RuntimeError:  # tensors of inference mode do not count
        return None


@frozen(slots=False)
class Computation:
    """The model graph of a computation graph, and its functions. `nodes` are in topological order."""

    nodes: Mapping[str, FunctionNode]
    name: str = "computation graph"
    sequence: bool = False
    causal: bool = True

    @classmethod
    def of(cls, graph: nx.Graph[Any]) -> Computation:
        """Read a networkx graph. Raises ModelError with every problem of its names, edges and functions."""
        problems: list[str] = []
        if not graph.number_of_nodes():
            raise ModelError("the model's graph has no nodes.")
        if not isinstance(graph, nx.DiGraph):
            raise ModelError("the model's graph has no directions: use a networkx.DiGraph.")
        if not nx.is_directed_acyclic_graph(graph):
            edges = nx.find_cycle(graph)
            cycle = " -> ".join(str(name) for name in (*(edge[0] for edge in edges), edges[0][0]))
            raise ModelError(f"the model's graph has a cycle: {cycle}.")
        nodes: dict[str, FunctionNode] = {}
        for name in nx.lexicographical_topological_sort(graph, key=str):
            node, wrong = _read_node(graph, name)
            problems += wrong
            nodes[str(name)] = node
        if problems:
            raise ModelError("\n".join(problems))
        return cls(nodes)

    @cached_property
    def index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.nodes)}

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """Nodes that no node reads: the graph's outputs."""
        read = {a for node in self.nodes.values() for a in node.arguments}
        return tuple(name for name in self.nodes if name not in read)

    def inputs(self) -> tuple[str, ...]:
        return tuple(name for name, node in self.nodes.items() if node.function is None)

    def has(self, component: Component) -> bool:
        return component.traits.is_node and component.name in self.nodes

    def missing(self, component: Component) -> tuple[str, str | None]:
        """What the graph has instead of a component, and the nearest node when one is near."""
        known = f"the computation graph has the nodes {some(self.nodes, 12)}"
        return known, nearest(str(component), self.nodes)

    def channels(self, component: Component) -> tuple[str, ...]:
        return self.nodes[component.name].arguments

    def feeds(self, writer: Component, reader: Component, channel: str) -> bool:
        return writer.name == channel and channel in self.channels(reader)

    def carries(self, writer: Component, reader: Component, channel: str, passed: frozenset[Component]) -> bool:
        """Whether a path of passed nodes, the argument itself included, leads from writer to the channel."""
        inner = {c.name for c in passed}
        reached = {writer.name}
        for node in self.nodes.values():
            if node.name in inner and reached & set(node.arguments):
                reached.add(node.name)
        return channel in reached and channel in self.channels(reader)

    def order(self, component: Component) -> int:
        return self.index[component.name]

    def atoms(self, component: Component) -> frozenset[Component]:
        return frozenset((component,))

    def is_output(self, component: Component) -> bool:
        return component.name in self.ends

    def passed(self, words: Iterable[str]) -> frozenset[Component]:
        """The nodes that `through=` names: `all` (every function), or names."""
        found: set[Component] = set()
        for name in " ".join(words).replace(",", " ").split():
            if name == "all":
                found |= {Component.for_node(n) for n, node in self.nodes.items() if node.function}
            elif name in self.nodes:
                found.add(Component.for_node(name))
            else:
                raise ClaimError(f"through={name!r} is no node of the model.{did_you_mean(name, self.nodes)}")
        return frozenset(found)

    def run(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Every node's value on a row. Raises DataError when the row lacks an input's column."""
        known: dict[str, Any] = {}
        for node in self.nodes.values():
            if node.function is None:
                if node.name not in columns:
                    raise DataError(
                        f"the model's input {node.name!r} has no column.{did_you_mean(node.name, columns)}"
                    )
                known[node.name] = columns[node.name]
            else:
                known[node.name] = node.value(known)
        return known


def _read_node(graph: nx.DiGraph, name: Any) -> tuple[FunctionNode, list[str]]:
    if not isinstance(name, str) or not name.isidentifier():
        return FunctionNode(str(name), None, ()), [
            f"node {name!r} must be named by an identifier (it is an argument's name)."
        ]
    function = graph.nodes[name].get("function")
    predecessors = sorted(map(str, graph.predecessors(name)))
    if function is None:
        wrong = [f"node {name!r} has edges into it but no attribute 'function'."] if predecessors else []
        return FunctionNode(name, None, ()), wrong
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return FunctionNode(name, None, ()), [f"node {name!r}: {function!r} is no function with readable arguments."]
    arguments = tuple(p.name for p in parameters if p.default is p.empty)
    if sorted(arguments) != predecessors:
        return FunctionNode(name, function, ()), [
            f"node {name!r}: its function takes ({', '.join(arguments)}) but its edges come from "
            f"({', '.join(predecessors)}); arguments are named like predecessors."
        ]
    return FunctionNode(name, function, arguments), []
