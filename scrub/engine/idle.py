"""Which values change nothing where they land: those of the very row that they land in.

The plan knows it. A leaf's value is that of its row; a site's is that of a row where it reads this row alone, or
others that have the same inputs, and what lands in its streams changes nothing there. So no number is waited for, and
MLPs that would see no change are left out.
"""

from __future__ import annotations

import numpy as np
from attrs import field, frozen
from jaxtyping import Bool, Int

from scrub.claims.resolved import Claim
from scrub.engine.number import Numbered
from scrub.engine.plan import Landing, Leaf, Program, SiteShape, Stream
from scrub.engine.upstream import representatives

CHANGED = -1  # of no row


@frozen(eq=False, slots=False)
class RowsAlike:
    """Which rows give a step the same inputs."""

    claim: Claim
    # kept by all that decides it: the kinds of a step's components, and its slots
    _known: dict[object, Int[np.ndarray, " row"]] = field(factory=dict, init=False, repr=False)

    def of(self, step: Leaf | SiteShape) -> Int[np.ndarray, " row"]:
        """For every row the row that stands for it."""
        told = frozenset(component.kind for component in step.components), step.slots
        if told not in self._known:
            self._known[told] = representatives(self.claim, step.components, step.slots)
        return self._known[told]


@frozen(eq=False)
class Idle:
    """The contexts of a program's steps whose value is that of one row as it is."""

    alike: RowsAlike
    program: Program
    numbered: Numbered
    # kept by step, of these contexts
    _known: dict[int, Int[np.ndarray, " context"]] = field(factory=dict, init=False, repr=False)

    def lands(
        self, stream: Stream, landing: Landing, contexts: Int[np.ndarray, "n column"]
    ) -> Bool[np.ndarray, " n"]:
        """In which of a stream's contexts a value that lands changes nothing."""
        if self.alike.claim.options.pseudo:  # frames are no rows of the pool
            return np.zeros(len(contexts), dtype=bool)
        number = contexts[:, 1 + stream.sources.index(landing.source)]
        return self._row(landing.source)[number] == self._alike(landing.source)[contexts[:, 0]]

    def _alike(self, number: int) -> Int[np.ndarray, " row"]:
        step = self.program.steps[number]
        assert not isinstance(step, Stream)
        return self.alike.of(step)

    def _row(self, number: int) -> Int[np.ndarray, " context"]:
        """The row whose own value each context of a step has, as it stands for others; CHANGED for none."""
        if number not in self._known:
            step, contexts = self.program.steps[number], self.numbered.batches[number].contexts
            rests = contexts.shape[1] - (len(step.views) if isinstance(step, SiteShape) else 0)
            rows = self._alike(number)[contexts[:, :rests]]
            same = (rows == rows[:, :1]).all(1)
            for column, (stream, _, _) in enumerate(step.views if isinstance(step, SiteShape) else ()):
                same &= self._still(stream)[contexts[:, rests + column]]
            self._known[number] = np.where(same, rows[:, 0], CHANGED)
        return self._known[number]

    def _still(self, number: int) -> Bool[np.ndarray, " context"]:
        """The contexts of a stream in which all that lands changes nothing."""
        stream, contexts = self.program.steps[number], self.numbered.batches[number].contexts
        assert isinstance(stream, Stream)
        found = np.ones(len(contexts), dtype=bool)
        for landing in stream.landings:
            found &= self.lands(stream, landing, contexts)
        return found
