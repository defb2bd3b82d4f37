"""Random computation graphs: a core that computes the answer, among nodes that do nothing, noise and spares.

A variable of the core is held by one node; by one that carries noise beside it; by two that hold a part each; or by
three of which readers take the majority, so that any two suffice. Beside them stand twins, which read what a node
of the core reads and are read where it is read, and ignored there; inputs that are noise; and, in some graphs, a
pair of nodes that cancel in the answer, which the true claim names: apart they would not cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np
from attrs import define, field, frozen

from planted.told import Planted, Spot, Step, Told, named
from scrub import Dataset, Metric, recovers
from scrub.model.computation import Computation

ROWS = 96
EXPECT = 0.99
NEEDED = 0.15  # on so many rows a story must change its answer when one reader gets one value of another row
NOISES, NOISE = ("n0", "n1"), 4
PAIR = ("rise", "fall")  # variables of equal value, of which the answer adds one and takes the other away
# How far off answers are. That a share of right ones lies above 0.99, and what adds nothing to it, takes 1,000 rows.
ERROR = Metric(lambda output, row: float(abs(output - row.columns["label"])), better="lower", name="error")


@frozen
class Carrier:
    """How a variable is held: the values of its nodes for (value, noise), and what readers make of these."""

    feature: str
    nodes: int
    write: Callable[[int, int], tuple[int, ...]]
    read: Callable[..., int]
    noisy: bool = False


CARRIERS = (
    Carrier("plain", 1, lambda value, _: (value,), lambda a: a),
    Carrier("plain", 1, lambda value, _: (value,), lambda a: a),
    Carrier("noise beside", 1, lambda value, noise: (value * NOISE + noise,), lambda a: a // NOISE, noisy=True),
    Carrier("two parts", 2, lambda value, _: (value // 2, value % 2), lambda a, b: 2 * a + b),
    Carrier("spare", 3, lambda value, _: (value,) * 3, lambda a, b, c: a if a in (b, c) else b),
)


@frozen
class CoreNode:
    """A variable of the core: its parents among variables and inputs, and its carrier's nodes."""

    name: str
    parents: tuple[str, ...]
    function: Callable[..., int]
    carrier: Carrier
    nodes: tuple[str, ...]


@define(eq=False)
class GraphSketch:
    """A computation graph as it grows. `reading` says which arguments a reader of a variable takes, and how."""

    rng: np.random.Generator
    size: int
    inputs: dict[str, int] = field(factory=dict)
    core: dict[str, CoreNode] = field(factory=dict)
    twins: dict[str, str] = field(factory=dict)  # twin -> the node of the core whose place it has
    functions: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = field(factory=dict)

    def arguments(self, parent: str) -> tuple[str, ...]:
        return self.core[parent].nodes if parent in self.core else (parent,)

    def decoded(self, parent: str, given: dict[str, Any]) -> Any:
        values = [given[name] for name in self.arguments(parent)]
        return self.core[parent].carrier.read(*values) if parent in self.core else values[0]

    def ignored(self, parents: Sequence[str]) -> tuple[str, ...]:
        """The twins of what is read: arguments that a reader takes and does not use."""
        read = {name for parent in parents for name in self.arguments(parent)}
        return tuple(twin for twin, node in self.twins.items() if node in read)

    def variable(self, name: str, parents: tuple[str, ...], function: Callable[..., int]) -> None:
        carrier = CARRIERS[self.rng.integers(len(CARRIERS))]
        nodes = tuple(f"h{name[1:]}{'' if carrier.nodes == 1 else 'abc'[i]}" for i in range(carrier.nodes))
        node = CoreNode(name, parents, function, carrier, nodes)
        noise = (NOISES[0],) if carrier.noisy else ()
        arguments = (*(a for p in parents for a in self.arguments(p)), *self.ignored(parents), *noise)
        for number, place in enumerate(nodes):
            self.functions[place] = arguments, self._written(node, number)
        self.core[name] = node
        if self.rng.random() < 0.6:
            self._twin(f"t{name[1:]}", nodes[0], arguments)

    def _written(self, node: CoreNode, number: int) -> Callable[..., Any]:
        def function(**given: Any) -> int:
            value = node.function(*(self.decoded(parent, given) for parent in node.parents))
            return node.carrier.write(value, given.get(NOISES[0], 0))[number]

        return function

    def _twin(self, name: str, of: str, arguments: tuple[str, ...]) -> None:
        weights = self.rng.integers(1, 7, len(arguments))
        self.functions[name] = arguments, lambda **given: int(weights @ [given[a] for a in arguments]) % self.size
        self.twins[name] = of

    def graph(self) -> nx.DiGraph[Any]:
        made: nx.DiGraph[Any] = nx.DiGraph()
        made.add_nodes_from((*self.inputs, *NOISES))
        for name, (arguments, function) in self.functions.items():
            made.add_node(name, function=named(name, arguments, function))
            made.add_edges_from((argument, name) for argument in arguments)
        return made


def computation(seed: int) -> Planted:
    """The graph of a seed, the first of its kind in which every part of the true claim is needed."""
    rng = np.random.default_rng([11, seed])
    while True:
        made = _computation(f"graph {seed}", rng)
        if all(share >= NEEDED for share in needs(made.told).values()) and _varying(made):
            return made


def _varying(made: Planted) -> bool:
    """Whether every node that the claim names has several values on the rows."""
    model = Computation.of(made.told.setting["model"])
    values = [model.run(row.columns) for row in made.told.setting["data"].rows]
    return all(len({v[n] for v in values}) > 1 for s in made.told.spots.values() for n in s[0].names)


def needs(told: Told) -> dict[tuple[str, str], float]:
    """For every edge (parent, reader), on how many rows the answer changes if that reader alone takes another's."""
    table = told.table
    edges = [(parent, name) for name, step in told.steps.items() for parent in step.parents]
    found = dict.fromkeys(edges, 0.0)
    for parent, reader in edges:
        for known, other in zip(table, [*table[1:], table[0]], strict=True):
            found[parent, reader] += (_swapped(told, known, other, parent, reader) != known[told.output]) / len(table)
    return found


def _swapped(told: Told, known: dict[str, Any], other: dict[str, Any], parent: str, reader: str) -> Any:
    now = dict(known)
    for name in told.order():
        given = {**now, **({parent: other[parent]} if name == reader else {})}
        now[name] = told.steps[name].function(*(given[p] for p in told.steps[name].parents))
    return now[told.output]


def _computation(name: str, rng: np.random.Generator) -> Planted:
    sketch = GraphSketch(rng, int(rng.integers(3, 6)))
    sketch.inputs = {f"x{i}": sketch.size for i in range(int(rng.integers(3, 5)))}
    last, count = list(sketch.inputs), 0
    for _ in range(int(rng.integers(1, 4))):
        layer: list[str] = []
        for _ in range(2):
            parents = tuple(str(p) for p in rng.choice(last, min(2, len(last)), replace=False))
            sketch.variable(f"v{count}", parents, _function(rng, sketch.size, len(parents)))
            layer.append(f"v{count}")
            count += 1
        last = [*layer, *([str(rng.choice(list(sketch.inputs)))] if rng.random() < 0.3 else [])]
    return _planted(name, sketch, tuple(last), rng)


def _function(rng: np.random.Generator, size: int, arity: int) -> Callable[..., int]:
    """A function of small numbers, in which every argument has a say; some merge values."""
    kind = str(rng.choice(["sum", "table", "max", "where"])) if arity > 1 else "table"
    table, shift = rng.integers(size, size=(size,) * arity), int(rng.integers(size))
    order = rng.permutation(size)
    merge = 2 if size > 3 and rng.random() < 0.3 else 1
    forms: dict[str, Callable[..., int]] = {
        "sum": lambda a, b: (a + b + shift) % size,
        "table": lambda *values: table[values],
        "max": lambda a, b: max(order[a], b),
        "where": lambda a, b: order[b] if a > shift % (size - 1) else b,
    }
    return lambda *values: int(forms[kind](*values)) // merge


def _planted(name: str, sketch: GraphSketch, last: tuple[str, ...], rng: np.random.Generator) -> Planted:
    weights = [int(w) for w in rng.integers(1, sketch.size, len(last))]
    pair = bool(rng.random() < 0.3)
    arguments = (*(a for p in last for a in sketch.arguments(p)), *sketch.ignored(last), NOISES[1])
    steps = {node.name: Step(node.parents, node.function) for node in sketch.core.values()}
    total: Callable[..., int] = lambda *values: sum(w * v for w, v in zip(weights, values, strict=False))  # noqa: E731
    if pair:
        sketch.inputs["z"] = sketch.size
        sketch.functions |= {place: (("z",), lambda *, z: (z * z + 1) % sketch.size) for place in ("up", "down")}
        steps |= {name: Step(("z",), lambda z: (z * z + 1) % sketch.size) for name in PAIR}
        arguments = (*arguments, "up", "down")

    def answer(**given: Any) -> int:
        found = total(*(sketch.decoded(parent, given) for parent in last))
        return int(found + given.get("up", 0) - given.get("down", 0)) % sketch.size

    def told(*values: int) -> int:
        rise, fall = values[len(last) :] or (0, 0)
        return int(total(*values) + rise - fall) % sketch.size

    sketch.functions["y"] = arguments, answer
    steps["answer"] = Step((*last, *(PAIR if pair else ())), told)
    return _claimed(name, sketch, _reachable(steps), rng)


def _reachable(steps: dict[str, Step]) -> dict[str, Step]:
    """The steps that the answer depends on."""
    graph = nx.DiGraph((parent, name) for name, step in steps.items() for parent in step.parents)
    kept = nx.ancestors(graph, "answer") | {"answer"}
    return {name: step for name, step in steps.items() if name in kept}


def _claimed(name: str, sketch: GraphSketch, steps: dict[str, Step], rng: np.random.Generator) -> Planted:
    holds = {variable: node.nodes for variable, node in sketch.core.items()} | {"rise": ("up",), "fall": ("down",)}
    spots = {
        variable: (Spot("nodes", holds.get(variable, ("y",)), "", _reads(step, holds)),)
        for variable, step in steps.items()
    }
    read = {parent for step in steps.values() for parent in step.parents}
    spots |= {column: (Spot("nodes", (column,)),) for column in sketch.inputs if column in read}
    columns = [
        {
            column: int(rng.integers(size))
            for column, size in {**sketch.inputs, **dict.fromkeys(NOISES, NOISE)}.items()
        }
        for _ in range(ROWS)
    ]
    told = Told(steps, spots, {})
    rows = [{"columns": {**row, "label": told.values(row)["answer"]}} for row in columns]
    setting = {
        "model": sketch.graph(), "data": Dataset.from_rows(rows), "metric": ERROR, "predicts": "label",
        "expect": recovers(EXPECT),
    }  # fmt: skip
    features = [node.carrier.feature for node in sketch.core.values() if node.name in steps]
    features += ["cancelling pair"] * ("rise" in steps) + ["twins"] * bool(sketch.twins)
    return Planted(
        name, "graph", told.but(**setting), {"nodes": (*sketch.functions, *sketch.inputs, *NOISES)},
        rows=None,
        spare={noise: Spot("nodes", (noise,)) for noise in NOISES},
        rivals={"cancelling pair left out": _apart(told.but(**setting))} if "rise" in steps else {},
        arguments={place: given for place, (given, _) in sketch.functions.items()},
        features=tuple(dict.fromkeys(features)),
    )  # fmt: skip


def _apart(told: Told) -> Told:
    """A claim that forgets the pair, whose nodes cancel while they come from one row."""
    (spot,) = told.spots["answer"]
    return told.spot("answer", 0, spot.without("rise").without("fall"))


def _reads(step: Step, holds: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {argument: (parent,) for parent in step.parents for argument in holds.get(parent, (parent,))}
