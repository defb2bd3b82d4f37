"""The passes from samples to a judged result, one composition for every verb that gives a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.resolve import sound
from scrub.model.source import Source
from scrub.verbs.interchange import exchanged
from scrub.verbs.setup import bench_of, model_record, progress

if TYPE_CHECKING:
    from scrub.claims.hypothesis import Hypothesis
    from scrub.model.weights import Transformer
    from scrub.score.result import Result
    from scrub.score.sample import ClaimBench, Samples
    from scrub.storage.directory import Run


def judged(
    bench: ClaimBench, samples: Samples, name: str, source: Source, weights: Transformer | None, *, model: Any,
    draws: int, seed: int, exact: bool, controls: str, constant: Callable[[], float | None] | None = None,
    run: Run | None = None,
) -> Result:  # fmt: skip
    """Conclude, and ask in this order what else the claim says, what its controls are, and the adversary.

    What else a claim says (its story's answers, what sites hold, interchange) may refute it; shuffled values and
    inputs apart may make a supported claim inconclusive; the adversary may do either. A refuted claim stays so, with
    the first reason that was found.

    `model` overrides the claim's own, as in `test`; `constant` gives the best constant answer where it is known. The
    numbers of controls are kept where `run` is a directory.
    """
    from scrub.score.adversary import challenge
    from scrub.score.apart import apart
    from scrub.score.controls import control
    from scrub.score.cost import PERMUTATIONS, apart_calls
    from scrub.score.holds import held_values
    from scrub.score.judge import conclude
    from scrub.score.noise import on_own_scale
    from scrub.score.story import story_speaks
    from scrub.score.vacuous import vacuous

    hypothesis = bench.claim.hypothesis
    record = model_record(source, weights, bench)
    result = conclude(bench, samples, None if exact else draws, seed, name, record, source.tokenizer, constant)
    result = on_own_scale(bench, samples, result)
    result = story_speaks(bench, samples.references, result, source.tokenizer)
    result = held_values(bench.claim, samples.references, result)
    result = _interchanged(bench, samples, result, source, weights)
    with progress(f"{hypothesis.title}: controls", PERMUTATIONS * len(samples.references)) as done:
        result = control(bench, samples, result, seed, controls, done)
    result = vacuous(bench.claim, result)
    if controls != "none" and result.verdict in ("supported", "inconclusive"):
        total = apart_calls(bench.claim, len(samples.references), result.draws)
        with progress(f"{hypothesis.title}: inputs apart", total) as done:
            result = apart(bench, samples, result, lambda other: bench_of(other, source, weights, run), done)
    if controls == "all" and result.verdict != "undefined":
        result = _more_controls(hypothesis, bench, samples, result, source, weights, model, seed, run)
    with progress(f"{hypothesis.title}: adversary", 0) as done:
        return challenge(bench, samples, result, draws, seed, done)


def _interchanged(
    bench: ClaimBench, samples: Samples, result: Result, source: Source, weights: Transformer | None
) -> Result:
    """With every variable's interchange score, where the expectation asks for them."""
    from scrub.score.cost import DONORS
    from scrub.score.exchanged import interchange_asked

    expect = bench.claim.hypothesis.expect
    if expect is None or expect.interchange is None or result.verdict == "undefined":
        return result
    try:
        found = exchanged(bench.claim, source, weights, samples.references, DONORS, result.seed, result.provenance)
    except (ClaimError, DataError, ModelError) as error:
        found = str(error)
    return interchange_asked(result, found, expect.interchange)


def parts_earned(bench: ClaimBench, samples: Samples, result: Result, seed: int, exact: bool, parts: str) -> Result:
    """A result with what each part of the claim earns, and its verdict; with `parts="none"` it says so."""
    from scrub.claims.parts import parts_of
    from scrub.score.cost import LEAST_DRAWS
    from scrub.score.parts import with_earned

    if parts == "none":
        return evolve(result, options=result.options | {"parts": parts})
    calls = len(parts_of(bench.claim)) * len(samples.references) * (1 if exact else LEAST_DRAWS)
    with progress(f"{bench.claim.hypothesis.title}: parts", calls) as done:
        return with_earned(bench, samples, result, seed, exact, done)


def what_breaks(bench: ClaimBench, samples: Samples, result: Result, seed: int) -> Result:
    """A result with what breaks its claim, looked for at no more than the cost of the test."""
    from scrub.engine.draw import all_swaps
    from scrub.score.cost import Budget
    from scrub.score.explain import quick_effects, top_lines

    budget = Budget.of(all_swaps(bench.tree, bench.claim), *samples.scrubbed.shape)
    with progress(f"{bench.claim.hypothesis.title}: what breaks it", budget.calls) as done:
        effects = quick_effects(bench, samples, budget, seed, done)
    return evolve(result, effects=effects, explanation=top_lines(effects, budget))


def left_out_of_it(bench: ClaimBench, samples: Samples, result: Result, seed: int, exact: bool) -> Result:
    """A result with what its claim leaves out, looked for at about the cost of the claim's own draws."""
    from scrub.score.cost import QUICK
    from scrub.score.giving import what_is_left_out
    from scrub.score.taken import Taken

    with progress(f"{bench.claim.hypothesis.title}: what it leaves out") as bar:
        return evolve(result, left_out=what_is_left_out(Taken(bench, samples, seed, exact, bar), QUICK, bar.phase))


def _more_controls(
    hypothesis: Hypothesis, bench: ClaimBench, samples: Samples, result: Result, source: Source,
    weights: Transformer | None, model: Any, seed: int, run: Run | None,
) -> Result:  # fmt: skip
    """The claim on random unclaimed heads, and on models that learnt nothing."""
    from scrub.score.cost import CHOICES, MODELS
    from scrub.score.elsewhere import random_sites
    from scrub.score.untrained import untrained_models

    with progress(f"{hypothesis.title}: random sites", CHOICES) as done:
        result = random_sites(
            hypothesis, bench, samples, result, seed,
            lambda other: bench_of(sound(other, model, expecting=False)[0], source, weights, run), done,
        )  # fmt: skip
    with progress(f"{hypothesis.title}: untrained models", MODELS) as done:
        return untrained_models(
            bench, samples, result, seed, lambda other: bench_of(bench.claim, source, other, run), done
        )
