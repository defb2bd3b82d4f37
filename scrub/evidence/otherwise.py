"""Where the scrubbed model predicts otherwise than the model, row by row and token by token."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.engine.draw import Draws
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.evidence.scene import Scene
from scrub.model.layers import unembed
from scrub.score.sample import ClaimBench, at_once, chunks
from scrub.score.stories import row_text

SHOWN = 5  # changes of the best token that are told


@frozen
class Instead:
    """How often the scrubbed model's best token is another one than the model's: of all rows and draws."""

    model: str
    scrubbed: str
    share: float


@frozen
class RowOtherwise:
    """A row: the model's best token and its probability, and that of the same token in the scrubbed model.

    `text` has its tokens, `token[NAME]` at a named position; `changed` is the share of draws in which another
    token is the best, `instead` the commonest of these.
    """

    row: int
    text: str
    best: str
    probability: float
    scrubbed: float
    changed: float
    instead: str | None


@frozen
class Otherwise:
    """The best token at the answer's position under scrubbing; `rows` are those that change most.

    A claim says what the model answers at one position: only the token that follows it can be another.
    """

    at: str
    draws: int
    changed: float
    instead: tuple[Instead, ...]
    rows: tuple[RowOtherwise, ...]


def look(scene: Scene, bench: ClaimBench, draws: int) -> Otherwise:
    """The claim scrubbed as `scrub.test` does, with the same draws."""
    assert isinstance(bench.rows, TransformerRows)
    own = _logs(scene, bench.rows.outputs(scene.used))
    best = own.argmax(-1)
    tokens, likely = _scrubbed(scene, bench, best, draws)
    changed = tokens != best[:, None]
    share = changed.double().mean(1)
    order = torch.argsort(-share, stable=True)[: max(scene.shown, SHOWN)].tolist()
    found = Counter(
        (int(best[row]), int(token)) for row in range(len(best)) for token in tokens[row][changed[row]].tolist()
    )
    total = tokens.numel()
    return Otherwise(
        str(scene.answer), draws, float(share.mean()),
        tuple(Instead(scene.word(a), scene.word(b), n / total) for (a, b), n in found.most_common(SHOWN)),
        tuple(
            _row(scene, row, own[row], (tokens[row][changed[row]], likely[row]))
            for row in order if share[row] > 0
        ),
    )  # fmt: skip


def _row(
    scene: Scene, row: int, own: Float[Tensor, " v"], scrubbed: tuple[Int[Tensor, " n"], Float[Tensor, " draw"]]
) -> RowOtherwise:
    """`scrubbed` has the best tokens that are others, and how likely the model's own is in every draw."""
    others, likely = scrubbed
    best, text = int(own.argmax()), row_text(scene.data.rows[row], scene.tokenizer)
    return RowOtherwise(
        int(scene.used[row]), text, scene.word(best), float(own[best].exp()), float(likely.mean()),
        len(others) / len(likely), _commonest(scene, others),
    )  # fmt: skip


def _commonest(scene: Scene, tokens: Int[Tensor, " n"]) -> str | None:
    return scene.word(Counter(tokens.tolist()).most_common(1)[0][0]) if len(tokens) else None


def _logs(scene: Scene, streams: Float[Tensor, "n d"]) -> Float[Tensor, "n v"]:
    with torch.no_grad():
        return unembed(scene.model, streams).double().log_softmax(-1).cpu()


def _scrubbed(
    scene: Scene, bench: ClaimBench, best: Int[Tensor, " row"], draws: int
) -> tuple[Int[Tensor, "row draw"], Float[Tensor, "row draw"]]:
    """The scrubbed model's best token in every draw, and how likely it finds the model's own."""
    assert isinstance(bench.evaluator, TransformerEvaluator)
    made, place = Draws(bench.claim, scene.seed), {int(row): i for i, row in enumerate(scene.used)}
    tokens: list[Tensor] = []
    likely: list[Tensor] = []
    for calls in chunks(scene.used, draws, at_once(bench)):
        streams = bench.evaluator.answers(bench.numbering.number(made.tree(bench.tree, calls)))
        logs = _logs(scene, streams)
        wanted = best[np.array([place[int(row)] for row in calls.reference])]
        tokens.append(logs.argmax(-1))
        likely.append(logs.gather(1, wanted[:, None])[:, 0].exp())
    size = len(scene.used), draws
    return torch.cat(tokens).reshape(size), torch.cat(likely).reshape(size)
