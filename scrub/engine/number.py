"""Pass 3b: for whom. Every step gets its contexts, equal ones once; nothing else in a run is per row.

The context of a leaf is a row, of a stream (frame row, contexts of what lands), of a shape (its rest rows,
contexts of its streams). Contexts are numbered; a reader holds numbers, so that sharing is one `unique`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.claims.resolved import Claim
from scrub.engine.draw import Drawn
from scrub.engine.plan import Leaf, Program, SiteShape
from scrub.engine.unroll import Occurrence
from scrub.engine.upstream import representatives


@frozen(eq=False)
class Batch:
    """The distinct contexts of one step: a row each; columns as the step's kind says.

    `until` is the last moment at which any reader looks at the context of a stream; contexts stand in the order
    of it, the latest first, so that those still needed are always the first ones.
    """

    contexts: Int[np.ndarray, "context column"]
    until: Int[np.ndarray, " context"]

    def __len__(self) -> int:
        return len(self.contexts)


@frozen(eq=False)
class Numbered:
    """A program with its contexts. `answers` are each root's context of every call, `asked` counts them unshared."""

    batches: dict[int, Batch]
    answers: tuple[Int[np.ndarray, " call"], ...]
    asked: int

    @property
    def counts(self) -> list[int]:
        """How many contexts every step has."""
        return [len(self.batches[number]) for number in range(len(self.batches))]

    @property
    def evaluated(self) -> int:
        return sum(self.counts)


Use = tuple[str, int, str]  # path of an occurrence; of a stream also the rest column and channel it serves


@frozen(eq=False, slots=False)
class Numbering:
    """Numbers the contexts of programs of one claim; what a leaf may share between rows is kept."""

    claim: Claim
    program: Program

    @cached_property
    def shared(self) -> dict[int, Int[np.ndarray, " row"]]:
        """For each leaf, the row that stands for each row."""
        return {
            step: representatives(self.claim, made.components, made.slots)
            for step, made in enumerate(self.program.steps)
            if isinstance(made, Leaf)
        }

    @cached_property
    def nodes(self) -> dict[str, Occurrence]:
        """The occurrences by their paths."""
        return {node.path: node for root in self.program.roots for node in root.walk()}

    def number(self, drawn: Mapping[str, Drawn]) -> Numbered:
        """Contexts of every step for the drawn rows."""
        numbers: dict[tuple[int, Use], Int[np.ndarray, " call"]] = {}
        batches: dict[int, Batch] = {}
        asked = 0
        for step, uses in enumerate(self.uses):
            tables = [self._columns(step, use, drawn[use[0]], numbers) for use in uses]
            contexts, inverse = unique_rows(np.concatenate(tables))
            last = np.repeat([self.last.get((step, use), 0) for use in uses], [len(table) for table in tables])
            until = np.full(len(contexts), -1)
            np.maximum.at(until, inverse, last)
            order = np.argsort(-until, kind="stable")
            batches[step] = Batch(contexts[order], until[order])
            inverse = np.argsort(order)[inverse]
            asked += len(inverse)
            for use, part in zip(uses, np.split(inverse, len(uses)), strict=True):
                numbers[step, use] = part
        answers = tuple(numbers[step, (path, 0, "")] for path, step in self.program.answers)
        return Numbered(batches, answers, asked)

    @cached_property
    def last(self) -> dict[tuple[int, Use], int]:
        """The last moment at which a use looks at a stream."""
        order = self.claim.graph.order
        last: dict[tuple[int, Use], int] = {}
        for path, parts in self.program.parts.items():
            for made in (self.program.steps[step] for step in parts):
                for i in made.inputs if isinstance(made, SiteShape) else ():
                    for stream in i.shown:
                        key = stream, (path, i.rest, i.channel)
                        last[key] = max(last.get(key, -1), *(order(c) for c in i.components))
        return last

    @cached_property
    def uses(self) -> list[list[Use]]:
        """Who uses each step."""
        uses: list[dict[Use, None]] = [{} for _ in self.program.steps]
        for path, parts in self.program.parts.items():
            for step in parts:
                made = self.program.steps[step]
                for stream, rest, channel in made.views if isinstance(made, SiteShape) else ():
                    uses[stream][path, rest, channel] = None
                uses[step][path, 0, ""] = None
        return [list(found) for found in uses]

    def _columns(
        self, step: int, use: Use, rows: Drawn, numbers: Mapping[tuple[int, Use], Int[np.ndarray, " call"]]
    ) -> Int[np.ndarray, "call column"]:
        made, (path, rest, channel) = self.program.steps[step], use
        if isinstance(made, Leaf):
            return self.shared[step][rows.own][:, None]
        if isinstance(made, SiteShape):
            return np.column_stack([rows.rest, *(numbers[view[0], (path, *view[1:])] for view in made.views)])
        landed = [numbers[source, (self._owner(source, path, channel), 0, "")] for source in made.sources]
        return np.column_stack([rows.rest[:, rest], *landed])

    def _owner(self, source: int, path: str, channel: str) -> str:
        """The occurrence whose value lands: a child read through the channel, or itself for a linked mate."""
        node: Occurrence = self.nodes[path]
        for child in node.children:
            if channel in child.channels and source in self.program.parts[child.path]:
                return child.path
        return path


def unique_rows(
    table: Int[np.ndarray, "n column"],
) -> tuple[Int[np.ndarray, "context column"], Int[np.ndarray, " n"]]:
    """Distinct rows of a table of small non-negative integers, and the number of each row among them."""
    code = table[:, 0].astype(np.int64)
    for column in range(1, table.shape[1]):
        width = int(table[:, column].max(initial=0)) + 1
        # One number for a row of the table, since unique numbers are found much faster than unique rows; before it
        # overflows it is replaced by its rank.
        if int(code.max(initial=0)) > np.iinfo(np.int64).max // max(width, 1) - 1:
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
        code = code * width + table[:, column]
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return table[first], inverse.reshape(-1)
