"""The passes from samples to a judged result, one composition for every verb that gives a verdict."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from scrub.claims.titles import name_of
from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.resolve import sound
from scrub.verbs.interchange import exchanged
from scrub.verbs.refit import refitted
from scrub.verbs.setup import OpenedModel, model_record, progress

if TYPE_CHECKING:
    from scrub.claims.hypothesis import Hypothesis
    from scrub.score.result import Result
    from scrub.score.sample import ClaimBench, Samples
    from scrub.score.trial import Trial


def judged(bench: ClaimBench, samples: Samples, trial: Trial, opened: OpenedModel) -> Result:
    """Conclude, and ask in this order what else the claim says, what its controls are, and the adversary.

    What else a claim says (its story's answers, what sites hold, interchange) may refute it, and so may its parts
    with the rest of their hosts tied to them; shuffled values, random parts and inputs apart may make a supported
    claim inconclusive; the adversary may do either. A refuted claim stays so, with the first reason that was found.
    """
    from scrub.score.adversary import challenge
    from scrub.score.apart import apart
    from scrub.score.controls import control
    from scrub.score.cost import PERMUTATIONS, apart_calls
    from scrub.score.holds import held_values
    from scrub.score.judge import conclude
    from scrub.score.noise import on_own_scale
    from scrub.score.part_controls import part_controls
    from scrub.score.story import story_speaks
    from scrub.score.vacuous import vacuous

    title, controls = bench.claim.hypothesis.title, trial.controls
    result = conclude(bench, samples, trial, model_record(opened.source, opened.weights, bench))
    result = on_own_scale(bench, samples, result)
    result = story_speaks(bench, samples.references, result, opened.source.tokenizer)
    result = held_values(bench.claim, samples.references, result)
    result = _interchanged(bench, samples, result, opened)
    with progress(f"{title}: controls", PERMUTATIONS * len(samples.references)) as done:
        result = control(bench, samples, result, controls, done)
    if controls != "none":
        with progress(f"{title}: parts' controls", 0) as done:
            result = part_controls(bench, samples, result, partial(opened.alike, bench), done)
    result = vacuous(bench.claim, result)
    if controls != "none" and result.verdict in ("supported", "inconclusive"):
        total = apart_calls(bench.claim, len(samples.references), result.draws)
        with progress(f"{title}: inputs apart", total) as done:
            result = apart(bench, samples, result, opened.bench, done)
    if controls == "all" and result.verdict != "undefined":
        result = _more_controls(bench, samples, result, opened)
    with progress(f"{title}: adversary", 0) as done:
        return challenge(bench, samples, result, trial.draws, done)


def _interchanged(bench: ClaimBench, samples: Samples, result: Result, opened: OpenedModel) -> Result:
    """With every variable's interchange score, where the expectation asks for them."""
    from scrub.score.cost import DONORS
    from scrub.score.exchanged import interchange_asked
    from scrub.score.trial import Trial

    expect = bench.claim.hypothesis.expect
    if expect is None or expect.interchange is None or result.verdict == "undefined":
        return result
    try:
        trial = Trial(name_of(bench.claim.hypothesis), DONORS, result.seed)
        found = exchanged(bench.claim, opened, samples.references, trial, result.provenance)
    except (ClaimError, DataError, ModelError) as error:
        found = str(error)
    return interchange_asked(result, found, expect.interchange)


def parts_earned(bench: ClaimBench, samples: Samples, result: Result, parts: str) -> Result:
    """A result with what each part of the claim earns, and its verdict; with `parts="none"` it says so."""
    from scrub.claims.parts import parts_of
    from scrub.score.cost import LEAST_DRAWS
    from scrub.score.parts import with_earned

    if parts == "none":
        return evolve(result, options=result.options | {"parts": parts})
    calls = len(parts_of(bench.claim)) * len(samples.references) * (1 if result.draws is None else LEAST_DRAWS)
    with progress(f"{bench.claim.hypothesis.title}: parts", calls) as done:
        return with_earned(bench, samples, result, done)


def what_breaks(bench: ClaimBench, samples: Samples, result: Result, seed: int) -> Result:
    """A result with what breaks its claim, looked for at no more than the cost of the test."""
    from scrub.engine.draw import all_swaps
    from scrub.score.cost import Budget
    from scrub.score.explain import quick_effects, top_lines

    budget = Budget.of(all_swaps(bench.tree, bench.claim), *samples.scrubbed.shape)
    with progress(f"{bench.claim.hypothesis.title}: what breaks it", budget.calls) as done:
        effects = quick_effects(bench, samples, budget, seed, done)
    return evolve(result, effects=effects, explanation=top_lines(effects, budget))


def left_out_of_it(bench: ClaimBench, samples: Samples, result: Result, exact: bool) -> Result:
    """A result with what its claim leaves out, looked for at about the cost of the claim's own draws."""
    from scrub.score.cost import QUICK
    from scrub.score.giving import what_is_left_out
    from scrub.score.taken import Taken

    with progress(f"{bench.claim.hypothesis.title}: what it leaves out") as bar:
        taken = Taken(bench, samples, result.seed, exact, bar)
        return evolve(result, left_out=what_is_left_out(taken, QUICK, bar.phase))


def _more_controls(bench: ClaimBench, samples: Samples, result: Result, opened: OpenedModel) -> Result:
    """The claim on random heads, on models that learnt nothing, and with directions found in what says nothing."""
    from scrub.score.cost import CHOICES, MODELS
    from scrub.score.elsewhere import random_sites
    from scrub.score.untrained import untrained_models

    def moved(hypothesis: Hypothesis) -> ClaimBench:
        return opened.bench(sound(hypothesis, opened.given, expecting=False)[0])

    title = bench.claim.hypothesis.title
    with progress(f"{title}: random sites", CHOICES) as done:
        result = random_sites(bench, samples, result, moved, done)
    with progress(f"{title}: untrained models", MODELS) as done:
        result = untrained_models(bench, samples, result, partial(opened.untrained, bench.claim), done)
    return refitted(bench, samples, result, opened)
