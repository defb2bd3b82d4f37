"""Numbers in blocks: what is evaluated together, with a key of all that was drawn for it, so that a run can keep it.

Whoever keeps blocks may give them back in any order, and from another run: equal keys, on one claim and one model,
mean equal numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Int

from scrub.engine.draw import Calls, Drawn
from scrub.model.workers import ALONE, Task, Workers

Arrays = dict[str, np.ndarray]


@frozen(eq=False)
class CallPiece:
    """Calls, what was drawn for them and, for a block that has it, the rows that the empty claim reads."""

    calls: Calls
    drawn: Mapping[str, Drawn]
    whole: Int[np.ndarray, "call ..."] | None = None

    @classmethod
    def joined(cls, pieces: Sequence[CallPiece]) -> CallPiece:
        """Those of several blocks, one after another."""
        calls = [piece.calls for piece in pieces]
        whole = [piece.whole for piece in pieces if piece.whole is not None]
        return cls(
            Calls(np.concatenate([c.reference for c in calls]), np.concatenate([c.draw for c in calls])),
            Drawn.joined([piece.drawn for piece in pieces]), np.concatenate(whole) if whole else None,
        )  # fmt: skip


@frozen(eq=False)
class NumberBlock:
    """`task` gives arrays with one entry for each call, or row, of the block.

    `text` makes the key, which takes a walk through all that was drawn: nobody who keeps nothing asks for it. A
    block that `joins` is given one piece of calls, and may be computed with others in one go: `turn` counts those
    that are, and `last` is the last of them, whose mark says that they are begun.
    """

    text: Callable[[], str]
    task: Task
    joins: bool = False
    turn: int | None = None
    last: NumberBlock | None = None

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


@frozen(eq=False)
class _Group:
    """Blocks that are computed in one go: the first that is asked for computes all, whichever are kept already.

    So each is computed in the company of the same ones, and has the same numbers, wherever a run was broken off.
    """

    tasks: list[Task]
    # kept by number until it is asked for
    _known: dict[int, Arrays] = field(factory=dict[int, Arrays], init=False)

    def compute(self, number: int) -> Arrays:
        if number not in self._known:
            pieces: list[CallPiece] = [task.given[0] for task in self.tasks]
            found: Arrays = evolve(self.tasks[0], given=(CallPiece.joined(pieces),)).compute()
            ends = np.cumsum([len(piece.calls) for piece in pieces])[:-1]
            cut = {name: np.split(array, ends) for name, array in found.items()}
            self._known.update({i: {name: cut[name][i] for name in cut} for i in range(len(self.tasks))})
        return self._known.pop(number)


def in_one_go(blocks: Iterable[NumberBlock], most: int) -> Iterator[NumberBlock]:
    """The same blocks, of which as many as `most` are computed together. What is kept of each is kept apart."""
    waiting, turns = iter(blocks), count()
    while some := list(islice(waiting, most)):
        if not all(block.joins for block in some):
            yield from some
            continue
        group, turn = _Group([block.task for block in some]), next(turns)
        tasks = (Task(group, _Group.compute, (i,)) for i in range(len(some)))
        yield from (
            evolve(block, task=task, turn=turn, last=some[-1]) for block, task in zip(some, tasks, strict=True)
        )


def ahead(blocks: Iterable[NumberBlock]) -> Iterator[NumberBlock]:
    """The same blocks, each drawn while the one before it is computed."""
    waiting = iter(blocks)
    with ThreadPoolExecutor(1) as drawing:
        coming = drawing.submit(next, waiting, None)
        while (block := coming.result()) is not None:
            coming = drawing.submit(next, waiting, None)
            yield block
