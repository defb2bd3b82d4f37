"""Runs of circuits that go through the layers side by side.

Where layers are taken from files each is then taken once for many circuits, whatever number of them run together in
one pass: what waits between two layers is the streams alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class LayeredRun(Protocol):
    """A run of some circuits that may be broken off between two layers: its state is what goes on."""

    def begin(self) -> Any: ...
    def through(self, state: Any, first: int, last: int, /) -> Any:
        """The state before layer `last`, given that before `first`."""
        ...

    def final(self, state: Any, /) -> Tensor: ...


def in_step(runs: Iterable[LayeredRun], layers: int, most: int) -> Iterator[Tensor]:
    """What runs give, one after the other; as many as `most` go through each layer before any goes on."""
    waiting = iter(runs)
    while some := list(islice(waiting, most)):
        states = [run.begin() for run in some]
        for first, last in [(0, layers)] if len(some) == 1 else [(n, n + 1) for n in range(layers)]:
            for number, run in enumerate(some):
                states[number] = run.through(states[number], first, last)
        yield from (run.final(state) for run, state in zip(some, states, strict=True))
