"""What a model answers, beside what a story says: logits give one of known answers, an output node gives a value.

Logits speak for the best of the *candidates*: what the data's answers take, or the story's. (Of the story's alone,
one that always says the same would always be right.) A value equals the story's answer or does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from math import isclose
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from jaxtyping import Bool, Float
from torch import Tensor

from scrub.anatomy.tolerances import ANSWER, ANSWER_ZERO
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.metric import Metric, NamedMetric, predicted
from scrub.claims.resolved import Claim
from scrub.claims.setting import token_ids
from scrub.claims.text import Tokenizer, token_id
from scrub.claims.values import Value, binned, canonical, key
from scrub.errors import ClaimError
from scrub.metrics import as_logits
from scrub.model.computation import Computation


class Incomparable(ClaimError):
    """What a story answers that cannot be compared with what its model does."""


Flags = Bool[np.ndarray, " call"]
Ids = tuple[int, ...]


@frozen(eq=False)
class ByTokens:
    """Answers that logits give. `tokens` are those of each answer that has any; equal tokens are one candidate.

    `other` says, here and below, what is the matter with an answer that the model could not give.
    """

    tokens: Mapping[Hashable, Ids]
    metric: NamedMetric | Metric
    other: str = "which is none of the answers that data and story have"

    def beside(self, outputs: Any) -> ByTokens:
        """The same: what logits can say does not depend on them."""
        return self

    def sayable(self, value: Value) -> bool:
        """Whether the model could be found to give this answer."""
        return key(value) in self.tokens

    def read(self, outputs: Any) -> list[Ids]:
        """The tokens of the best candidate of every output: those that are the most likely together."""
        candidates = list(dict.fromkeys(self.tokens.values()))
        return [candidates[best] for best in self.likely(outputs, candidates).argmax(1).tolist()]

    def read_among(self, outputs: Any, among: Sequence[Sequence[Ids]]) -> list[Ids]:
        """As `read`, where every output has candidates of its own."""
        candidates = list(dict.fromkeys(ids for some in among for ids in some))
        scores = self.likely(outputs, candidates).tolist()
        likely = [dict(zip(candidates, row, strict=True)) for row in scores]
        return [max(some, key=row.__getitem__) for some, row in zip(among, likely, strict=True)]

    def likely(self, outputs: Any, candidates: Sequence[Ids]) -> Float[Tensor, "call candidate"]:
        """How likely the tokens of each candidate are together, up to what all of a call share."""
        if not isinstance(outputs, Tensor):
            assert isinstance(self.metric, NamedMetric)
            outputs = as_logits(outputs, self.metric)
        return torch.stack([outputs[:, list(ids)].logsumexp(-1) for ids in candidates], dim=1)

    def same(self, said: Sequence[Ids], values: Sequence[Value]) -> Flags:
        """Whether what was read of each output is the answer beside it."""
        return np.array([ids == self.tokens.get(key(v)) for ids, v in zip(said, values, strict=True)], dtype=bool)


@frozen(eq=False)
class ByValue:
    """Answers that are an output node's value: numbers are equal or not, to rounding, and so is anything else.

    `step` is the bin width of the story's answer, in which outputs are binned too; `kinds` those of the outputs.
    """

    answers: tuple[Value, ...]
    node: str
    step: Any = None
    kinds: frozenset[Hashable] = field(default=frozenset())
    other: str = "which no output of the model can equal"

    def beside(self, outputs: Any) -> ByValue:
        """The same, knowing what outputs are like. Raises Incomparable where none could equal any answer."""
        plain = self.read(outputs)
        kinds = frozenset(map(kind, plain))
        if not kinds & {kind(answer) for answer in self.answers}:
            said = self.answers[0]
            raise Incomparable(
                f"the output node {self.node!r} gives {_short(outputs[0])}, {_words(kind(plain[0]))}, "
                f"and the story answers {_short(said)}, {_words(kind(said))}: these are never equal. Let the story "
                "answer what the node gives (a number with @story.variable(round=...)), or let the output be a node "
                "that gives what the story says."
            )
        return evolve(self, kinds=kinds)

    def sayable(self, value: Value) -> bool:
        """Whether an output could equal this answer."""
        return kind(value) in self.kinds

    def read(self, outputs: Any) -> list[Any]:
        """The value of every output as plain Python; in the bins of the story's answer where it has any."""
        return [_in_bins(plain(output), self.step) for output in outputs]

    def same(self, said: Sequence[Any], values: Sequence[Value]) -> Flags:
        """Whether each output is the answer beside it."""
        return np.array([alike(a, b) for a, b in zip(said, values, strict=True)], dtype=bool)


Answers = ByTokens | ByValue


def answers_of(claim: Claim, tokenizer: Tokenizer | None, also: Sequence[str] = ()) -> Answers:
    """How a claim's model answers; `also` names columns, beside the predicted one, whose values are answers too.

    Raises Incomparable where nothing says which tokens the story's answers are.
    """
    distinct = {key(value): value for value in claim.values[claim.placement.output]}
    if isinstance(claim.metric, Metric) and isinstance(claim.graph, Computation):
        story = claim.hypothesis.story.variables
        node = claim.answer.components[0].name
        return ByValue(tuple(distinct.values()), node, story[claim.placement.output].step)
    known = {k: ids for name in reversed(also) for k, ids in tokens_of(claim, name, tokenizer).items()}
    known |= _known(claim, tokenizer)
    known |= {k: ids for k, v in distinct.items() if k not in known and (ids := _alone(v, known, claim, tokenizer))}
    if not known.keys() & distinct.keys():
        raise Incomparable(
            "none of the story's answers stands in a column of tokens, so nothing says what the "
            "model should answer: add predicts='column', with values that the story's answer takes."
        )
    return ByTokens(known, claim.metric)


def _known(claim: Claim, tokenizer: Tokenizer | None) -> dict[Hashable, Ids]:
    """The tokens of every value of the column that the story's answer should equal."""
    column = predicted(claim.metric, claim.options.predicts)
    return {} if column is None else tokens_of(claim, column, tokenizer)


def tokens_of(claim: Claim, column: str, tokenizer: Tokenizer | None) -> dict[Hashable, Ids]:
    """The tokens of every value of a column."""
    pairs = zip(claim.data.column(column), row_tokens(claim, column, tokenizer), strict=True)
    return {key(canonical(value)): ids for value, ids in pairs}


def row_tokens(claim: Claim, column: str, tokenizer: Tokenizer | None) -> list[Ids]:
    """The tokens that a column has in each row, in order, each once."""
    return [tuple(sorted({*some})) for some in token_ids(claim.data, column, tokenizer)]


def _alone(value: Value, known: Mapping[Hashable, Ids], claim: Claim, tokenizer: Tokenizer | None) -> Ids | None:
    """The token of an answer of the story that no row of the data has: a word, or a number where data hold such."""
    if not known:
        return None
    if isinstance(value, str):
        found = token_id(value, tokenizer) if tokenizer else None
        return None if found is None else (found,)
    numbers = isinstance(value, int) and not isinstance(value, bool) and any(isinstance(k, int) for k in known)
    width = claim.graph.shape.d_vocab if isinstance(claim.graph, TransformerGraph) else 0
    return (int(value),) if numbers and isinstance(value, int) and 0 <= value < width else None


def plain(output: Any) -> Any:
    """A node's value as plain Python: arrays, tensors and lists as tuples, of one number as that number."""
    if isinstance(output, np.generic | np.ndarray | Tensor):
        output = output.tolist()
    return tuple(map(plain, output)) if isinstance(output, list | tuple) else output


def kind(value: Any) -> Hashable:
    """What may be equal to what: numbers to numbers, tuples to tuples of as many parts of such kinds."""
    if isinstance(value, tuple):
        return ("tuple", *map(kind, value))
    number = isinstance(value, int | float | Fraction) and not isinstance(value, bool)
    return "number" if number else f"{type(value).__module__}.{type(value).__name__}"


def alike(output: Any, answer: Value) -> bool:
    """Whether an output, as plain Python, is an answer. `True` is not 1."""
    if kind(output) != kind(answer):
        return False
    if isinstance(answer, tuple):
        return all(map(alike, output, answer))
    return bool(output == answer) or (kind(answer) == "number" and _close(output, answer))


def _close(a: Any, b: Any) -> bool:
    """Whether two numbers, one of them a float, are equal to rounding: whole numbers and bins are equal or not."""
    if not isinstance(a, float) and not isinstance(b, float):
        return False
    try:
        return isclose(a, b, rel_tol=ANSWER, abs_tol=ANSWER_ZERO)
    except OverflowError:  # a whole number beyond any float
        return False


def _in_bins(value: Any, step: Any) -> Any:
    try:
        return value if step is None else binned(value, step)
    except ValueError:  # of no bin: a number that is not finite, an object
        return value


def _words(kind: Any) -> str:
    """A kind in words: `a tuple of 2`."""
    if isinstance(kind, tuple):
        return f"a tuple of {len(kind) - 1}"
    known = {"number": "a number", "builtins.str": "a text", "builtins.bool": "True or False"}
    return known.get(kind, f"of the type {kind}")


def _short(value: Any, room: int = 40) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= room else f"{text[: room - 4]} ..."
