"""`scrub.interchange`: interchange interventions for every variable of a claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.claims.check import name_of
from scrub.claims.hypothesis import Hypothesis
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import sound
from scrub.verbs.setup import countable, progress, references, weights_of
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    from scrub.score.interchange import Interchange


def interchange(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 5, seed: int = 0,
    *, device: str | None = None, dtype: str = "float32", memory: Asked = None,
) -> Interchange:  # fmt: skip
    """Interchange interventions for every variable of a claim, and for all of them jointly.

    Arguments as in `test`; `draws` are donors for each row and variable. Raises ClaimProblems with all problems of
    the claim, ClaimError when nothing says which tokens the story's answers are, or a graph's output could never
    equal one of them, ModelError.
    """
    from scrub.score.answers import answers_of
    from scrub.score.interchange import interchange as run
    from scrub.score.patched import PatchedGraph, PatchedTransformer

    backend = Backend(device, dtype, memory)
    countable(draws, rows, seed)
    claim, source = sound(hypothesis, model, expecting=False)
    used = references(claim, rows, seed)
    variables = [n for n in claim.placement.reached() if n != claim.placement.output]
    if not variables:
        raise ClaimError(f"interchange: {hypothesis.title} places no variable that its answer reads.")
    answers = answers_of(claim, source.tokenizer)
    weights = weights_of(source, claim.data, backend)
    if weights is None:
        assert isinstance(claim.graph, Computation)
        patched = PatchedGraph(claim, claim.graph)
    else:
        patched = PatchedTransformer(claim, weights)
    total = (len(variables) + (len(variables) > 1)) * len(used) * draws
    with progress(f"{hypothesis.title}: interchange", total) as done:
        record = record_of(source, weights, claim.data)
        return run(claim, patched, answers, name_of(hypothesis), used, draws, seed, record, done)
