"""How much memory circuits fill on blocks of calls, and so how many of what go together.

Whoever runs them asks here, and so does whoever says beforehand what they will fill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from jaxtyping import Int

from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.experiment import Experiment
from scrub.circuit.same_streams import Place, alike_at_once
from scrub.engine.cache import ROWS_AT_ONCE
from scrub.model.bytes import SizedModel, row_bytes, values_bytes, written_bytes
from scrub.model.memory import Piece
from scrub.score.measure import logits_piece

# Of a block at most, whichever is more rows: on a CPU larger ones leave its caches, and small models spend their time
# between operations
ROWS, BLOCK = 16, 1024  # tokens
MOST = 2**16  # circuits whose final streams are held together
TOKENS = 4096  # of circuits times rows, run at once at most
# shares of the memory: a block and what runs on it, blocks that are kept between circuits, and final streams
RUN, KEPT, ENDS = 0.5, 0.25, 0.25


@frozen
class CircuitSizes:
    """Sizes in rows, circuits and bytes; `longest` is the longest row that is run, `writers` how many write to it.

    `donated` says that ablated values are those of other rows, whose streams are held too; `averaged` is the longest
    row of which means are taken, 0 where none are.
    """

    model: SizedModel
    longest: int
    writers: int
    donated: bool
    averaged: int = 0

    @classmethod
    def of(cls, model: SizedModel, experiment: Experiment) -> CircuitSizes:
        assert isinstance(experiment.graph, TransformerGraph)
        lengths, ablation = experiment.data.lengths, experiment.ablation
        averaged = int(lengths.max()) if ablation.averaged else 0
        longest, writers = int(lengths[experiment.rows].max()), len(experiment.graph.writers())
        return cls(model, longest, writers, ablation.donors is not None, averaged)

    def pieces(self, calls: int) -> Iterator[Piece]:
        """What of circuits on so many calls is not cut any further."""
        yield self.row_piece
        yield self.ends_piece(calls)
        yield logits_piece(self.model)
        if self.averaged:
            yield averaged_piece(self.model, self.averaged)

    def slices(self, lengths: Int[np.ndarray, " call"]) -> list[Int[np.ndarray, " n"]]:
        """Which calls, of rows of such lengths, make each block: rows of similar length together."""
        order, size = np.argsort(lengths, kind="stable"), self.rows_at_once()
        return [order[start : start + size] for start in range(0, len(order), size)]

    def rows_at_once(self) -> int:
        """How many calls make a block: of each its own values and its ablated ones are held, while a circuit runs."""
        return self.model.memory.fit(self.row_piece, max(ROWS, BLOCK // self.longest))

    @property
    def row_piece(self) -> Piece:
        """A call with a circuit that runs on it."""
        each = self.block_bytes(1, self.longest) + self.wired_bytes(self.longest, self.writers)
        return Piece(f"one row of {self.longest} tokens with its own values and the ablated ones", each, RUN)

    def block_bytes(self, rows: int, length: int) -> int:
        """What a block holds: own values and ablated ones."""
        ablated = values_bytes if self.donated else written_bytes
        return rows * (values_bytes(self.model, length) + ablated(self.model, length))

    def room(self, rows: int, length: int) -> int:
        """What may be filled beside a block of so many rows."""
        return self.model.memory.share(RUN) - self.block_bytes(rows, length)

    def running(self, rows: int, length: int) -> int:
        """What circuits of components that run together may fill, beside those that wait between two layers."""
        return self.room(rows, length) // (2 if self.model.streamed else 1)

    def in_step(self, rows: int, places: int, at_once: int) -> int:
        """How many pieces of `at_once` circuits go side by side where layers are taken from files.

        Of those that wait their streams are held, at so many places of each row.
        """
        if not self.model.streamed:
            return 1
        return max(1, self.running(rows, self.longest) // (at_once * rows * self.stream_bytes(places)))

    def wired_bytes(self, length: int, streams: int) -> int:
        """What a row fills while a wiring runs on it that keeps so many streams, and reads three for each head."""
        each = (streams + 6 * self.model.shape.n_heads) * self.model.shape.d_model
        return row_bytes(self.model, length) + length * each * self.model.dtype.itemsize

    def alike_bytes(self, places: Sequence[Place], length: int, heads: int) -> int:
        """What a circuit fills on a row, beside what it has alike with others: keys and values of the live heads of a
        layer at every position; streams and, group by group of places, what is computed of them."""
        s, each = self.model.shape, [at.shape[1] for at in places]
        group = max(each) * (6 * s.d_model + 3 * s.d_mlp + heads * (4 * s.d_head + length))
        streams = sum(each) * 2 * (s.d_model + heads * s.d_head)
        return (streams + group + 2 * length * heads * s.d_head) * self.model.dtype.itemsize

    def circuits_at_once(self, rows: int, length: int) -> int:
        """How many circuits of components run together on a block, each a pass of its rows."""
        return self._at_once(rows, length, row_bytes(self.model, length))

    def paths_at_once(self, rows: int, length: int, copies: int) -> int:
        """How many sets of paths of one wiring run together on a block."""
        return self._at_once(rows, length, self.wired_bytes(length, copies))

    def _at_once(self, rows: int, length: int, each: int) -> int:
        most = self.model.at_most(TOKENS // (rows * length))
        return max(1, min(most, self.running(rows, length) // (rows * each)))

    def alike_at_once(self, places: Sequence[Place], length: int, heads: int) -> int:
        """How many circuits that share what they have alike run together on a block."""
        rows, most = len(places[0]), self.model.at_most(alike_at_once(places))
        return max(1, min(most, self.running(rows, length) // (rows * self.alike_bytes(places, length, heads))))

    def copies_at_once(self, rows: int) -> int:
        """Of how many copies the values, and streams made of them, are held while a wiring runs on a block."""
        return max(1, self.room(rows, self.longest) // (rows * self.copies_bytes(1, self.longest)))

    def copies_bytes(self, copies: int, length: int) -> int:
        """What copies write on a row, and the streams that are made of it."""
        return 2 * copies * self.stream_bytes(length)

    def running_bytes(self, copies: int, length: int) -> int:
        """What a row fills while a wiring of so many copies runs: all streams, or what a layer makes of its own."""
        return max(self.copies_bytes(copies, length), self.wired_bytes(length, copies))

    def ends_at_once(self, calls: int) -> int:
        """Of how many circuits the final streams are held at once."""
        return self.model.memory.fit(self.ends_piece(calls), MOST)

    def ends_piece(self, calls: int) -> Piece:
        """The final streams of a circuit: as they are, and twice while they are scored."""
        return Piece(f"the final streams of {calls:,} rows", 3 * calls * self.stream_bytes(1), ENDS)

    def stream_bytes(self, length: int) -> int:
        return length * self.model.shape.d_model * self.model.dtype.itemsize


def averaged_at_once(model: SizedModel, longest: int) -> int:
    """How many rows are run together where every value of each is held until it is averaged."""
    return model.fit(averaged_piece(model, longest), ROWS_AT_ONCE)


def averaged_piece(model: SizedModel, longest: int) -> Piece:
    """The longest row with its values."""
    return Piece(f"one row of {longest} tokens with its values", averaged_bytes(model, longest), RUN)


def averaged_bytes(model: SizedModel, longest: int) -> int:
    return row_bytes(model, longest) + values_bytes(model, longest)
