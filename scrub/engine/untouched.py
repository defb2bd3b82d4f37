"""Mean and zero rows as passed-through MLPs make them where nothing lands: once, for all calls.

An MLP that is passed through makes of a mean stream what it makes of it, and not the mean of what it made. That is so
at every position of every call; but where nothing lands it is the same for all of them, so that calls differ from
these rows at the slots where something landed, and nowhere else.
"""

from __future__ import annotations

import attrs
from torch import Tensor

from scrub.anatomy.names import LOGITS
from scrub.anatomy.table import STREAMS, mlp_time, stream_at
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store
from scrub.engine.needs import Kind, Need, passed_mlps
from scrub.engine.pseudo import project
from scrub.model.block import mlp_writes
from scrub.model.places import plus
from scrub.model.weights import Transformer


def untouched_need(claim: Claim) -> Need:
    """What is needed of mean and zero rows for it: what passed-through MLPs read, and what they write."""
    need = Need()
    for time, layer in _passed(claim).items():
        need.add(stream_at(time), None)
        need.add(("mlp_out", layer), None)
    return need


def untouched(model: Transformer, claim: Claim, need: Need, rows: Store) -> Store:
    """The same rows with every passed-through MLP computed on the stream that it reads then."""
    arrays, passed, change = dict(rows.arrays), _passed(claim), dict[int, Tensor]()
    for time, layer in passed.items():
        x = _moved(rows.arrays[stream_at(time)], time, change)
        made = mlp_writes(model.blocks[layer], x)
        change[mlp_time(layer)] = made - rows.arrays["mlp_out", layer]
        arrays["mlp_out", layer] = made
    for kind in (kind for kind in arrays if kind[0] in STREAMS):
        arrays[kind] = _moved(arrays[kind], _time_of(kind), change)
    project(model, need, arrays)
    return attrs.evolve(rows, arrays=arrays)


def _passed(claim: Claim) -> dict[int, int]:
    assert isinstance(claim.graph, TransformerGraph)
    return passed_mlps(claim, claim.graph, claim.graph.written(LOGITS))


def _moved(stream: Tensor, time: int, change: dict[int, Tensor]) -> Tensor:
    """A stream with what was written anew before a moment."""
    for written, more in change.items():
        stream = plus(stream, more) if written < time else stream
    return stream


def _time_of(kind: Kind) -> int:
    """The moment at which a stream is read."""
    return next(time for time in range(2 * kind[1] + 2) if stream_at(time) == kind)
