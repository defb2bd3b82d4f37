"""The verb of proposals: what in a model is worth claiming, for a claim's setting or for a model and data at hand."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.metric import Metric
from scrub.claims.protocol import Protocol
from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, DataError, ModelError, path_of
from scrub.model.computation import Computation
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import keeping, progress, references, subset, weights_of, working
from scrub.verbs.setup_circuits import (
    GivenSetting,
    Sampling,
    complete,
    plain_experiment,
    record_of,
    said_by_the_claim,
)
from scrub.verbs.write import claim_setting, target_of, write_claim

if TYPE_CHECKING:
    from scrub.circuit.experiment import Experiment
    from scrub.model.source import Source
    from scrub.proposals.dictionaries import Given
    from scrub.proposals.proposal import Proposal

MOST_ROWS = 64  # unless more are asked for; at most half, so that the others are left to test a claim on


@contextmanager
def differentiable() -> Generator[None]:
    """Gradients on, whatever the caller has switched off: notebooks often do, for the whole process."""
    import torch

    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


@differentiable()
def propose(
    hypothesis: Hypothesis | None = None, *, model: Any = None, data: Dataset | str | Path | None = None,
    metric: str | Metric | None = None, pair: str | None = None, method: str = "recommended",
    direction: str = "noising", nodes: str | Sequence[str] | None = None,
    dictionary: Given | Sequence[Given] | Mapping[str, Given] | None = None,
    at: str | int | Sequence[str | int] | None = None, rows: int | None = None, seed: int = 0,
    rules: str | Sequence[str] | None = None, steps: int = 5, over: str = "inputs", points: str | None = None,
    absolute: bool | None = None, edges: bool | None = None, verify: int | str = 64, top: int = 10, draws: int = 256,
    read: str | int = -1, scored: str | None = None, write: str | Path | None = None,
    device: str | None = None, dtype: str = "auto", memory: Asked = None, cache: str | Path | None = None,
    workers: int = 1, ray: str | None = None, stream: bool = False,
    ready: Callable[[Proposal], None] | None = None,
) -> Proposal:  # fmt: skip
    """Rank the parts of a model by what patching them does to the metric, and verify the first by patching.

    Main arguments: a `hypothesis`, whose setting is used, or `model`, `data` (a Dataset, or a file for
    `Dataset.from_jsonl`), `metric`; `pair` is the column of each row's counterfactual (the claim's own by default;
    without one, a row is drawn from the claim's rest rows);
    `method` is `recommended` or one of `scrub.proposals.methods`; `direction` is `noising` (the row is patched with
    its partner's values) or `denoising`; `nodes` are kinds (`"heads q k v mlps neurons"`, `"channels"` for q, k and
    v); `dictionary` is the directory of one, several, or `{"resid 8": "DIR"}`, whose latents and error are ranked,
    alone unless `nodes` are named; `at` names positions, each a node of its own (default: a node is patched at every
    position); `rows` are seen (default: half of the scored rows, at most 64), so that a claim can be tested on the
    others.
    Other arguments: `rules` of relevance propagation; `steps`, `over` (`inputs`, `activations`, `senders`) and
    `points` (`left`, `midpoint`, `right`; default: the method's own) of integrated gradients; `absolute` takes means
    of absolute values, of nodes and edges (default: nodes as the method's source does, edges signed); `edges` are
    estimated where the method can; `verify` nodes are patched at most, until the `top` stand (`"all"`: every node,
    whatever stands); `draws` random subsets bound the rest; `read` is where logits are read without a hypothesis;
    `write` is a .py file, new, that gets a claim to start from (rows that are in no file yet are written beside it,
    as .jsonl); `memory`, `cache`, `workers`, `ray` and `stream` are as in `test`;
    `ready` hears, once nodes are ranked and after every few patches, of what is known so far.

    Raises ClaimProblems, ClaimError, DataError, ModelError, MetricError.
    """
    from scrub.circuit.arguments import counted, names, positions, setting
    from scrub.claims.protocol import protocol
    from scrub.proposals.cost import EVERY

    backend = keeping(Backend(device, dtype, memory, workers=working(workers, ray)), cache)
    counted(rows=rows, seed=seed, verify=0 if verify == EVERY else verify, top=top, subsets=draws, steps=steps)
    rows_file = Path(data) if isinstance(data, str | Path) else None
    data = Dataset.from_jsonl(data) if isinstance(data, str | Path) else data
    setting(hypothesis, model, data)
    target = None if write is None else target_of(path_of(write, "write="), rows_file, edges)
    positions(at)
    if nodes is not None:
        names(nodes, "kinds of nodes", "'heads mlps'")
    if rules:
        names(rules, "rules", "'ln identity half'")
    protocol(direction=direction)
    _evaluating(model)
    given = GivenSetting(hypothesis, given_model(hypothesis, model, stream), data, metric, read, scored)
    asked = (_at_hand if hypothesis is None else _of_claim)(given, pair, direction, Sampling(rows, seed, None))
    experiment, source = asked.experiment, asked.source
    _evaluating(source.loaded)
    weights = weights_of(source, experiment.data, backend)
    record = record_of(source, weights, experiment.data)
    from scrub.circuit.asked import Origin
    from scrub.proposals.wanted import Wanted, has_latents, kinds_of, slots_of
    from scrub.score.listener import Listener

    wanted = Wanted(
        method, (), rules, steps, over, points, absolute, True if target else edges, verify, top, draws, seed
    )
    wanted.check()
    origin = Origin(asked.name, record, asked.claimed)
    with progress("propose") as bar:
        listener = Listener(bar.phase, bar, ready)
        if weights is None:
            from scrub.proposals.on_graph import search_graph

            if target:
                raise ClaimError(f"write={write}: what is written are claims about transformers, not about graphs.")
            if dictionary is not None:
                raise ClaimError("dictionary=: the model is a computation graph, whose nodes have no latents.")
            return search_graph(experiment, wanted, origin, listener)
        from scrub.proposals.dictionaries import dictionaries_of, with_dictionaries
        from scrub.proposals.nodes import LATENTS
        from scrub.proposals.search import search
        from scrub.proposals.setup import Setup, drawn_partners
        from scrub.proposals.write_parts import of_parts

        graph = experiment.graph
        assert isinstance(graph, TransformerGraph)
        placed = dictionaries_of(dictionary, graph, source.name)
        if placed:
            has_latents(wanted)
        kinds = kinds_of(nodes, wanted, weights) if nodes is not None or not placed else ()
        parts = of_parts((*kinds, *(LATENTS for _ in placed)))  # of which no edges are estimated
        wanted = evolve(wanted, kinds=kinds, edges=False if parts and edges is None else wanted.edges)
        partners = drawn_partners(experiment, seed) if asked.drawn else experiment.pair[experiment.rows]
        setup = Setup.of(experiment, weights, partners, slots_of(at), wanted.gradient)
        setup = with_dictionaries(setup, placed)
        wanted = evolve(wanted, kinds=(*kinds, *setup.dictionaries))
        claim = claim_setting(given, setup, wanted, source, target) if target else None
        proposal = search(setup, wanted, origin, listener)
        if target and claim:
            bar.phase("what heads read", 0)
            write_claim(target, claim, setup, proposal, bar)
        return proposal


@frozen
class _Asked:
    """What is looked at; `drawn` says that partners are drawn, because nothing names them."""

    experiment: Experiment
    source: Source
    drawn: bool
    name: str | None = None
    claimed: frozenset[Component] | None = None


def _of_claim(given: GivenSetting, pair: str | None, direction: str, sampling: Sampling) -> _Asked:
    from scrub.circuit.experiment import experiment_of

    said_by_the_claim(data=given.data, metric=given.metric, scored=given.scored)
    hypothesis = given.hypothesis
    assert hypothesis is not None
    claim, source = sound(hypothesis, given.model, expecting=False)
    own = hypothesis.criteria
    column = pair or claim.options.pair or own.pair
    chosen = evolve(own, ablation="paired" if column else "resample", direction=direction, pair=column)
    count = seen_rows(int(claim.scored.sum()), sampling.rows)
    experiment = experiment_of(claim, references(claim, count, sampling.seed), chosen, source.tokenizer)
    return _Asked(experiment, source, column is None, name_of(hypothesis), _claimed(claim))


def _at_hand(given: GivenSetting, pair: str | None, direction: str, sampling: Sampling) -> _Asked:
    from scrub.proposals.setup import HOW

    at_hand = complete(given)
    if pair is None:
        raise DataError(f"the data have no counterfactuals: nothing says what each row is compared with. {HOW}")
    chosen = Protocol(ablation="paired", direction=direction, pair=pair)
    experiment = plain_experiment(at_hand, chosen)
    count = seen_rows(len(experiment.rows), sampling.rows)
    rows = subset(at_hand.data, experiment.rows, count, sampling.seed)
    return _Asked(evolve(experiment, rows=rows), at_hand.source, False)


def seen_rows(there: int, asked: int | None) -> int:
    """How many rows a proposal looks at: half of them, at most 64, unless more are asked for."""
    return asked if asked is not None else min(MOST_ROWS, max(1, there // 2))


def _claimed(claim: Claim) -> frozenset[Component]:
    """The components that a claim names or passes through, in the finest parts."""
    from scrub.circuit.circuit import Circuit

    assert isinstance(claim.graph, TransformerGraph | Computation)
    named = Circuit.of_claim(claim).expanded(claim.graph)
    return frozenset(node.component for node in named.nodes) | claim.passed


def _evaluating(model: Any) -> None:
    """Raises ModelError for a loaded model in training mode."""
    if getattr(model, "training", False) is True:
        raise ModelError(
            "the model is in training mode, in which dropout changes what it computes: call model.eval() first."
        )
