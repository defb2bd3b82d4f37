"""`scrub.interchange`: interchange interventions for every variable of a claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.claims.check import name_of
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import sound
from scrub.verbs.setup import countable, progress, references, weights_of
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int

    from scrub.model.source import Source
    from scrub.model.weights import Transformer
    from scrub.score.interchange import Interchange
    from scrub.score.patched import Patched


def interchange(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 5, seed: int = 0,
    *, device: str | None = None, dtype: str = "float32", memory: Asked = None,
) -> Interchange:  # fmt: skip
    """Interchange interventions for every variable of a claim, and for all of them jointly.

    Arguments as in `test`; `draws` are donors for each row and variable. Raises ClaimProblems with all problems of
    the claim, ClaimError when nothing says which tokens the story's answers are, or a graph's output could never
    equal one of them, ModelError.
    """
    countable(draws, rows, seed)
    claim, source = sound(hypothesis, model, expecting=False)
    used = references(claim, rows, seed)
    if not set(claim.placement.reached()) - {claim.placement.output}:
        raise ClaimError(f"interchange: {hypothesis.title} places no variable that its answer reads.")
    weights = weights_of(source, claim.data, Backend(device, dtype, memory))
    record = record_of(source, weights, claim.data)
    return exchanged(claim, source, weights, used, draws, seed, record)


def exchanged(
    claim: Claim, source: Source, weights: Transformer | None, used: Int[np.ndarray, " row"], draws: int, seed: int,
    record: dict[str, Any],
) -> Interchange:  # fmt: skip
    """The interventions of a claim that is set up, behind a progress bar. Raises as `interchange`."""
    from scrub.score.answers import Incomparable, answers_of
    from scrub.score.interchange import interchange as run

    variables = len(claim.placement.reached()) - 1
    total = (variables + (variables > 1)) * len(used) * draws
    try:
        answers = answers_of(claim, source.tokenizer)
        with progress(f"{claim.hypothesis.title}: interchange", total) as done:
            name = name_of(claim.hypothesis)
            return run(claim, _patched(claim, weights), answers, name, used, draws, seed, record, done)
    except Incomparable as error:
        raise ClaimError(f"interchange: {error}") from None


def _patched(claim: Claim, weights: Transformer | None) -> Patched:
    from scrub.score.patched import PatchedGraph, PatchedTransformer

    if weights is not None:
        return PatchedTransformer(claim, weights)
    assert isinstance(claim.graph, Computation)
    return PatchedGraph(claim, claim.graph)
