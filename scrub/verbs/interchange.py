"""`scrub.interchange`: interchange interventions for every variable of a claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import OpenedModel, countable, fitting, keeping, progress, references, weights_of, working
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int

    from scrub.model.weights import Transformer
    from scrub.score.interchange import Interchange
    from scrub.score.patched import Patched
    from scrub.score.trial import Trial


def interchange(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 5, seed: int = 0,
    *, device: str | None = None, dtype: str = "auto", memory: Asked = None, cache: str | Path | None = None,
    workers: int = 1, ray: str | None = None, stream: bool = False,
) -> Interchange:  # fmt: skip
    """Interchange interventions for every variable of a claim, and for all of them jointly.

    Arguments as in `test`; `draws` are donors for each row and variable. Raises ClaimProblems with all problems of
    the claim, ClaimError when nothing says which tokens the story's answers are, or a graph's output could never
    equal one of them, ModelError.
    """
    from scrub.score.trial import Trial

    countable(draws, rows, seed)
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    used = references(claim, rows, seed)
    fitting(len(used), draws)
    if not set(claim.placement.reached()) - {claim.placement.output}:
        raise ClaimError(f"interchange: {hypothesis.title} places no variable that its answer reads.")
    backend = keeping(Backend(device, dtype, memory, workers=working(workers, ray)), cache)
    weights = weights_of(source, claim.data, backend)
    record, trial = record_of(source, weights, claim.data), Trial(name_of(hypothesis), draws, seed)
    return exchanged(claim, OpenedModel(source, weights, workers=backend.workers), used, trial, record)


def exchanged(
    claim: Claim, opened: OpenedModel, used: Int[np.ndarray, " row"], trial: Trial, record: dict[str, Any]
) -> Interchange:
    """The interventions of a claim that is set up, behind a progress bar. Raises as `interchange`."""
    from scrub.score.answers import Incomparable, answers_of
    from scrub.score.interchange import interchange as run

    variables = len(claim.placement.reached()) - 1
    total = (variables + (variables > 1)) * len(used) * trial.draws
    try:
        answers = answers_of(claim, opened.source.tokenizer)
        with progress(f"{claim.hypothesis.title}: interchange", total) as done:
            return evolve(run(_patched(claim, opened.weights), answers, used, trial, done), provenance=record)
    except Incomparable as error:
        raise ClaimError(f"interchange: {error}") from None


def _patched(claim: Claim, weights: Transformer | None) -> Patched:
    from scrub.score.patched import PatchedGraph, PatchedTransformer, patched_pieces

    if weights is not None:
        weights.memory.hold(patched_pieces(claim, weights))
        return PatchedTransformer(claim, weights)
    assert isinstance(claim.graph, Computation)
    return PatchedGraph(claim, claim.graph)
