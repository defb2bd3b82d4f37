"""The verb of proposals: what in a model is worth claiming, for a claim's setting or for a model and data at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub import store
from scrub.claims.check import name_of
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.claims.names import Component
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.computation import Computation
from scrub.model.graph import TransformerGraph
from scrub.model.resolve import sound
from scrub.run import progress, references, subset
from scrub.settings import complete, plain_experiment, record_of, said_by_the_claim, weights_of

if TYPE_CHECKING:
    from scrub.circuit.experiment import Experiment
    from scrub.model.source import Source
    from scrub.proposals.naming import Setting
    from scrub.proposals.proposal import Proposal
    from scrub.proposals.setup import Setup
    from scrub.proposals.wanted import Wanted

MOST_ROWS = 64  # unless more are asked for; at most half, so that the others are left to test a claim on


def propose(
    hypothesis: Hypothesis | None = None, *, model: Any = None, data: Dataset | str | Path | None = None,
    metric: str | Metric | None = None, pair: str | None = None, method: str = "recommended",
    direction: str = "noising", nodes: str | Sequence[str] | None = None,
    at: str | int | Sequence[str | int] | None = None, rows: int | None = None, seed: int = 0,
    rules: str | Sequence[str] | None = None, steps: int = 5, over: str = "inputs", absolute: bool | None = None,
    edges: bool | None = None, verify: int = 64, top: int = 10, draws: int = 256, read: str | int = -1,
    scored: str | None = None, write: str | Path | None = None, device: str | None = None, dtype: str = "float32",
) -> Proposal:  # fmt: skip
    """Rank the parts of a model by what patching them does to the metric, and verify the first by patching.

    Main arguments: a `hypothesis`, whose setting is used, or `model`, `data` (a Dataset, or a file for
    `Dataset.from_jsonl`), `metric`; `pair` is the column of each row's counterfactual (the claim's own by default;
    without one, a row is drawn from the claim's rest rows);
    `method` is `recommended` or one of `scrub.proposals.methods`; `direction` is `noising` (the row is patched with
    its partner's values) or `denoising`; `nodes` are kinds (`"heads q k v mlps neurons"`); `at` names positions,
    each a node of its own (default: a node is patched at every position); `rows` are seen (default: half of the
    scored rows, at most 64), so that a claim can be tested on the others.
    Other arguments: `rules` of relevance propagation; `steps` and `over` (`inputs`, `activations`) of integrated
    gradients; `absolute` takes means of absolute values (default: as the method's source does); `edges` are
    estimated where the method can; `verify` nodes are patched at most, until the `top` stand; `draws` random subsets
    bound the rest; `read` is where logits are read without a hypothesis; `write` is a .py file, new, that gets a
    claim to start from (rows that are in no file yet are written beside it, as .jsonl).

    Raises ClaimProblems, ClaimError, DataError, ModelError, MetricError.
    """
    from scrub.circuit.arguments import counted, names, positions, setting
    from scrub.claims.protocol import protocol

    counted(rows=rows, seed=seed, verify=verify, top=top, subsets=draws, steps=steps)
    rows_file = Path(data) if isinstance(data, str | Path) else None
    data = Dataset.from_jsonl(data) if isinstance(data, str | Path) else data
    setting(hypothesis, model, data)
    target = None if write is None else _target(Path(write), rows_file, edges)
    positions(at)
    if nodes is not None:
        names(nodes, "kinds of nodes", "'heads mlps'")
    protocol(direction=direction)
    _evaluating(model)
    experiment, source, drawn, hypothesis_name = (
        _of_claim(hypothesis, model, pair, direction, rows, seed, data, metric, scored)
        if hypothesis is not None
        else _at_hand(model, data, metric, pair, direction, rows, seed, read, scored)
    )
    weights = weights_of(source, experiment.data, device, dtype)
    record = record_of(source, weights, experiment.data)
    from scrub.proposals.wanted import Wanted, kinds_of, slots_of

    wanted = Wanted(method, (), rules, steps, over, absolute, True if target else edges, verify, top, draws, seed)
    claimed = None if hypothesis is None else _claimed(hypothesis, model)
    with progress("propose", 0) as done:
        if weights is None:
            if target:
                raise ClaimError(f"write={write}: what is written are claims about transformers, not about graphs.")
            from scrub.proposals.on_graph import search_graph

            return search_graph(experiment, wanted, hypothesis_name, claimed, record, done)
        from scrub.proposals.search import search
        from scrub.proposals.setup import Setup, drawn_partners

        partners = drawn_partners(experiment, seed) if drawn else experiment.pair[experiment.rows]
        found = Setup.of(experiment, weights, partners, slots_of(at))
        wanted = evolve(wanted, kinds=kinds_of(nodes, wanted, weights))
        begun = _begun(hypothesis, model, found, wanted, source, scored, rows_file, target) if target else None
        proposal = search(found, wanted, hypothesis_name, claimed, record, done)
        if target and begun:
            _write(target, begun, found, proposal, rows_file is None, done)
        return proposal


def _of_claim(
    hypothesis: Hypothesis, model: Any, pair: str | None, direction: str, rows: int | None, seed: int,
    data: Dataset | None, metric: str | Metric | None, scored: str | None,
) -> tuple[Experiment, Source, bool, str]:  # fmt: skip
    """The experiment of a claim's setting, and whether partners are drawn because nothing names them."""
    from scrub.circuit.experiment import experiment_of

    said_by_the_claim(data=data, metric=metric, scored=scored)
    claim, source = sound(hypothesis, model, expecting=False)
    own = hypothesis.criteria
    column = pair or claim.options.pair or own.pair
    chosen = evolve(own, ablation="paired" if column else "resample", direction=direction, pair=column)
    count = _rows(int(claim.scored.sum()), rows)
    experiment = experiment_of(claim, references(claim, count, seed), chosen, source.tokenizer)
    return experiment, source, column is None, name_of(hypothesis)


def _at_hand(
    model: Any, data: Dataset | None, metric: str | Metric | None, pair: str | None, direction: str,
    rows: int | None, seed: int, read: str | int, scored: str | None,
) -> tuple[Experiment, Source, bool, None]:  # fmt: skip
    from scrub.proposals.setup import HOW

    source, data, metric = complete(model, data, metric)
    if pair is None:
        raise DataError(f"the data have no counterfactuals: nothing says what each row is compared with. {HOW}")
    chosen = Protocol(ablation="paired", direction=direction, pair=pair)
    experiment = plain_experiment(source, data, metric, read, scored, chosen)
    count = _rows(len(experiment.rows), rows)
    return evolve(experiment, rows=subset(data, experiment.rows, count, seed)), source, False, None


def _target(file: Path, rows: Path | None, edges: bool | None) -> Path:
    """Where a claim is to be written. Raises ClaimError where it cannot be, before anything is run."""
    if edges is False:
        raise ClaimError(f"write={file}: what groups of heads read is told from edges: leave edges=False out.")
    if file.suffix != ".py":
        raise ClaimError(f"write={file}: claims are written in Python: call it {file.with_suffix('.py').name}.")
    for made in (file, file.with_suffix(".jsonl")) if rows is None else (file,):
        if made.exists():
            raise ClaimError(f"write={file}: {made} exists already, and is left as it is: choose another name.")
        store.writable(made)
    return file


def _begun(
    hypothesis: Hypothesis | None, model: Any, setup: Setup, wanted: Wanted, source: Source, scored: str | None,
    rows: Path | None, target: Path,
) -> Setting:  # fmt: skip
    """The setting of the claim to be written. Raises ClaimError where it could not be tested."""
    from scrub.proposals.naming import Setting
    from scrub.proposals.write import model_name, path_from

    if not {"head", "q", "k", "v"}.intersection(wanted.kinds):
        raise ClaimError(f"write={target}: a claim is begun with heads: leave nodes= out, or add 'heads'.")
    options = {} if hypothesis is None else hypothesis.options.deviations()
    seen = tuple(sorted({*options.pop("seen", ()), *setup.seen}))
    options.pop("together", None)  # it names variables of the other story
    options |= {} if scored is None else {"scored": scored}
    if setup.model.shape.d_mlp and "through" not in options:
        options["through"] = ("mlps",)
    given = model if model is not None or hypothesis is None else hypothesis.model
    name, loaded = model_name(given, source.name)
    criteria = Protocol() if hypothesis is None else hypothesis.criteria
    file = path_from(target, rows or target.with_suffix(".jsonl"))
    begun = Setting(name, loaded, setup.experiment.data.origin, file, setup.metric, options, criteria, seen)
    if begun.label is None:
        raise ClaimError(
            f"write={target}: metric {setup.metric} names no column of right answers, which a claim needs: write a "
            "claim with predicts='column', or use another metric, such as 'logit_diff(a, b)'."
        )
    if not begun.left:
        raise ClaimError(
            f"write={target}: all rows would be seen, with their partners, and none be left to test a claim on: look "
            "at fewer (rows=), or give more data."
        )
    return begun


def _write(
    file: Path, begun: Setting, setup: Setup, proposal: Proposal, with_rows: bool, done: Callable[[int], None]
) -> None:
    """The claim, and its rows where they are in no file yet: both or none. Raises ClaimError, DataError."""
    from scrub.proposals.sketch import sketch
    from scrub.proposals.write import hypothesis_file, rows_file

    passed = setup.experiment.graph.passed(begun.options.get("through", ()))
    text = hypothesis_file(sketch(setup, proposal, passed, done), proposal, begun, file.name)
    beside = file.with_suffix(".jsonl")
    if with_rows:
        store.write_text(beside, rows_file(begun.data))
    try:
        store.write_text(file, text)
    except ClaimError:
        if with_rows:
            beside.unlink(missing_ok=True)
        raise


def _rows(there: int, asked: int | None) -> int:
    return asked if asked is not None else min(MOST_ROWS, max(1, there // 2))


def _claimed(hypothesis: Hypothesis, model: Any) -> frozenset[Component]:
    """The components that a claim names or passes through, in the finest parts."""
    from scrub.circuit.claimed import circuit_of
    from scrub.circuit.universe import expand

    claim, _ = sound(hypothesis, model, expecting=False)
    assert isinstance(claim.graph, TransformerGraph | Computation)
    named = expand(circuit_of(claim), claim.graph)
    return frozenset(node.component for node in named.nodes) | claim.passed


def _evaluating(model: Any) -> None:
    """Raises ModelError for a loaded model in training mode."""
    if getattr(model, "training", False) is True:
        raise ModelError(
            "the model is in training mode, in which dropout changes what it computes: call model.eval() first."
        )
