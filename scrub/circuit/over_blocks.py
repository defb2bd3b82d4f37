"""Blocks of rows one after the other, or by workers: what runs of circuits give on each, put where its calls are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scrub.model.weights import Transformer
from scrub.model.workers import Sent, Task, received, sent_form

Done = Callable[[int], None]


@runtime_checkable
class InBlocks(Protocol):
    """Runs of circuits whose calls are cut into blocks."""

    @property
    def model(self) -> Transformer: ...
    @property
    def done(self) -> Done: ...
    def slices(self) -> list[Int[np.ndarray, " n"]]:
        """The calls of each block."""
        ...

    def block(self, number: int) -> Any: ...
    def prepare(self) -> None:
        """Compute what every worker would compute for itself."""
        ...


def over_blocks(
    circuits: InBlocks, run: Callable[..., Tensor], ends: Float[Tensor, "k call d"], *given: Any
) -> Tensor:
    """`ends` filled with what `run(circuits, block, done, *given)`, a method of its class, gives of every block."""
    workers, slices = circuits.model.workers, circuits.slices()
    if not len(ends):
        return ends
    if workers.number == 1:
        for number, calls in enumerate(slices):
            ends[:, torch.from_numpy(calls)] = run(circuits, circuits.block(number), circuits.done, *given)
        return ends
    circuits.prepare()
    tasks = (Task(circuits, _on_block, (number, run, given)) for number in range(len(slices)))
    for calls, sent in zip(slices, workers.each(tasks), strict=True):
        ends[:, torch.from_numpy(calls)] = received(sent, ends.device)
        circuits.done(len(ends) * len(calls))
    return ends


def _on_block(circuits: InBlocks, number: int, run: Callable[..., Tensor], given: tuple[Any, ...]) -> Sent:
    return sent_form(run(circuits, circuits.block(number), silent, *given))


def silent(calls: int) -> None:
    """Nobody hears."""
