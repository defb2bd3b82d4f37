"""The matrix of sub-skills: the circuit of each, found as proposals are, on the rows of every other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve

from scrub.anatomy.names import Component
from scrub.claims.metric import Metric
from scrub.claims.protocol import ABLATE, Protocol
from scrub.claims.resolved import Claim
from scrub.claims.skills import rows_of_skill
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, ScrubError
from scrub.model.memory import Piece
from scrub.model.source import Source
from scrub.verbs.propose import differentiable
from scrub.verbs.setup import OpenedModel, progress

if TYPE_CHECKING:
    from scrub.circuit.bench import CircuitBench
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.experiment import Experiment
    from scrub.model.weights import Transformer
    from scrub.proposals.proposal import Ranked
    from scrub.proposals.skills import Rank
    from scrub.score.result import Result
    from scrub.score.sample import ClaimBench, Samples
    from scrub.score.skill_matrix import SkillMatrix

EXACT = "exact"  # the method for a metric that has no derivative
USUAL = 0.8  # of what is to be recovered, where a claim expects nothing
NO_SKILLS = "the claim names no sub-skills: skills='select order' in @claim(...) names boolean columns."


def skilled(claim: Claim) -> None:
    """Raises ClaimError for a claim without skills, before anything is run."""
    if not claim.options.skills:
        raise ClaimError(f"{claim.hypothesis.title}: {NO_SKILLS}")


def matrix_pieces(claim: Claim, source: Source, used: np.ndarray, weights: Transformer | None) -> Iterator[Piece]:
    """What is not cut of a search for circuits on some rows; nothing of a graph, or of what cannot be run."""
    from scrub.circuit.experiment import experiment_of
    from scrub.circuit.sizes import CircuitSizes
    from scrub.proposals.setup import seen_piece

    if weights is None:
        return
    try:
        experiment = experiment_of(claim, used, _protocol(claim), source.tokenizer)
    except ScrubError:  # told where it is asked for
        return
    sizes = CircuitSizes.of(weights, experiment)
    yield from sizes.pieces(len(used))
    yield seen_piece(weights, sizes.longest)


def with_matrix(bench: ClaimBench, samples: Samples, result: Result, opened: OpenedModel) -> Result:
    """A result with the circuits of the claim's skills; what keeps them from being found is a warning."""
    try:
        found = skill_matrix(bench.claim, opened.source, opened.weights, samples.references, result.seed)
    except ScrubError as error:
        return evolve(result, warnings=(*result.warnings, f"no circuits of skills: {str(error).splitlines()[0]}"))
    return evolve(result, matrix=found)


def skill_matrix(
    claim: Claim, source: Source, weights: Transformer | None, used: np.ndarray, seed: int
) -> SkillMatrix:
    """The circuit claimed, and that of each skill, on the rows of each. Raises ClaimError, DataError, MetricError."""
    from scrub.circuit.bench import CircuitBench
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.experiment import described, experiment_of
    from scrub.proposals.skills import SkillSearch, skill_circuits
    from scrub.score.skill_matrix import SkillMatrix

    expect, skills = claim.hypothesis.expect, claim.options.skills
    target = USUAL if expect is None else expect.share
    experiment = experiment_of(claim, used, _protocol(claim), source.tokenizer)
    claimed = _claimed(claim, experiment)
    with progress(f"{claim.hypothesis.title}: skills") as bar:
        bar.phase("circuits", 0)
        made = CircuitBench.of(experiment, weights, claimed or Circuit(), seed)
        marked = {name: rows_of_skill(claim, name, experiment.rows) for name in skills}
        bench = evolve(made, done=bar)
        search = SkillSearch(bench, marked, _rank(claim, source, bench), target, seed)
        circuits, rows = skill_circuits(search, claimed)
    ablated = {"ablation": experiment.protocol.ablation, **described(experiment)}
    return SkillMatrix(name_of(claim.hypothesis), str(claim.metric), skills, circuits, target, rows, seed, ablated)


def _protocol(claim: Claim) -> Protocol:
    """The claim's own, of components alone, all that they do not name ablated."""
    return evolve(claim.hypothesis.criteria, level="components", upstream=ABLATE)


def _claimed(claim: Claim, experiment: Experiment) -> Circuit | None:
    """The claim's own circuit; None where all of it is passed through, or where it names no components."""
    from scrub.circuit.bench import ablatable
    from scrub.circuit.circuit import COMPONENTS, Circuit

    found = ablatable(Circuit.of_claim(claim).at_level(COMPONENTS), experiment)
    return found if found.nodes else None


def _rank(claim: Claim, source: Source, bench: CircuitBench) -> Rank:
    """Who ranks components on some rows: the search of proposals, with the claim's partners, or drawn ones."""
    from scrub.circuit.experiment import experiment_of

    own = _protocol(claim)
    column = claim.options.pair or own.pair
    chosen = evolve(own, ablation="paired" if column else "resample", direction="noising", pair=column)
    experiment = experiment_of(claim, bench.rows, chosen, source.tokenizer)

    def rank(rows: np.ndarray, seed: int) -> Sequence[Component]:
        on = evolve(experiment, rows=rows)
        nodes = _on_graph(on, seed) if bench.model is None else _on_transformer(on, bench, column is None, seed)
        return [node.component for node in sorted(nodes, key=lambda node: -abs(node.best))]

    return rank


def _on_graph(experiment: Experiment, seed: int) -> Sequence[Ranked]:
    from scrub.circuit.asked import Origin
    from scrub.proposals.on_graph import search_graph
    from scrub.proposals.wanted import Wanted
    from scrub.score.listener import Listener

    return search_graph(experiment, Wanted(seed=seed), Origin(None, {}), Listener()).nodes


@differentiable()
def _on_transformer(experiment: Experiment, bench: CircuitBench, drawn: bool, seed: int) -> Sequence[Ranked]:
    """As `scrub propose` ranks: estimated where the metric has a derivative, the first verified by patching."""
    from scrub.circuit.asked import Origin
    from scrub.circuit.universe import free_writers
    from scrub.metrics import find
    from scrub.proposals.methods import RECOMMENDED
    from scrub.proposals.search import search
    from scrub.proposals.setup import Setup, drawn_partners
    from scrub.proposals.wanted import Wanted
    from scrub.score.listener import Listener

    assert bench.model is not None
    metric, rows = experiment.metric, experiment.rows
    kinds = dict.fromkeys(c.kind for c in free_writers(experiment.graph, bench.passed) if not c.traits.given)
    smooth = not isinstance(metric, Metric) and find(metric).gradient
    wanted = Wanted(RECOMMENDED if smooth else EXACT, tuple(kinds), draws=0, edges=False, seed=seed)
    partners = drawn_partners(experiment, seed) if drawn else experiment.pair[rows]
    setup = Setup.of(experiment, bench.model, partners, (), wanted.gradient)
    return search(setup, wanted, Origin(None, {}), Listener()).nodes
