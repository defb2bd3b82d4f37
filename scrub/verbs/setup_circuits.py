"""The verbs of circuits: run one, patch paths, sweep, judge by the three criteria."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.check import name_of
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.claims.protocol import KEEP, Protocol
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError, some
from scrub.model.resolve import sound
from scrub.verbs.settings import complete, loaded, plain_experiment, protocol_of, record_of, said_by_the_claim
from scrub.verbs.setup import progress, references, subset, weights_of

if TYPE_CHECKING:
    from scrub.anatomy.edges import Node
    from scrub.circuit.bench import Bench
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.criteria import Criteria
    from scrub.circuit.experiment import Experiment
    from scrub.circuit.paths import Path
    from scrub.circuit.runs import CircuitRun
    from scrub.circuit.sweep import Sweep
    from scrub.model.weights import Transformer

CircuitLike = Any  # a Circuit, names of parts, or a hypothesis


def criteria(
    hypothesis: Hypothesis, model: Any = None, circuit: CircuitLike = None, rows: int | None = None, seed: int = 0,
    *, draws: int | None = None, random: int = 100, budget: int | None = None, tests: bool = True,
    device: str | None = None, dtype: str = "float32", ready: Callable[[Criteria], None] | None = None,
    **protocol: Any,
) -> Criteria:  # fmt: skip
    """Faithfulness, completeness and minimality of what a hypothesis names (Wang et al. 2022), with tests.

    Main arguments: `hypothesis`; `model` overrides its own; `circuit` judges another circuit in its setting (a
    Circuit, or names); `rows` takes a seeded subset; `seed`. Other arguments: `draws` for each row (`resample`
    alone, 5); `random` circuits and parts to compare with; `budget` of greedy search; `tests=False` leaves out the
    tests of the whole circuit; `device`, `dtype` of a transformer (a computation graph runs on the cpu, in the types
    of its own functions); and the words of the protocol, over the claim's own: `ablation`,
    `direction`, `level`, `reference`, `group`, `pair`, `through`, and `upstream`: what feeds a leaf of the claim is
    ablated as everything else that it does not name, or with `"keep"` left as it is, as in a test. `ready` hears,
    after each criterion, of what is known so far: its `unfinished` names those to come.

    Raises ClaimProblems, ClaimError, DataError, ModelError, MetricError.
    """
    from scrub.circuit.arguments import counted, setting
    from scrub.circuit.bench import ablatable
    from scrub.circuit.criteria import judge

    counted(rows=rows, draws=draws, seed=seed, random=random, budget=budget)
    setting(hypothesis, model, None, needed=True)
    claim, source = sound(hypothesis, model, expecting=False)
    chosen = protocol_of(hypothesis.criteria, protocol)
    named = _circuit(claim, circuit)
    if circuit is None or "level" in protocol:
        named = named.at_level(chosen.level)
    elif named.edges:
        named = named.at_level("edges")
    experiment, weights = loaded(claim, source, references(claim, rows, seed), chosen, device, dtype)
    if circuit is None:
        named = ablatable(named, experiment)
    held = _held(claim, named, chosen)
    with progress(hypothesis.title) as bar:
        bench = _bench(experiment, weights, named, seed, draws, bar, held)
        return judge(
            bench, named, name_of(hypothesis), record_of(source, weights, claim.data), random=random, budget=budget,
            tests=tests, cautions=_cautions(claim, named, chosen), begin=bar.phase,
            ready=ready or (lambda so_far: None),
        )  # fmt: skip


def run_circuit(
    circuit: CircuitLike, hypothesis: Hypothesis | None = None, *, without: bool = False, model: Any = None,
    data: Dataset | None = None, metric: str | Metric | None = None, at: str | int = -1, scored: str | None = None,
    rows: int | None = None, seed: int = 0, draws: int | None = None, device: str | None = None,
    dtype: str = "float32", **protocol: Any,
) -> CircuitRun:  # fmt: skip
    """Run one circuit: everything outside it ablated (or, `without=True`, the circuit itself).

    The setting is a hypothesis', or `model`, `data`, `metric` and `at`, the position where logits are read. Other
    arguments as in `criteria`. Raises as `criteria`.
    """
    from scrub.circuit.bench import calls_of
    from scrub.circuit.runs import RUNS, run

    if circuit is None:
        raise ClaimError("run_circuit(None): give a Circuit or names; Circuit.of(hypothesis) is what a claim names.")
    experiment, weights, named, record, held = _setting(
        circuit, hypothesis, model, data, metric, at, scored, rows, seed, draws, device, dtype, protocol
    )
    with progress("circuit", calls_of(experiment, draws, RUNS)) as done:
        return run(_bench(experiment, weights, named, seed, draws, done, held), named, without, record)


def patch_paths(
    paths: str | Sequence[str] | Sequence[Path], hypothesis: Hypothesis | None = None, *, model: Any = None,
    data: Dataset | None = None, metric: str | Metric | None = None, at: str | int = -1, scored: str | None = None,
    rows: int | None = None, seed: int = 0, draws: int | None = None, device: str | None = None,
    dtype: str = "float32", **protocol: Any,
) -> CircuitRun:  # fmt: skip
    """Patch along paths, all of them together: `"7.3 -> 9.9.q ~all~> logits"` (see docs/circuits.md).

    Under noising the model runs each row and the senders' values come from the ablation (`mean` by default;
    `paired`, `resample`, `zero`). Arguments as in `run_circuit`. Raises as `run_circuit`.
    """
    from scrub.circuit.arguments import names
    from scrub.circuit.bench import calls_of
    from scrub.circuit.paths import Path, paths_of
    from scrub.circuit.runs import RUNS, run_paths
    from scrub.circuit.sweep import bench_for

    names(paths, "paths", "'9.9 -> logits'", Path)
    _own_way(protocol)
    experiment, weights, _, record, _ = _setting(
        None, hypothesis, model, data, metric, at, scored, rows, seed, draws, device, dtype, protocol
    )
    listed = paths_of(paths, experiment.graph)
    with progress("paths", calls_of(experiment, draws, RUNS)) as done:
        return run_paths(bench_for(experiment, weights, listed, seed, draws, done), listed, record)


def sweep(
    senders: str | Sequence[str] = "heads mlps", to: str = "~all~> logits", hypothesis: Hypothesis | None = None, *,
    at: str | int | Sequence[str | int] | None = None, model: Any = None, data: Dataset | None = None,
    metric: str | Metric | None = None, read: str | int = -1, scored: str | None = None, rows: int | None = None,
    seed: int = 0, draws: int | None = None, device: str | None = None, dtype: str = "float32", **protocol: Any,
) -> Sweep:  # fmt: skip
    """Patch many senders, one at a time, and tell the effect of each: a labelled table, and a heat map.

    `senders` are `heads`, `mlps`, `attn`, `embed`, layers of these (`heads 0-3`) or names; `to` is the rest of the
    path, `-> logits` (direct), `~mlps~> logits`, `-> 9.9.q ~all~> logits`, or `~all~> logits` (activation
    patching, the default); `at` names positions, each swept on its own (default: every position together).
    With a receiver first (`-> 9.9.q ~all~> logits`) and `all` senders, every edge into it. Raises as `run_circuit`.
    """
    from scrub.circuit.arguments import names, positions, text
    from scrub.circuit.bench import calls_of
    from scrub.circuit.sweep import cases_of, sweep_paths

    names(senders, "senders", "'heads' or '9.9 9.6'")
    text(to, "to", "the rest of the path, such as '-> logits'")
    positions(at)
    _own_way(protocol)
    experiment, weights, _, record, _ = _setting(
        None, hypothesis, model, data, metric, read, scored, rows, seed, draws, device, dtype, protocol
    )
    cases = cases_of(senders, to, at, experiment.graph)
    with progress("sweep", calls_of(experiment, draws, len(cases) + 1)) as done:
        return sweep_paths(experiment, weights, cases, to, seed, draws, record, done)


def _setting(
    circuit: CircuitLike, hypothesis: Hypothesis | None, model: Any, data: Dataset | None,
    metric: str | Metric | None, at: str | int, scored: str | None, rows: int | None, seed: int,
    draws: int | None, device: str | None, dtype: str, protocol: dict[str, Any],
) -> tuple[Experiment, Transformer | None, Circuit, dict[str, Any], frozenset[Node]]:  # fmt: skip
    from scrub.circuit.arguments import counted, setting
    from scrub.circuit.circuit import Circuit

    counted(rows=rows, draws=draws, seed=seed)
    setting(hypothesis, model, data)
    if hypothesis is not None:
        said_by_the_claim(data=data, metric=metric, scored=scored)
        claim, source = sound(hypothesis, model, expecting=False)
        named = Circuit() if circuit is None else _circuit(claim, circuit)
        chosen = protocol_of(hypothesis.criteria, protocol)
        experiment, weights = loaded(claim, source, references(claim, rows, seed), chosen, device, dtype)
        record = record_of(source, weights, claim.data)
        return experiment, weights, named, record, _held(claim, named, chosen)
    source, data, metric = complete(model, data, metric)
    chosen = protocol_of(Protocol(), protocol)
    if chosen.upstream == KEEP:
        raise ClaimError("upstream='keep' is about the leaves of a claim: give a hypothesis, or leave it out.")
    experiment = plain_experiment(source, data, metric, at, scored, chosen)
    experiment = evolve(experiment, rows=subset(data, experiment.rows, rows, seed))
    weights = weights_of(source, data, device, dtype)
    named = Circuit() if circuit is None else _parsed(circuit, experiment.graph)
    return experiment, weights, named, record_of(source, weights, data), frozenset()


def _own_way(protocol: dict[str, Any]) -> None:
    if protocol.get("through") is not None:
        raise ClaimError("through=: paths say themselves what they pass through, '9.9 ~mlps~> logits'.")
    if protocol.get("upstream") is not None:
        raise ClaimError("upstream=: nothing that feeds a path is ablated, so that there is nothing to keep.")


def _held(claim: Claim, circuit: Circuit, protocol: Protocol) -> frozenset[Node]:
    """The leaves whose upstream is kept. Raises ClaimError where nothing could be."""
    from scrub.circuit.claimed import leaves_of

    if protocol.upstream != KEEP:
        return frozenset()
    if protocol.direction == "denoising":
        raise ClaimError(
            "upstream='keep': under denoising a circuit's parts have the values of the model's own run already: "
            "leave it out."
        )
    return leaves_of(claim, (*circuit.nodes, *circuit.edges))


def _cautions(claim: Claim, circuit: Circuit, protocol: Protocol) -> tuple[str, ...]:
    """What criteria ablate and a test does not: what feeds the claim's leaves."""
    from scrub.circuit.claimed import leaves_of

    leaves = leaves_of(claim, (*circuit.nodes, *circuit.edges))
    if protocol.direction == "denoising" or (not leaves and protocol.upstream != KEEP):
        return ()
    if not leaves:
        return ("upstream='keep' changes nothing: no leaf of the claim reads anything.",)
    named = some([str(node) for node in sorted(leaves)])
    if protocol.upstream == KEEP:
        return (f"what feeds the leaves {named} is kept (upstream='keep'); random parts as early have the same.",)
    return (
        f"what feeds the leaves {named} is ablated too, since the claim does not name it; a test computes leaves "
        "from the row itself, and may recover more. upstream='keep' (--upstream keep) judges the circuit that way.",
    )


def _circuit(claim: Claim, circuit: CircuitLike) -> Circuit:
    from scrub.circuit.circuit import Circuit

    return Circuit.of_claim(claim) if circuit is None else _parsed(circuit, claim.graph)


def _parsed(circuit: CircuitLike, graph: Any) -> Circuit:
    from scrub.circuit.arguments import kind_of, names
    from scrub.circuit.circuit import Circuit

    if isinstance(circuit, Hypothesis):
        return Circuit.of(circuit)
    if not isinstance(circuit, Circuit | str | list | tuple | set | frozenset):
        shown = kind_of(circuit)
        raise ClaimError(f"{shown} is no circuit: give a Circuit, or names such as '9.6 @ END, 9.9 @ END'.")
    if isinstance(circuit, Circuit):
        return circuit
    names(circuit, "parts", "'9.6 @ END'")
    return Circuit.parse(circuit, graph)


def _bench(
    experiment: Experiment, weights: Transformer | None, circuit: Circuit, seed: int, draws: int | None,
    done: Callable[[int], None], held: frozenset[Node] = frozenset(),
) -> Bench:  # fmt: skip
    from scrub.circuit.bench import Bench

    return Bench.of(experiment, weights, circuit, seed, draws, done, held)
