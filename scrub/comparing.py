"""The verb that compares rival claims: one model, the same rows, seed and draws for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrub.claims.check import name_of
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems, Problem
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.resolve import sound
from scrub.model.source import Source
from scrub.run import bench_of, countable, model_record, progress, references

if TYPE_CHECKING:
    from scrub.model.weights import Transformer
    from scrub.score.comparison import Comparison


def compare(
    a: Hypothesis, b: Hypothesis, *others: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20,
    seed: int = 0, device: str | None = None, dtype: str = "float32",
) -> Comparison:  # fmt: skip
    """Which of rival claims explains more, paired by row, and what sets them apart.

    Main arguments: two claims or more about one model, one data set and one metric; none needs an expectation.
    `model` overrides that of all; `rows` takes a seeded subset of the reference rows; `draws` for each row; `seed`.
    Other arguments: `device`, `dtype`. Rows and draws are the same for all, and rivals share every draw where path
    and class agree.

    Raises ClaimProblems, ModelError, MetricError, and ClaimError for claims that cannot be compared.
    """
    from scrub.score.comparable import refuse_different, refuse_other_numbers
    from scrub.score.compare import Rival, conclude
    from scrub.score.comparison import distinct, labels
    from scrub.score.sample import sample

    countable(draws, rows, seed)
    claims, sources = _sound((a, b, *others), model)
    names = distinct([name_of(claim.hypothesis) for claim in claims])
    short = list(labels(names).values())
    refuse_different(claims, short, [source.name for source in sources])
    if device not in (None, "cpu") and isinstance(claims[0].graph, Computation):
        raise ClaimError(f"--device {device}: a computation graph runs on the cpu: drop --device.")
    weights = _weights(claims, sources, short, device, dtype)
    benches = [bench_of(claim, source, weights) for claim, source in zip(claims, sources, strict=True)]
    used = [references(claim, rows, seed) for claim in claims]
    refuse_other_numbers(benches, used, short)
    rivals: list[Rival] = []
    for name, bench, chosen in zip(names, benches, used, strict=True):
        with progress(bench.claim.hypothesis.title, len(chosen) * draws) as done:
            rivals.append(Rival(name, bench, sample(bench, chosen, draws, seed, done)))
    return conclude(rivals, draws, seed, model_record(sources[0], weights), sources[0].tokenizer)


def _sound(hypotheses: tuple[Any, ...], model: Any) -> tuple[list[Claim], list[Source]]:
    """All claims resolved, with their models. Raises ClaimProblems with the problems of all of them."""
    for given in hypotheses:
        if not isinstance(given, Hypothesis):
            raise ClaimError(f"compare({type(given).__name__}): give two claims or more, compare(a, b, ...).")
    found: list[tuple[Claim, Source]] = []
    problems: list[Problem] = []
    for hypothesis in hypotheses:
        try:
            found.append(sound(hypothesis, model, expecting=False))
        except ClaimProblems as error:
            problems += error.problems
    if problems:
        raise ClaimProblems(problems)
    return [claim for claim, _ in found], [source for _, source in found]


def _weights(
    claims: list[Claim], sources: list[Source], names: list[str], device: str | None, dtype: str
) -> Transformer | None:
    """The weights that all claims are about, loaded once; None for a computation graph.

    Models that came as different objects are told apart by the digests of their weights.
    """
    if isinstance(claims[0].graph, Computation):
        return None
    from scrub.model.open import open_weights
    from scrub.model.selfcheck import digest

    longest = int(claims[0].data.lengths.max())
    weights = open_weights(sources[0], device, dtype, longest)
    for source, name in zip(sources[1:], names[1:], strict=True):
        if source.loaded is not sources[0].loaded:
            other = open_weights(source, device, dtype, longest)
            if digest(other) != digest(weights):
                raise ClaimError(
                    f"these claims cannot be compared: {names[0]} and {name} have different models (both are called "
                    f"{source.name}, and their weights differ)."
                )
    return weights
