"""What the stream says already at claimed slots, layer by layer, in the model's own unembedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.anatomy.table import attention_time, stream_at
from scrub.claims.metric import predicted
from scrub.claims.setting import token_ids
from scrub.claims.text import token_id
from scrub.engine.cache import Store
from scrub.engine.needs import Kind, Need
from scrub.errors import DataError
from scrub.evidence.scene import Scene, Unseen
from scrub.model.layers import unembed

FEWEST = 2  # values that a variable must have to be decoded


@frozen
class LensLayer:
    """The stream before a layer (the last: the final one) at a slot, unembedded through the final norm.

    `answer` is the mean probability of the answer's token, `rank` its mean rank from 0, where equal logits share
    theirs (None: no column names a token); `tokens` are the best ones of the rows that are shown.
    """

    at: str
    layer: int
    answer: float | None
    rank: float | None
    tokens: tuple[str, ...]


@frozen
class Decoded:
    """On which share of the rows a variable's own value is the most likely of its values, with nothing trained."""

    variable: str
    at: str
    layer: int
    share: float
    chance: float


@frozen
class Lens:
    """The logit lens (nostalgebraist 2020): `unembed(ln_final(stream))` at every layer; `column` is the answer's."""

    column: str | None
    layers: tuple[LensLayer, ...]
    decoded: tuple[Decoded, ...]


def stream(layer: int) -> Kind:
    """The array of the stream before a layer."""
    return stream_at(attention_time(layer))


def slots(scene: Scene) -> list[Slot]:
    """The slots of the claim, and the answer's."""
    claimed = {locus.at for locus in scene.loci}
    return [slot for slot in scene.named if slot in claimed]


def asks(scene: Scene, need: Need) -> None:
    for layer in range(scene.shape.n_layers + 1):
        for slot in slots(scene):
            need.add(stream(layer), slot)


def look(scene: Scene, store: Store) -> Lens:
    answers = answer_tokens(scene)
    variables = {name: ids for name in sorted(scene.claim.values) if (ids := tokens_of(scene, name)) is not None}
    layers: list[LensLayer] = []
    decoded: list[Decoded] = []
    for slot in slots(scene):
        here = [name for name in variables if slot in scene.slots_of(name)]
        for layer in range(scene.shape.n_layers + 1):
            seen = _Seen(scene, store.at(stream(layer), slot, scene.rows))
            layers.append(seen.layer(str(slot), layer, answers))
            decoded += [seen.decoded(name, str(slot), layer, variables[name]) for name in here]
    if not layers:
        raise Unseen("lens: the claim names no position that every row has.")
    return Lens(answers and answers.column, tuple(layers), tuple(decoded))


@frozen(eq=False)
class AnswerTokens:
    """The answer's tokens on each row by the ids of the vocabulary; where a row has fewer, `there` is false."""

    column: str
    ids: Int[Tensor, "row k"]
    there: Bool[Tensor, "row k"]


def answer_tokens(scene: Scene) -> AnswerTokens | None:
    """None where no column says which tokens the answer is."""
    column = predicted(scene.claim.metric, scene.claim.options.predicts)
    if column is None:
        return None
    try:
        found = [tuple(dict.fromkeys(ids)) for ids in token_ids(scene.data, column, scene.tokenizer)]
    except DataError:
        return None
    if not all(0 <= token < scene.shape.d_vocab for row in found for token in row):
        return None
    width, device = max(map(len, found)), scene.model.device
    padded = torch.tensor([(*row, *([row[0]] * (width - len(row)))) for row in found], device=device)
    there = torch.tensor([[i < len(row) for i in range(width)] for row in found], device=device)
    return AnswerTokens(column, padded, there)


def tokens_of(scene: Scene, name: str) -> list[int | None] | None:
    """The token that a variable's value is on each row; None where it has no words, or says the same everywhere."""
    found = [_token(scene, scene.claim.values[name][row]) for row in scene.used.tolist()]
    return found if len(set(found) - {None}) >= FEWEST else None


def _token(scene: Scene, value: object) -> int | None:
    if isinstance(value, str) and scene.tokenizer is not None:
        found = token_id(value, scene.tokenizer)
        return found if found is not None and found < scene.shape.d_vocab else None
    ids = scene.tokenizer is None and type(value) is int and 0 <= value < scene.shape.d_vocab
    return value if ids and isinstance(value, int) else None


@frozen(eq=False)
class _Seen:
    """Streams of all rows at one layer and slot."""

    scene: Scene
    x: Float[Tensor, "row d"]

    def parts(self, read: Callable[[Tensor, slice], Tensor]) -> Tensor:
        """`read` of the logits of some rows, as many together as the memory holds."""
        model, size = self.scene.model, self.scene.together
        pieces = [slice(i, i + size) for i in range(0, len(self.x), size)]
        return torch.cat([read(unembed(model, self.x[piece]).double(), piece) for piece in pieces])

    def layer(self, at: str, layer: int, answers: AnswerTokens | None) -> LensLayer:
        def read(logits: Tensor, piece: slice) -> Tensor:
            best = logits.argmax(-1, keepdim=True).double()
            if answers is None:
                return best
            own = logits.gather(1, answers.ids[piece]).masked_fill(~answers.there[piece], -torch.inf)
            most = own.amax(-1, keepdim=True)
            rank = (logits > most).sum(-1, keepdim=True) + ((logits == most).sum(-1, keepdim=True) - 1) / 2
            likely = (own.logsumexp(-1) - logits.logsumexp(-1)).exp()
            return torch.cat([best, likely[:, None], rank], dim=1)

        found = self.parts(read).cpu()
        tokens = tuple(self.scene.word(int(token)) for token in found[: self.scene.shown, 0])
        means = found.mean(0).tolist()
        answer, rank = (None, None) if answers is None else means[1:]
        return LensLayer(at, layer, answer, rank, tokens)

    def decoded(self, name: str, at: str, layer: int, values: Sequence[int | None]) -> Decoded:
        kinds = sorted({token for token in values if token is not None})
        columns = torch.tensor(kinds, device=self.x.device)
        best = unembed(self.scene.model, self.x, columns).argmax(-1).tolist()
        told = [(kinds[b], value) for b, value in zip(best, values, strict=True) if value is not None]
        commonest = max(sum(value == kind for _, value in told) for kind in kinds)
        return Decoded(name, at, layer, sum(a == b for a, b in told) / len(told), commonest / len(told))
