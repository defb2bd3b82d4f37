"""Every pass of every verb with its cost, before anything is run and without weights.

The cost is in forward passes of one row: what a claim's own calls need is counted in multiply-adds, of circuits of
components what they do not share; another circuit, or a patch, that is run on a row counts as one forward pass, a
backward pass as two. Verbs that take their own numbers (rows of a proposal, donors of interchange, random circuits)
are counted at their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve

from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.parts import parts_of
from scrub.claims.resolved import Claim
from scrub.claims.variations import POLICY, SEED, variations
from scrub.engine.cost import Pass, Peak, Plan, Verb
from scrub.engine.draw import all_swaps
from scrub.errors import ClaimError, ScrubError
from scrub.model.source import Source
from scrub.score.cost import (
    CHOICES,
    DONORS,
    LEAST_DRAWS,
    MODELS,
    MOVED_DRAWS,
    PART_CHOICES,
    PERMUTATIONS,
    QUICK,
    QUICK_ROWS,
    REFIT_DRAWS,
    REFITS,
    SEARCH_DRAWS,
    SEARCH_ROWS,
    UNTRAINED_DRAWS,
    WHOLE_DRAWS,
    Budget,
    apart_calls,
    effect_runs,
    few_draws,
    tied_draws,
)
from scrub.score.power import PILOT_DRAWS, PILOT_ROWS
from scrub.score.replaced import sites_with_parts

if TYPE_CHECKING:
    from scrub.circuit.bench import CircuitBench
    from scrub.circuit.circuit import Circuit
    from scrub.model.bytes import SizedModel

Passes = Iterator[Pass]
SENDERS, VIEWED_DRAWS = "heads mlps", 5  # the defaults of `scrub.sweep` and `scrub.views`


def verbs_of(claim: Claim, source: Source, planned: Plan, used: np.ndarray, seed: int) -> tuple[Verb, ...]:
    """Every verb with its passes; `used` are the reference rows."""
    asked: dict[str, Callable[[], Passes]] = {
        "test": lambda: _test(claim, planned),
        "test --controls all": lambda: _more_controls(claim, planned),
        "test --stability": lambda: _stability(claim, planned),
        **({"test --skills": lambda: _skills(claim, used)} if claim.options.skills else {}),
        "explain": lambda: _explain(claim, planned),
        "compare": lambda: _compare(claim, planned),
        "criteria": lambda: _criteria(claim, source, used, seed),
        "propose": lambda: _propose(claim),
        "interchange": lambda: _interchange(claim, len(used)),
        "power": lambda: _power(claim, planned),
        "sweep": lambda: _patched(claim, source, used, SENDERS if claim.graph.sequence else "all"),
        "patch": lambda: _patched(claim, source, used, ""),
        "views": lambda: _views(claim, planned),
    }
    return tuple(_verb(name, passes) for name, passes in asked.items())


def _verb(name: str, passes: Callable[[], Passes]) -> Verb:
    """A verb with its passes, or why it cannot be run on this claim."""
    notes = {
        "test --controls all": "besides",
        "test --stability": "besides",
        "test --skills": "besides",
        "compare": "for each claim",
        "propose": "at its defaults",
        "sweep": "of heads and MLPs, or of all nodes",
        "patch": "each path",
    }
    try:
        return Verb(name, tuple(found for found in passes() if found.calls), notes.get(name, ""))
    except ScrubError as error:
        return Verb(name, (), f"cannot be run on this claim: {str(error).splitlines()[0]}")


def _costed(claim: Claim, name: str, calls: int, each: float = 1.0, bound: str = "") -> Pass:
    on_transformer = isinstance(claim.graph, TransformerGraph)
    return Pass(name, calls, calls * each if on_transformer else None, bound)


def _each(planned: Plan) -> float:
    """One call of the scrubbed model, in forward passes."""
    return (planned.forwards or 0.0) / (planned.rows * planned.draws)


def _sampled(claim: Claim, planned: Plan) -> Passes:
    """The pool, the draws, and for each draw a random row, of which only the answer is computed."""
    calls, pseudo = planned.rows * planned.draws, claim.options.rest in ("mean", "zero")
    yield _costed(claim, "rows of the pool", planned.pool * (2 if pseudo else 1), bound="<=" if pseudo else "")
    yield _costed(claim, "draws", calls, _each(planned))
    yield _costed(claim, "random rows", calls, planned.answer)
    if claim.options.noise:
        yield _costed(claim, "noise redrawn", calls)


def _controlled(claim: Claim, planned: Plan) -> Passes:
    """What else a claim says, and its controls."""
    if planned.occurrences > 1:
        yield _costed(claim, "shuffled values", PERMUTATIONS * planned.rows, _each(planned))
    yield from _part_controls(claim, planned)
    yield _costed(claim, "inputs apart", apart_calls(claim, planned.rows, planned.draws), _each(planned), "<=")
    yield _costed(claim, "the model's own answers", planned.rows, planned.answer)
    expect = claim.hypothesis.expect
    if expect is not None and expect.interchange is not None:
        yield from _interchange(claim, planned.rows)
    if expect is not None and expect.any_swaps:
        searched = min(SEARCH_ROWS, -(-planned.rows // 2)) * min(SEARCH_DRAWS, planned.draws)
        tried = 2 * (1 + _number_of_swaps(claim, planned))  # from all swaps and from none, one step each
        calls = tried * searched + planned.rows // 2 * planned.draws
        yield _costed(claim, "adversary", calls, _each(planned), ">=")


def _part_controls(claim: Claim, planned: Plan) -> Passes:
    """Tied, random parts, whole: they read the claim's own rows; mean and zero rows are made for each of them."""
    sites = len(sites_with_parts(claim))
    if sites:
        if claim.options.pseudo:
            yield _costed(claim, "rows of parts' controls", planned.pool * (sites + 2))
        calls = sites * tied_draws(sites, planned.draws) + PART_CHOICES + min(WHOLE_DRAWS, planned.draws)
        yield _costed(claim, "tied, random parts, whole", calls * planned.rows, _each(planned))


def _number_of_swaps(claim: Claim, planned: Plan) -> int:
    """How many swaps there are; of a tree that is too large to be shown, at most."""
    return 2 * planned.occurrences if planned.tree is None else len(all_swaps(planned.tree, claim))


def _test(claim: Claim, planned: Plan) -> Passes:
    yield from _sampled(claim, planned)
    yield from _controlled(claim, planned)
    yield from _parts(claim, planned)
    spent = planned.rows * planned.draws  # at most
    if planned.tree is not None:
        spent = Budget.of(all_swaps(planned.tree, claim), planned.rows, planned.draws).calls
    when = "--explain, " if claim.hypothesis.foil_reason else ""
    yield _costed(claim, f"what breaks it ({when}if refuted)", spent, _each(planned), "<=")
    few = QUICK.measured * LEAST_DRAWS * min(QUICK_ROWS, planned.rows)
    spent = int(3 * QUICK.share * planned.rows * planned.draws) + few  # rests, layers, senders, and those measured
    yield _costed(claim, f"what it leaves out ({when}if not supported)", spent, _each(planned), "<=")


def _parts(claim: Claim, planned: Plan) -> Passes:
    """Two draws without each part, and as many more as it takes where they do not tell; what is equal is shared."""
    each = len(parts_of(claim)) * planned.rows
    least = min(LEAST_DRAWS, planned.draws)
    yield _costed(claim, "without each part", each * least, _each(planned), "<=")
    yield _costed(claim, "parts in doubt", each * (few_draws(planned.draws) - least), _each(planned), "<=")


def _more_controls(claim: Claim, planned: Plan) -> Passes:
    yield _costed(claim, "rows of random sites and untrained models", (CHOICES + MODELS) * planned.pool)
    yield _costed(claim, "random sites", CHOICES * MOVED_DRAWS * planned.rows, _each(planned))
    yield _costed(claim, "untrained models", MODELS * UNTRAINED_DRAWS * planned.rows, _each(planned))
    if any(c.part and c.part.recipe for placed in sites_with_parts(claim).values() for c in placed.site.components):
        yield _costed(claim, "rows of directions found again", (REFITS + 1 + 2 * MODELS) * planned.pool, bound="<=")
        calls = (REFITS * REFIT_DRAWS + MODELS * UNTRAINED_DRAWS) * planned.rows
        yield _costed(claim, "with directions found again", calls, _each(planned), "<=")


def _stability(claim: Claim, planned: Plan) -> Passes:
    """The claim's own draws for each other way to ask; rows are run anew but for other seeds, halves as one pool."""
    asked = [one.kind for one in variations(claim) if not one.lacking]
    calls = planned.rows * planned.draws
    times = asked.count(SEED) + asked.count(POLICY) + 1
    yield _costed(claim, "rows of halves and other rests", planned.pool * (asked.count(POLICY) + 1))
    yield _costed(claim, "other seeds, halves and rests", times * calls, _each(planned), "<=")


def _skills(claim: Claim, used: np.ndarray) -> Passes:
    """Of each skill circuits on both halves of several halvings: ranked as proposals are, cut, and pruned."""
    from scrub.claims.skills import rows_of_skill
    from scrub.proposals.skills import HALVINGS, MOST_ROWS

    marked = [int(rows_of_skill(claim, name, used).sum()) for name in claim.options.skills]
    rows = 2 * HALVINGS * sum(min(MOST_ROWS, -(-count // 2)) for count in marked)
    for one in _proposed(claim, rows):
        yield evolve(one, name=f"ranked: {one.name}")
    runs = 2 + _writers(claim).bit_length() + _writers(claim)  # nothing, all, halves of the ranked ones, without each
    yield _costed(claim, "cut and pruned", runs * rows, bound="<=")
    yield _costed(claim, "on the rows of every skill", (2 + len(marked)) * -(-len(used) // 2))


def _writers(claim: Claim) -> int:
    if isinstance(claim.graph, TransformerGraph):
        return len(claim.graph.writers())
    return len(claim.graph.nodes) - len(claim.graph.ends)  # pyright: ignore


def _explain(claim: Claim, planned: Plan) -> Passes:
    yield from _sampled(claim, planned)
    tree = planned.tree  # of one that is not shown each swap takes three runs at most
    runs = 3 * _number_of_swaps(claim, planned) if tree is None else effect_runs(tree, claim)
    calls = runs * planned.rows * planned.draws  # their cost is less: what is equal in them is computed once
    yield _costed(claim, f"swaps ({runs:,} runs)", calls, _each(planned), "<=")


def _compare(claim: Claim, planned: Plan) -> Passes:
    yield from _sampled(claim, planned)
    yield from _controlled(claim, planned)


def _criteria(claim: Claim, source: Source, used: np.ndarray, seed: int) -> Passes:
    from scrub.circuit.cost import forwards_of, passes_of, rows_of

    bench, circuit = judged_circuit(claim, source, used, seed)
    yield _costed(claim, "rows and their means", rows_of(bench))
    passes = passes_of(bench, circuit)
    yield from forwards_of(bench, circuit, passes) if isinstance(claim.graph, TransformerGraph) else passes


def judged_circuit(claim: Claim, source: Source, used: np.ndarray, seed: int) -> tuple[CircuitBench, Circuit]:
    """The circuit that a claim names, on a bench without weights. Raises ClaimError, DataError."""
    from scrub.circuit.bench import CircuitBench, ablatable
    from scrub.circuit.circuit import Circuit
    from scrub.circuit.experiment import experiment_of

    protocol = claim.hypothesis.criteria
    experiment = experiment_of(claim, used, protocol, source.tokenizer)
    circuit = ablatable(Circuit.of_claim(claim).at_level(protocol.level), experiment)
    return CircuitBench.of(experiment, None, circuit, seed), circuit


def criteria_peak(claim: Claim, source: Source, used: np.ndarray, seed: int, model: SizedModel) -> Peak | str | None:
    """The memory that criteria fill, or why the bound is too small for them.

    None where they cannot be asked of a claim, as its passes say.
    """
    from scrub.circuit.peak import PlannedCriteria

    try:
        planned = PlannedCriteria(*judged_circuit(claim, source, used, seed), model)
        return planned.lacking or planned.peak()
    except ScrubError:
        return None


def _propose(claim: Claim) -> Passes:
    from scrub.verbs.propose import seen_rows

    yield from _proposed(claim, seen_rows(int(claim.scored.sum()), None))


def _proposed(claim: Claim, rows: int) -> Passes:
    from scrub.proposals.cost import Asking, passes_of

    if not isinstance(claim.graph, TransformerGraph):
        yield Pass("every node patched", (_writers(claim) + 2) * rows)
        return
    yield from passes_of(Asking.usual(claim.graph.shape, rows, int(claim.data.lengths.max())))


def _power(claim: Claim, planned: Plan) -> Passes:
    """Its pilot; of a stored run it costs nothing."""
    calls = min(PILOT_ROWS, int(claim.scored.sum())) * PILOT_DRAWS
    yield _costed(claim, "rows of the pool", planned.pool)
    yield _costed(claim, "pilot", calls, _each(planned))
    yield _costed(claim, "random rows", calls, planned.answer)


def _patched(claim: Claim, source: Source, used: np.ndarray, senders: str) -> Passes:
    """A run for each sender and one as the rows are; without senders those of a single path."""
    from scrub.circuit.bench import calls_of
    from scrub.circuit.experiment import experiment_of
    from scrub.circuit.sweep import cases_of

    experiment = experiment_of(claim, used, claim.hypothesis.criteria, source.tokenizer)
    paths = len(cases_of(senders, f"~all~> {experiment.output}", None, experiment.graph)) if senders else 1
    yield _costed(claim, "patched", calls_of(experiment, None, paths + 1))


def _views(claim: Claim, planned: Plan) -> Passes:
    """Every row at most twice, and the claim scrubbed, for what is then predicted otherwise."""
    if not isinstance(claim.graph, TransformerGraph):
        raise ClaimError("a computation graph has no attention, streams or logits to look at.")
    yield _costed(claim, "rows", 2 * planned.rows, bound="<=")
    yield _costed(claim, "rows of the pool", planned.pool)
    yield _costed(claim, "scrubbed", VIEWED_DRAWS * planned.rows, _each(planned))


def _interchange(claim: Claim, rows: int) -> Passes:
    variables = len(claim.placement.reached()) - 1
    yield _costed(claim, "rows of the pool", len(claim.data))
    yield _costed(claim, "rows as they are", rows)
    yield _costed(claim, "interchanged", (variables + (variables > 1)) * rows * DONORS, bound="<=")
