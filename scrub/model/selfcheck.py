"""Whether the weights taken from a bridge compute what the bridge computes.

Compared are logits at every position: of random tokens, and of rows of the data where there are any (random tokens
never reach a clip that the data reach). The reference runs in full precision: what rounding does to a model in half
precision is no fault, and hides none. Nothing is held that grows with length times vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.tolerances import COARSE_LOGIT, LOGIT
from scrub.claims.dataset import Dataset
from scrub.errors import ModelError, some
from scrub.model.configuration import LISTED
from scrub.model.layers import Scoring, Steps, attend, unembed
from scrub.model.precision import HALF, computed_in, computing, dtypes
from scrub.model.trace import trace
from scrub.model.weights import Transformer, lifted

PROBE_ROWS = 4
BESIDE_DATA = 2  # random rows beside rows of the data: one as long as these, one that is padded
PROBE_LENGTH = 16
MANY_ROWS, MANY_LENGTH = 16, 64  # random rows where few say too little of what rounding does
DATA_ROWS = 4  # besides the longest and the shortest
LONGEST = 4608  # tokens of a row that are compared: beyond the windows in use, which are 4,096 and less
# Where rounding does more than `LOGIT`, an error may be so many times what it does.
ROUNDINGS = 3.0
_FLOATS = 2**21  # in one piece: 8 MB of fp32, at most; on a CPU more leave its caches
_PIECE = 0.125  # share of the memory that a piece has: several are held at a time

Pieces = Callable[[Int[Tensor, "row t"], int], Iterator[Float[Tensor, "row n v"]]]


def probe(
    model: Transformer, length: int, rows: int = PROBE_ROWS
) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
    """Random tokens and mixed lengths, the longest `length`; seeded, the global generator stays untouched."""
    length = max(1, min(length, model.shape.n_ctx, LONGEST))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(model.W_E.shape[0], (rows, length), generator=generator)
    if model.counted_past is not None:  # no row may hold it
        tokens[tokens == model.counted_past] = 0 if model.counted_past else 1
    lengths = torch.linspace(length, max(1, length // 2), rows).long()
    return tokens.to(model.device), lengths.to(model.device)


# Tokens, lengths, and the number in the data of those that are rows of it.
ProbeRows = tuple[Int[Tensor, "row t"], Int[Tensor, " row"], tuple[int | None, ...]]


def probe_data(model: Transformer, data: Dataset | None) -> ProbeRows:
    """Random tokens as long as the longest row, and as half of it; then rows of the data: the longest, the shortest
    and a seeded few.

    With them the rows' numbers in the data, None for random tokens. Rows are cut to the context and to `LONGEST`;
    those that name tokens beyond the vocabulary are left out. Without data it is a `probe` of `PROBE_LENGTH`.
    """
    if data is None:
        tokens, lengths = probe(model, PROBE_LENGTH)
        return tokens, lengths, (None,) * len(tokens)
    tokens, lengths = probe(model, int(data.lengths.max()), BESIDE_DATA)
    chosen = [row for row in _some_rows(data) if max(data.rows[row].tokens) < model.W_E.shape[0]]
    rows = [data.rows[row].tokens[: tokens.shape[1]] for row in chosen]
    padded = [torch.tensor((*row, *[0] * (tokens.shape[1] - len(row)))) for row in rows]
    numbers = [row if data.numbers is None else int(data.numbers[row]) for row in chosen]
    return (
        torch.cat([tokens, *(row[None].to(tokens) for row in padded)]),
        torch.cat([lengths, torch.tensor([len(row) for row in rows]).to(lengths)]),
        (*[None] * len(tokens), *numbers),
    )


def _some_rows(data: Dataset) -> list[int]:
    lengths = data.lengths
    few = np.random.default_rng(0).choice(len(data), min(len(data), DATA_ROWS), replace=False)
    found = dict.fromkeys([int(lengths.argmax()), int(lengths.argmin()), *few.tolist()])
    return [row for row in found if lengths[row]]


@torch.no_grad()
def self_check(
    model: Transformer,
    bridge: Any,
    tokens: Int[Tensor, "row t"],
    lengths: Int[Tensor, " row"],
    numbers: tuple[int | None, ...] = (),
) -> float:
    """The largest difference between our logits and the bridge's own, over all real positions.

    In standard deviations of the bridge's logits. Ours are of padded rows, the bridge's without padding: the
    reference then depends on nobody's treatment of masks. A bridge in half precision is compared as it computes
    with the same weights in fp32; hooks on it act as always. `model` is in full precision; `numbers` are the rows'
    in the data, for the error. Raises ModelError above `LOGIT`, unless fp32 itself is as coarse on this model.
    """
    assert model.precision not in HALF, "half precision: see rounding_check"
    rows = _Rows(tokens, lengths, numbers or (None,) * len(lengths))
    with _evaluating(bridge), _precisely(model, bridge):
        found = _compared(model, rows, _own(bridge, model.shape.causal))
    tolerance = LOGIT
    if LOGIT < found.max() < COARSE_LOGIT:  # weights so large that fp32 shows
        rounding = _compared(lifted(model, torch.float64), rows, _ours(lifted(model, torch.float32)))
        tolerance = max(LOGIT, ROUNDINGS * float(rounding.max()))
    _accept(model, rows, found, tolerance)
    return float(found.max())


@torch.no_grad()
def rounding_check(
    model: Transformer, exact: Transformer, bridge: Any, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"],
    numbers: tuple[int | None, ...] = (),
) -> float:  # fmt: skip
    """What half precision does to our logits over what it does to the bridge's own: the ratio of the largest errors.

    `model` has matrices in half precision, `exact` is the same in fp32 and has passed the `self_check`. Raises
    ModelError where the ratio is above `ROUNDINGS`.
    """
    rows = _Rows(tokens, lengths, numbers or (None,) * len(lengths))
    own = _rounded(model, exact, bridge, rows)
    ours = _compared(exact, rows, _ours(model))
    if not ours.max() <= LOGIT + ROUNDINGS * own:  # among few rows its own may have none whose experts change
        own = max(own, _rounded(model, exact, bridge, _many(model)))
    _accept(model, rows, ours, LOGIT + ROUNDINGS * own)
    return float(ours.max()) / (own or 1.0)


def _rounded(model: Transformer, exact: Transformer, bridge: Any, rows: _Rows) -> float:
    """What half precision does to the bridge's own logits, at most."""
    with _evaluating(bridge), computing(bridge.original_model, model.precision, _let_go(model)):
        return float(_compared(exact, rows, _own(bridge, model.shape.causal)).max())


def _many(model: Transformer) -> _Rows:
    tokens, lengths = probe(model, MANY_LENGTH, MANY_ROWS)
    return _Rows(tokens, lengths, (None,) * len(lengths))


@frozen
class _Rows:
    tokens: Int[Tensor, "row t"]
    lengths: Int[Tensor, " row"]
    numbers: tuple[int | None, ...]

    def named(self, which: Tensor) -> str:
        """`rows 3 and 17 of the data` or `random tokens`, whatever differs."""
        found = [self.numbers[int(row)] for row in which.nonzero()[:, 0]]
        words = sorted({number for number in found if number is not None})
        if not words:
            return "random tokens"
        rows = f"row{'s' * (len(words) > 1)} {some(words).replace(', ', ' and ', len(words) == 2)} of the data"
        return f"{rows}, and on random tokens," if None in found else f"{rows}, not on random tokens,"


def _accept(model: Transformer, rows: _Rows, found: Float[Tensor, " row"], tolerance: float) -> None:
    # Not `found > tolerance`, which lets NaN pass.
    wrong = ~(found <= tolerance)
    if wrong.any():
        raise ModelError(
            f"{model.name} ({model.shape.family}) is not reproduced: on {rows.named(wrong)} our logits differ from "
            f"its own by up to {float(found.max()):.2g} standard deviations (at most {tolerance:.2g} is accepted), "
            "so its architecture computes something that is not supported, or hooks that change values are active on "
            f"it. Load it anew, raw and without hooks; if that is refused too, {LISTED}."
        )


def _compared(model: Transformer, rows: _Rows, theirs: Pieces) -> Float[Tensor, " row"]:
    """The largest difference in every row between our logits and others, in standard deviations of the others."""
    worst = torch.zeros(len(rows.lengths), dtype=torch.float64)
    moments = torch.zeros(3, dtype=torch.float64)
    lengths = rows.lengths.tolist()
    for chunk in torch.arange(len(lengths)).split(_together(model, max(lengths))):
        tokens = rows.tokens[chunk, : max(lengths[row] for row in chunk)]
        finals = _final(model, tokens, rows.lengths[chunk])
        for alike in _alike(model, [lengths[row] for row in chunk.tolist()]):
            start, which, length = 0, chunk[alike], lengths[chunk[alike[0]]]
            for wanted in theirs(rows.tokens[which, :length], _positions(model, len(alike), length)):
                found = unembed(model, finals[alike, start : start + wanted.shape[1]])
                if found.shape != wanted.shape:
                    raise ModelError(f"{model.name} gives {wanted.shape[-1]} logits, its weights {found.shape[-1]}.")
                moments += _moments(wanted := wanted.to(found.device))
                # The maximum is taken piece by piece: a row's logits at once would be gigabytes for a large
                # vocabulary.
                worst[which] = torch.maximum(worst[which], (found - wanted).abs_().amax((1, 2)).cpu())  # NaN stays
                start += wanted.shape[1]
            assert start == length
    count, total, squares = moments.tolist()
    if not math.isfinite(squares):
        raise ModelError(
            f"{model.name} ({model.shape.family}) itself gives logits that are NaN or infinite: its weights are, or "
            "its values grow beyond what its dtype can hold."
        )
    spread = max(squares / count - (total / count) ** 2, 0.0) ** 0.5
    return worst / (spread or 1.0)


def _alike(model: Transformer, lengths: list[int]) -> list[list[int]]:
    """The rows that the other model runs at once, all of one length: as many as one piece holds whole.

    Each run reads all its weights; where they lie in files that costs more than anything, and no row waits.
    """
    found: list[list[int]] = []
    for length in sorted({*lengths}):
        rows = [row for row, one in enumerate(lengths) if one == length]
        most = len(rows) if model.lending is not None else max(1, _positions(model, 1, length) // length)
        found += [rows[start : start + most] for start in range(0, len(rows), most)]
    return found


def _moments(x: Tensor) -> Float[Tensor, " moment"]:
    """Count, sum and sum of squares."""
    x = x.to(computed_in(x.dtype))  # squares of fp16 overflow from 256 on
    sums = x.sum(dtype=torch.float64), x.square().sum(dtype=torch.float64)
    return torch.tensor([x.numel(), *map(float, sums)], dtype=torch.float64)


def _together(model: Transformer, length: int) -> int:
    """How many rows of ours are run at once."""
    shape = model.shape
    return max(1, 4 * _floats(model) // (length * (3 * shape.d_mlp + 8 * shape.d_model + length)))


def _floats(model: Transformer) -> int:
    """How many numbers make a piece: a model is checked in whatever memory there is."""
    most = model.memory.share(_PIECE) // model.dtype.itemsize
    return most if model.lending is not None else min(_FLOATS, most)  # reading weights anew costs more than caches


def _positions(model: Transformer, rows: int, length: int) -> int:
    """How many positions of rows are compared at once: one logit for each token, one score for each key."""
    return max(1, _floats(model) // (rows * max(model.shape.d_vocab, model.shape.n_heads * length)))


def _final(
    model: Transformer, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"] | None = None
) -> Float[Tensor, "row t d"]:
    if lengths is None:
        lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return trace(model, tokens, lengths, steps=Steps(attend=partial(_attend, _floats(model))))


def _attend(floats: int, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scoring: Scoring) -> Tensor:
    """`attend`, some queries at a time."""
    size = max(1, floats // (q.shape[0] * q.shape[2] * k.shape[1]))
    parts = zip(q.split(size, 1), mask.split(size, 1), _split(scoring, size, q.shape[1]), strict=True)
    return torch.cat([attend(some_q, k, v, seen, how) for some_q, seen, how in parts], dim=1)


def _split(scoring: Scoring, size: int, count: int) -> Iterator[Scoring]:
    """The same for every part of the queries."""
    if scoring.bias is None:
        return (scoring for _ in range(0, count, size))
    return (attrs.evolve(scoring, bias=part) for part in scoring.bias.split(size, 2))


def _ours(model: Transformer) -> Pieces:
    """Our logits of rows, in pieces."""
    return lambda rows, size: (unembed(model, part) for part in _final(model, rows).split(size, 1))


def _own(bridge: Any, causal: bool) -> Pieces:
    """The bridge's own logits of rows in pieces, each computed with the keys and values of those before it."""

    def pieces(rows: Int[Tensor, "row t"], size: int) -> Iterator[Float[Tensor, "row n v"]]:
        rows = rows.to(next(bridge.original_model.parameters()).device)
        if rows.shape[1] <= size:
            yield bridge(rows)
            return
        # The bridge's own cache, not a longer prefix each time, which would cost the square of the length.
        logits, past = bridge(rows[:, :size], return_type="logits_and_cache", use_cache=True)
        if past is None or not causal:
            yield from _unembedded(bridge, rows, size)
            return
        yield logits
        for part in rows[:, size:].split(size, 1):
            logits, past = bridge(part, return_type="logits_and_cache", past_key_values=past)
            yield logits

    return pieces


def _unembedded(bridge: Any, rows: Int[Tensor, "row t"], size: int) -> Iterator[Float[Tensor, "row n v"]]:
    """The same for a bridge that keeps no keys and values: one run, what it unembeds taken in pieces."""
    final: list[Tensor] = []
    here = 0

    def part(_: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        final.extend(given[:1] if not final else ())
        return (final[0][:, here : here + size], *given[1:])

    handle = bridge.unembed.register_forward_pre_hook(part)
    try:
        for here in range(0, rows.shape[1], size):
            yield bridge(rows[:, : None if here == 0 else 1])
    finally:
        handle.remove()


@contextmanager
def _precisely(model: Transformer, bridge: Any) -> Generator[None]:
    """A bridge in half precision, or whose weights lie in files, computes as `model` does. Raises ModelError where it
    cannot.
    """
    if model.lending is None and not dtypes(bridge.original_model) & {*HALF}:
        yield
        return
    dtype = torch.float32 if model.lending is None else model.dtype
    try:
        with computing(bridge.original_model, dtype, _let_go(model)):
            yield
    except RuntimeError as error:  # a hook, most likely, that brings tensors of its own
        raise ModelError(
            f"{model.name} ({model.shape.family}) does not run with its weights in {str(dtype)[6:]}, in which they "
            f"are checked ({str(error).splitlines()[0].rstrip('.')}): take off its hooks, or load it in float32, "
            "--dtype float32."
        ) from error


def _let_go(model: Transformer) -> Callable[[], None]:
    """What is done when a block of the other model has run."""
    return (lambda: None) if model.lending is None else model.lending.let_go


@contextmanager
def _evaluating(bridge: Any) -> Generator[None]:
    modules = {*bridge.modules(), *bridge.original_model.modules()}
    # Not `eval()` and `train()`: these set all modules alike, and a caller may have frozen some.
    before = {module: module.training for module in modules}
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
