"""Numbers in blocks: what is evaluated together, with a key of all that was drawn for it, so that a run can keep it.

Whoever keeps blocks may give them back in any order, and from another run: equal keys, on one claim and one model,
mean equal numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from attrs import frozen

from scrub.model.workers import ALONE, Task, Workers

Arrays = dict[str, np.ndarray]


@frozen(eq=False)
class NumberBlock:
    """`task` gives arrays with one entry for each call, or row, of the block.

    `text` makes the key, which takes a walk through all that was drawn: nobody who keeps nothing asks for it.
    """

    text: Callable[[], str]
    task: Task

    @property
    def key(self) -> str:
        return self.text()


Keep = Callable[[Iterable[NumberBlock]], Iterator[tuple[int, Arrays]]]  # the number of a block, and its arrays


@frozen
class KeepNothing:
    """Computes every block as it comes."""

    workers: Workers = ALONE

    def __call__(self, blocks: Iterable[NumberBlock]) -> Iterator[tuple[int, Arrays]]:
        return enumerate(self.workers.each(block.task for block in blocks))


keep_nothing = KeepNothing()


def gathered(keep: Keep, blocks: Iterable[NumberBlock], done: Callable[[int], None] = lambda _: None) -> Arrays:
    """The arrays of all blocks, each joined in the order of the blocks; `done` hears of the entries as they come."""
    found: dict[int, Arrays] = {}
    for number, arrays in keep(blocks):
        found[number] = arrays
        done(len(next(iter(arrays.values()))))
    ordered = [found[number] for number in sorted(found)]
    return {name: np.concatenate([arrays[name] for arrays in ordered]) for name in ordered[0]}


def key(kind: str, *parts: Any) -> str:
    """A digest of arrays and words, in their order."""
    state = hashlib.blake2b(kind.encode(), digest_size=16)
    for part in parts:
        words = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        state.update(f"|{len(words)}|".encode())
        state.update(words)
    return state.hexdigest()
