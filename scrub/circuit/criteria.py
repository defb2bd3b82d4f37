"""The three criteria of a circuit and the tests beside them, composed: what `scrub.criteria` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Bool, Float

from scrub.anatomy.tolerances import EQUIVALENT, EQUIVALENT_METRIC
from scrub.circuit.arguments import counted
from scrub.circuit.asked import Origin
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.completeness import Completeness, completeness
from scrub.circuit.cost import COMPLETE, FAITHFUL, MINIMAL, TESTS, means_of, passes_of
from scrub.circuit.experiment import described
from scrub.circuit.faithfulness import Faithfulness, faithfulness
from scrub.circuit.minimality import Needed, minimality
from scrub.circuit.random import only_one, random_circuits, why_alone
from scrub.circuit.runs import by_row
from scrub.circuit.sequential import StoppingRule, drawn
from scrub.circuit.significance import Finding, equivalence, independence, wins
from scrub.circuit.universe import is_input
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError
from scrub.score.listener import Listener
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

Row = Float[np.ndarray, " row"]


@frozen(eq=False)
class Criteria:
    """Faithfulness, completeness and minimality of a circuit, and tests with p-values.

    `parts` are the circuit's parts by name; `ablation` and `direction` say what was done outside it. `table`
    holds the metric of model, circuit and ablated run on each row. `cautions` say what else the numbers owe to.
    `unfinished` names the criteria that are still to come; completeness is None among these alone.
    """

    hypothesis: str
    digest: str
    metric: str
    better: str
    ablation: str
    direction: str
    level: str
    parts: tuple[str, ...]
    faithfulness: Faithfulness
    completeness: Completeness | None
    minimality: tuple[Needed, ...]
    tests: tuple[Finding, ...]
    rows: int
    draws: int
    seed: int
    options: dict[str, Any]
    provenance: dict[str, Any]
    published: str = ""
    table: dict[str, Any] = field(factory=dict[str, Any], repr=False)
    cautions: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "table"), "published": self.published or None}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a row: the metric of model, circuit and ablated run."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """Faithfulness, completeness and minimality as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


@frozen
class Effort:
    """How many random circuits and parts to compare with, the budget of greedy search, and whether all is tested.

    Compared with none, parts have their effects, and no p-value says which are needed. A comparison stops once
    `stop` random ones did as well (0: never; by default once it is decided, `StoppingRule.of`).
    """

    random: int = 100
    budget: int | None = None
    tests: bool = True
    stop: int | None = None

    def options(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {name: given for name, given in as_dict(self).items() if given != getattr(Effort(), name)}


def judge(bench: CircuitBench, circuit: Circuit, origin: Origin, effort: Effort, listener: Listener) -> Criteria:
    """All criteria of a circuit, one after the other; the listener hears of each, and of what is known after it.

    Raises ClaimError for an empty circuit and for impossible numbers.
    """
    if not circuit.parts:
        raise ClaimError(f"{origin.hypothesis}: an empty circuit has nothing to judge; name components or edges.")
    random, budget, tests = effort.random, effort.budget, effort.tests
    counted(random=random, budget=budget, stop=effort.stop)
    experiment, names = bench.experiment, circuit.names()
    phases = {one.name: one.calls for one in passes_of(bench, circuit, random, budget, tests)}
    left = list(phases)

    def start(name: str) -> None:
        left.remove(name)
        listener.begin(name, phases[name] + means_of(bench, name))

    def publish(so_far: Criteria) -> Criteria:
        so_far = evolve(so_far, unfinished=tuple(left))
        if listener.ready is not None:
            listener.ready(so_far)
        return so_far

    start(FAITHFUL)
    faithful, table = faithfulness(bench, circuit)
    found = publish(Criteria(
        origin.hypothesis or "", experiment.digest, str(experiment.metric), experiment.metric.better,
        experiment.protocol.ablation, experiment.protocol.direction, circuit.level,
        tuple(names[part] for part in circuit.parts), faithful, None, (), (),
        len(bench.rows), bench.draws, bench.seed, described(experiment) | effort.options(), origin.provenance,
        experiment.protocol.published, by_row(bench, table), origin.cautions,
    ))  # fmt: skip
    start(COMPLETE)
    found = publish(evolve(found, completeness=completeness(bench, circuit, budget)))
    start(MINIMAL)
    found = publish(evolve(found, minimality=minimality(bench, circuit, random, effort.stop)))
    if tests:
        start(TESTS)
        found = publish(evolve(found, tests=findings(bench, circuit, table, effort)))
    return found


def findings(bench: CircuitBench, circuit: Circuit, table: dict[str, Row], effort: Effort) -> tuple[Finding, ...]:
    """Better than random circuits, partial necessity, equivalence, independence of the complement."""
    model, own = table["model"], table["circuit"]
    distance = float(np.abs(table["ablated"] - model).mean())
    tolerance = EQUIVALENT * max(distance, float(np.abs(model).mean()) * EQUIVALENT_METRIC)
    knocked = bench.scores([circuit], without=True)[0]
    return (
        _better_than_random(bench, circuit, table, tolerance, effort),
        _necessary(bench, circuit, model, tolerance, effort),
        equivalence(own - model, tolerance),
        independence(knocked, model, seed=bench.seed, tolerance=tolerance),
    )


def _better_than_random(
    bench: CircuitBench, circuit: Circuit, table: dict[str, Row], tolerance: float, effort: Effort
) -> Finding:
    name = "better than random circuits of equal size"
    null = "the circuit is closer to the model, row by row, than at most 90 % of random circuits of equal size"
    model, rivals = table["model"], _rivals(bench, circuit, effort.random, outside=False)
    if not rivals:
        return wins(name, null, 0, 0, reason=why_alone(circuit, bench.experiment.graph, effort.random))
    distance, beside = np.abs(table["circuit"] - model).mean(), bench.beside(circuit)

    def won(some: Sequence[Circuit]) -> Bool[np.ndarray, " circuit"]:
        return distance < np.abs(beside.scores(some) - model).mean(1) - tolerance

    return _compared(name, null, rivals, won, effort)


def _necessary(bench: CircuitBench, circuit: Circuit, model: Row, tolerance: float, effort: Effort) -> Finding:
    """Knocked out are the parts that are no inputs, and random ones in their place: without inputs nothing works."""
    name = "partial necessity"
    null = "knocking the circuit out moves the model more than that of at most 90 % of random ones"
    graph = bench.experiment.graph
    inner = Circuit.from_parts(part for part in circuit.expanded(graph).parts if not is_input(part, graph))
    rivals = _rivals(bench, inner, effort.random, outside=True)
    if not rivals:
        return wins(name, null, 0, 0, reason=why_alone(circuit, graph, effort.random))

    [own] = _moved(bench, [inner], model)

    def won(some: Sequence[Circuit]) -> Bool[np.ndarray, " circuit"]:
        return own > _moved(bench, some, model) + tolerance

    return _compared(name, null, rivals, won, effort)


def _moved(bench: CircuitBench, circuits: Sequence[Circuit], model: Row) -> Float[np.ndarray, " circuit"]:
    """How far knocking out each circuit moves the model, row by row."""
    return np.abs(bench.scores(circuits, without=True) - model).mean(1)


def _compared(
    name: str, null: str, rivals: Sequence[Circuit], won: Callable[[Sequence[Circuit]], Bool[np.ndarray, " circuit"]],
    effort: Effort,
) -> Finding:  # fmt: skip
    """The test of what is won against random circuits, in their order, until it is decided."""
    rule = StoppingRule.of(len(rivals), effort.stop)
    [count] = drawn(rule, 1, lambda numbers: won([rivals[i] for i in numbers])[None])
    return wins(name, null, count.wins, count.n, rule=rule)


def _rivals(bench: CircuitBench, circuit: Circuit, number: int, outside: bool) -> list[Circuit]:
    graph = bench.experiment.graph
    inputs = all(is_input(part, graph) for part in circuit.expanded(graph).parts)
    if inputs or only_one(circuit, bench.universe):
        return []
    return random_circuits(circuit, bench.universe, number, bench.seed, outside=outside)
