"""The story speaks: what the interpretation answers is part of the claim, and is compared with the model's answers.

A claim whose swaps the model survives says nothing yet of the last step of its story: the answer's own function is
never scrubbed. So its answer must be the model's own, on as large a share of the rows as is expected to be recovered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.claims.metric import NamedMetric
from scrub.claims.text import Tokenizer
from scrub.claims.values import key
from scrub.errors import ClaimError, DataError
from scrub.score.answers import ByTokens, ByValue, Ids, answers_of, kind, row_tokens
from scrub.score.demand import demanded
from scrub.score.domain import design_of
from scrub.score.noise import Redraws, redraws
from scrub.score.result import Result
from scrub.score.sample import ClaimBench
from scrub.score.spoken import StoryScore
from scrub.score.statistics import interval

FALSE = "the story does not say what the model does"
Rows = Int[np.ndarray, " reference"]


def story_speaks(bench: ClaimBench, references: Rows, result: Result, tokenizer: Tokenizer | None) -> Result:
    """A result with how far the story says what the model does; it judges at the expectation.

    The bar may lie higher, at what a constant recovers: that is no share of answers. A story that is right on every
    row is not in doubt: where the interval of its share begins below, that says how few the rows are.
    """
    score = story_score(bench, references, tokenizer, result.seed, result.draws)
    if score.share.value == 1.0:
        return evolve(result, story=score)
    unknown = f"what the story answers is {score}."
    return demanded(evolve(result, story=score), score.share, result.expect, FALSE, unknown)


def story_score(
    bench: ClaimBench, references: Rows, tokenizer: Tokenizer | None, seed: int, draws: int | None = None
) -> StoryScore:
    """The share of reference rows on which the story's answer is the model's own, or what it explains of numbers.

    With `noise=` the model's own answer is what it answers over as many redraws of the noise, or over all.
    """
    claim = bench.claim
    said = [claim.values[claim.placement.output][row] for row in references]
    try:
        answers = answers_of(claim, tokenizer, _columns(bench))
        if isinstance(answers, ByTokens):
            own = _tokens(_Asked(bench, references, seed, draws, tokenizer), answers)
            return _share(answers.same(own, said).tolist(), seed, _design(bench, references, draws))
        return _by_value(_Asked(bench, references, seed, draws), answers, said)
    except (ClaimError, DataError, OverflowError) as error:
        return StoryScore(note=str(error).rstrip("."))


@frozen(eq=False)
class _Asked:
    """The reference rows whose answers are compared, and how the noise of a claim is redrawn for them."""

    bench: ClaimBench
    references: Rows
    seed: int
    draws: int | None
    tokenizer: Tokenizer | None = None

    def redraws(self, rows: Rows) -> Redraws:
        """The model on rows with their noise redrawn."""
        return redraws(self.bench, rows, self.draws, self.seed)


def _share(right: Sequence[bool], seed: int, design: str) -> StoryScore:
    share = interval(np.array(right, dtype=float)[:, None], lambda columns: columns[:, 0], seed, design)
    return StoryScore(share)


def _design(bench: ClaimBench, references: Rows, draws: int | None) -> str:
    """How the rows were come by; the model's own answers are drawn only where noise is."""
    return design_of(bench.claim, references, drawn=bool(bench.claim.options.noise) and draws is not None)


def _columns(bench: ClaimBench) -> tuple[str, ...]:
    """The columns that hold candidates for each row: those of a metric of several."""
    metric = bench.claim.metric
    return metric.columns if isinstance(metric, NamedMetric) and len(metric.columns) > 1 else ()


def _tokens(asked: _Asked, answers: ByTokens) -> list[Ids]:
    """What the model finds likeliest on each row; with noise, most often."""
    bench, rows, tokenizer = asked.bench, asked.references, asked.tokenizer
    if bench.claim.options.noise:
        made = asked.redraws(rows)
        likeliest = _likeliest(bench, made.outputs, made.rows, answers, tokenizer)
        return made.commonest(likeliest, likeliest, rows)
    best, size = list[Ids](), bench.measured.together
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        best += _likeliest(bench, bench.measured.answers(part), part, answers, tokenizer)
    return best


def _likeliest(
    bench: ClaimBench, outputs: Any, rows: Int[np.ndarray, " call"], answers: ByTokens, tokenizer: Tokenizer | None
) -> list[Ids]:
    """The best candidate of each output: of all, or, where a metric has several columns, of those of the row."""
    beside = [row_tokens(bench.claim, name, tokenizer) for name in _columns(bench)]
    among = [[tokens[row] for tokens in beside] for row in rows]
    return answers.read_among(outputs, among) if beside else answers.read(outputs)


def _by_value(asked: _Asked, answers: ByValue, said: Sequence[Any]) -> StoryScore:
    """Whether the story's answer is the output's value; where all are numbers, how near it comes."""
    bench, references, seed = asked.bench, asked.references, asked.seed
    pool, design = np.arange(len(bench.claim.data)), _design(bench, references, asked.draws)
    made = asked.redraws(pool) if bench.claim.options.noise else None
    outputs = bench.rows.outputs(pool) if made is None else made.outputs
    answers = answers.beside(outputs)
    read = answers.read(outputs)
    if any(kind(value) != "number" for value in (*read, *said)):
        own = read if made is None else made.commonest(read, list(map(key, read)), pool)
        return _share(answers.same([own[row] for row in references], said).tolist(), seed, design)
    numbers = np.array(read, dtype=float)
    own = numbers if made is None else made.mean(numbers, pool)
    columns = _errors(bench, references, own, np.array(said, dtype=float))
    return StoryScore(interval(columns, lambda c: 1 - c[:, 0] / c[:, 1], seed, design), numbers=True)


def _errors(
    bench: ClaimBench, references: Rows, own: Float[np.ndarray, " row"], said: Float[np.ndarray, " reference"]
) -> Float[np.ndarray, "reference 2"]:
    """The squared error of the story against the model on the row, and on a random row: one that a rest may be."""
    stratum, eligible = bench.claim.stratum, bench.claim.rest_from
    found: list[tuple[float, float]] = []
    for row, answer in zip(references.tolist(), said.tolist(), strict=True):
        rests = own[eligible & (stratum == stratum[row])]
        others = rests if len(rests) else own[[row]]  # empty="self"
        found.append(((answer - own[row]) ** 2, float(((answer - others) ** 2).mean())))
    return np.array(found)
