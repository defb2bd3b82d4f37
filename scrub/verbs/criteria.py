"""`scrub.criteria`: a circuit by the three criteria."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.protocol import KEEP, Protocol
from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.errors import some
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import keeping, progress, references, working
from scrub.verbs.setup_circuits import (
    CircuitLike,
    ReadyCircuit,
    Sampling,
    held_of,
    loaded,
    named_circuit,
    protocol_of,
    record_of,
    warnings_of_tokens,
)

if TYPE_CHECKING:
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.criteria import Criteria
    from scrub.storage.directory import Run


def criteria(
    hypothesis: Hypothesis, model: Any = None, circuit: CircuitLike = None, rows: int | None = None, seed: int = 0,
    *, draws: int | None = None, random: int = 100, budget: int | None = None, tests: bool = True,
    stop: int | None = None,
    device: str | None = None, dtype: str = "auto", memory: Asked = None, cache: str | Path | None = None,
    workers: int = 1, ray: str | None = None, stream: bool = False,
    out: str | Path | Run | None = None, ready: Callable[[Criteria], None] | None = None, **protocol: Any,
) -> Criteria:  # fmt: skip
    """Faithfulness, completeness and minimality of what a hypothesis names (Wang et al. 2022), with tests.

    Main arguments: `hypothesis`; `model` overrides its own; `circuit` judges another circuit in its setting (a
    Circuit, or names); `rows` takes a seeded subset; `seed`. Other arguments: `draws` for each row (`resample`
    alone, 5); `random` circuits and parts to compare with (0: effects alone); `stop` ends a comparison once that
    many random ones did as well (0: never; by default once it is decided, docs/statistics.md); `budget` of greedy
    search; `tests=False` leaves out the tests of the whole circuit; `device`, `dtype`, `memory`, `cache`, `workers`,
    `ray` and `stream` of a transformer, as in `test` (a graph runs on cpu, in the types of its own functions); and
    the words of the protocol, over the claim's own: `ablation`, `direction`, `level`, `reference`, `group`, `pair`,
    `through`, and `upstream`: what feeds a leaf of the claim is ablated as everything else that it does not name, or
    with `"keep"` left as it is, as in a test.
    `out` is a directory in which scores are kept block by block: the same call goes on from there. `ready` hears,
    after each criterion, of what is known so far: its `unfinished` names those to come.

    Raises ClaimProblems, ClaimError, DataError, ModelError, MetricError.
    """
    from scrub.circuit.arguments import counted, setting
    from scrub.circuit.asked import Origin
    from scrub.circuit.bench import ablatable
    from scrub.circuit.criteria import Effort, judge
    from scrub.score.listener import Listener
    from scrub.storage.circuits import keep_circuits
    from scrub.storage.directory import beside_run

    counted(rows=rows, draws=draws, seed=seed, random=random, budget=budget, stop=stop)
    backend = Backend(device, dtype, memory, workers=working(workers, ray))
    setting(hypothesis, model, None, needed=True)
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    chosen = protocol_of(hypothesis.criteria, protocol)
    named = named_circuit(claim, circuit)
    if circuit is None or "level" in protocol:
        named = named.at_level(chosen.level)
    elif named.edges:
        named = named.at_level("edges")
    run = beside_run(out, [name_of(hypothesis)]) if isinstance(out, str | Path) else out
    backend = keeping(backend, cache, run)
    experiment, weights = loaded(claim, source, references(claim, rows, seed), chosen, backend)
    if circuit is None:
        named = ablatable(named, experiment)
    held = held_of(claim, named, chosen)
    with progress(hypothesis.title) as bar:
        cautions = *_cautions(claim, named, chosen), *warnings_of_tokens(source, experiment)
        record = record_of(source, weights, claim.data)
        bench = ReadyCircuit(named, experiment, weights, record, held).bench(Sampling(rows, seed, draws), bar)
        bench = bench if run is None else keep_circuits(run, bench)
        origin = Origin(name_of(hypothesis), record, cautions=cautions)
        return judge(bench, named, origin, Effort(random, budget, tests, stop), Listener(bar.phase, ready=ready))


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
