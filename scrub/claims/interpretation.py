# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnnecessaryIsInstance=false
"""The interpretation: a story of what is computed, as a graph of variables, each a function of its parents.

    story = Interpretation()

    @story.variable
    def doubled(s1, s2):
        return s2 if s2 == s1 else None

Parameter names are the edges: a parameter named like a variable reads it, any other one reads the column of
that name. The story is executable, so that it is tested by itself before any model is touched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar, overload

import networkx as nx
from attrs import frozen

from scrub.claims.problems import at_line
from scrub.claims.values import Value, binned, canonical
from scrub.errors import ClaimError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Variable:
    """One step of the story. `step` is the bin width of a rounded variable; `file` and `line` its place."""

    name: str
    function: Callable[..., Any]
    parents: tuple[str, ...]
    step: float | None = None
    file: str | None = None
    line: int | None = None

    @property
    def is_stub(self) -> bool:
        """Whether it returns `...` whatever its parents are: a step that is still to be said."""
        try:
            return self.function(**dict.fromkeys(self.parents, object())) is ...
        except Exception:  # a function that reads its parents
            return False

    def value(self, known: Mapping[str, Any]) -> Value:
        """The value where the parents' values are `known`.

        Raises ClaimError naming the variable when a parent is missing, the function fails, or its result is
        no value.
        """
        for parent in self.parents:
            if parent not in known:
                raise ClaimError(f"variable {self.name!r}: the row has no {parent!r}.{did_you_mean(parent, known)}")
        try:
            raw = self.function(**{parent: known[parent] for parent in self.parents})
        except Exception as error:
            raise ClaimError(
                f"variable {self.name!r} raised {type(error).__name__}: {error}{at_line(error)}"
            ) from error
        try:
            return canonical(raw) if self.step is None else binned(raw, self.step)
        except ValueError as error:
            raise ClaimError(f"variable {self.name!r}: {error}.") from None


class Interpretation:
    """A graph of variables. Variables are added by decorating functions; the first use freezes the story."""

    def __init__(self) -> None:
        self._variables: dict[str, Variable] = {}
        self._frozen = False
        self._order: tuple[Variable, ...] | None = None  # kept by the story, which is frozen once it is ordered

    @overload
    def variable(self, function: F, /) -> F: ...
    @overload
    def variable(self, /, *, round: float | None = None) -> Callable[[F], F]: ...
    def variable(self, function: Any = None, /, *, round: float | None = None) -> Any:
        """Add a variable: its parents are the function's parameters, one with a default is a constant.

        `round=0.25` lets the function return floats and stores the nearest multiple. The plain function is
        returned, so that a story is unit-tested like any code.
        """
        if function is None:
            return partial(self._decorate, round)
        return self._decorate(round, function)

    def add(self, name: str, function: Callable[..., Any], round: float | None = None) -> None:
        """Add a variable of this name, whatever its function is called."""
        self._add(name, function, round)

    def _decorate(self, step: float | None, function: F) -> F:
        return self._add(getattr(function, "__name__", repr(function)), function, step)

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> Interpretation:
        """The story of a graph whose nodes carry a `function`; nodes without one are columns of the data.

        Raises ClaimError when a function's parameters are not the node's predecessors. `check` finds cycles.
        """
        if not isinstance(graph, nx.Graph):
            raise ClaimError(f"from_networkx({type(graph).__name__}): the story's graph is a networkx.DiGraph.")
        if not graph.is_directed():
            raise ClaimError("the story's graph has no directions: use a networkx.DiGraph.")
        story = cls()
        for node, attributes in graph.nodes(data=True):
            function = attributes.get("function")
            predecessors = sorted(map(str, graph.predecessors(node)))
            if function is None:
                if predecessors:
                    raise ClaimError(f"node {node!r} has edges into it but no attribute 'function'.")
                continue
            parents = _parents(str(node), function)
            if sorted(parents) != predecessors:
                raise ClaimError(
                    f"node {node!r}: its function takes ({', '.join(parents)}) but its edges come from "
                    f"({', '.join(predecessors)}); arguments are named like predecessors."
                )
            story._add(str(node), function, attributes.get("round"))
        return story

    def _add(self, name: str, function: F, step: float | None) -> F:
        if self._frozen:
            raise ClaimError(f"variable {name!r} comes too late: the story was used already and is frozen.")
        if name in self._variables:
            raise ClaimError(f"variable {name!r} is defined twice in one story.")
        if step is not None and not (isinstance(step, int | float | Fraction) and step > 0):
            raise ClaimError(f"variable {name!r}: round={step!r} must be a positive width.")
        code = getattr(function, "__code__", None)
        place = (code.co_filename, code.co_firstlineno) if code is not None else (None, None)
        self._variables[name] = Variable(name, function, _parents(name, function), step, *place)
        return function

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The variables by name, in the order in which they were written. Freezes the story."""
        self._frozen = True
        return self._variables

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that the story reads."""
        read = dict.fromkeys(p for v in self.variables.values() for p in v.parents)
        return tuple(name for name in read if name not in self._variables)

    @property
    def graph(self) -> nx.DiGraph:
        """The story as a networkx graph: variables carry `function`, columns do not. Freezes the story."""
        graph = nx.DiGraph()
        for variable in self.variables.values():
            graph.add_node(variable.name, function=variable.function)
            graph.add_edges_from((parent, variable.name) for parent in variable.parents)
        return graph

    def outputs(self) -> tuple[str, ...]:
        """Variables that no variable reads; a story has exactly one."""
        read = {p for v in self.variables.values() for p in v.parents}
        return tuple(name for name in self._variables if name not in read)

    def cycle(self) -> tuple[str, ...]:
        """A cycle of variables, closed by its first one, or an empty tuple."""
        try:
            edges = nx.find_cycle(self.graph)
            return (*(edge[0] for edge in edges), edges[0][0])
        except nx.NetworkXNoCycle:
            return ()

    def order(self) -> tuple[Variable, ...]:
        """The variables, parents first; among equals in alphabetical order, however they were written."""
        if self._order is None:
            names = nx.lexicographical_topological_sort(self.graph)
            self._order = tuple(self._variables[name] for name in names if name in self._variables)
        return self._order

    def run(self, row: Mapping[str, Any], given: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """Every variable's value on a row of columns; `given` fixes variables at values of one's own.

        Raises ClaimError as `Variable.value` does.
        """
        if not isinstance(row, Mapping):
            raise ClaimError(f"story.run({row!r}): give a row's columns as a mapping, such as row.columns.")
        known: dict[str, Any] = dict(row)
        fixed = given or {}
        for variable in self.order():
            name = variable.name
            known[name] = fixed[name] if name in fixed else variable.value(known)
        return {name: known[name] for name in self._variables}

    def __repr__(self) -> str:
        return f"Interpretation({', '.join(self._variables)})"


def _parents(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    if not callable(function):
        raise ClaimError(f"variable {name!r}: {function!r} is not a function.")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise ClaimError(f"variable {name!r}: the parameters of {function!r} cannot be read; wrap it.") from None
    starred = [p.name for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY)]
    if starred:
        raise ClaimError(
            f"variable {name!r}: the parameter {starred[0]!r} is no edge; name every parent as a plain parameter."
        )
    return tuple(p.name for p in parameters if p.default is p.empty)
