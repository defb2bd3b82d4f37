"""One file a metric. A file here is a metric: its name is the file's, and nothing else lists it.

A metric is a number for each (answer, reference row). Answers are logits, a transformer's or a graph's own vector; a
tuple of tokens sums their probabilities. Labels, other arguments and the model's own answer always come from the
reference row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scrub.claims.dataset import Dataset
from scrub.claims.metric import REDUCTIONS, AnyMetric, NamedMetric
from scrub.claims.problems import at_line
from scrub.claims.setting import token_ids
from scrub.claims.text import Tokenizer
from scrub.claims.wording import METRICS
from scrub.errors import MetricError, some

__path__ = METRICS.path  # one list: the file that a claim's words were read from is the file that is run

Constants = Callable[[Float[Tensor, "c v"]], Float[Tensor, " c"]]


@frozen(eq=False)
class Against:
    """What n answers are measured against: the tokens of each column, false in `there` is padding.

    `own` are the model's own logits on the reference rows, for a metric that reads them. `how` says of each column
    what the values of its several tokens are together: `mean`, `max`, or (nothing) the log of their summed
    exponentials.
    """

    ids: tuple[Int[Tensor, "n k"], ...]
    there: tuple[Bool[Tensor, "n k"], ...]
    own: Float[Tensor, "n v"] | None = None
    how: tuple[str, ...] = ()

    @property
    def needed(self) -> Int[Tensor, "n k"]:
        """The vocabulary columns that a metric reads which reads few."""
        return torch.cat(self.ids, dim=1)

    def taken(self, values: Float[Tensor, "n v"]) -> list[Float[Tensor, " n"]]:
        """For each column, what its tokens' values are together: the log of their summed exponentials, or `how`."""
        return [_REDUCED[how](values.gather(1, ids), there) for ids, there, how in self._columns()]

    def few(self, values: Float[Tensor, "n k"]) -> list[Float[Tensor, " n"]]:
        """The same from the values of the `needed` columns alone."""
        found: list[Tensor] = []
        first = 0
        for _, there, how in self._columns():
            found.append(_REDUCED[how](values[:, first : first + there.shape[1]], there))
            first += there.shape[1]
        return found

    def of_each(self, values: Float[Tensor, "c v"]) -> list[Float[Tensor, "c n"]]:
        """The same for each of several constant answers."""
        return [_REDUCED[how](values[:, ids], there) for ids, there, how in self._columns()]

    def part(self, rows: slice) -> Against:
        return evolve(self, ids=tuple(t[rows] for t in self.ids), there=tuple(t[rows] for t in self.there), own=None)

    def _columns(self) -> Iterator[tuple[Int[Tensor, "n k"], Bool[Tensor, "n k"], str]]:
        return zip(self.ids, self.there, self.how or ("",) * len(self.ids), strict=True)


def _log_sum(values: Float[Tensor, "*c n k"], there: Bool[Tensor, "n k"]) -> Float[Tensor, "*c n"]:
    return values.masked_fill(~there, -torch.inf).logsumexp(-1)


def _mean(values: Float[Tensor, "*c n k"], there: Bool[Tensor, "n k"]) -> Float[Tensor, "*c n"]:
    return values.masked_fill(~there, 0.0).sum(-1) / there.sum(-1)


def _largest(values: Float[Tensor, "*c n k"], there: Bool[Tensor, "n k"]) -> Float[Tensor, "*c n"]:
    return values.masked_fill(~there, -torch.inf).amax(-1)


_REDUCED: dict[str, Callable[..., Tensor]] = dict(zip(("", *REDUCTIONS), (_log_sum, _mean, _largest), strict=True))


@frozen(eq=False)
class Arguments:
    """The tokens of a metric's columns in every row: `ids[column]` is `[row, k]`, false in `there` is padding.

    `how` says what several of them are together, as in `Against`.
    """

    ids: tuple[Int[Tensor, "row k"], ...]
    there: tuple[Bool[Tensor, "row k"], ...]
    how: tuple[str, ...] = ()

    @classmethod
    def of(cls, metric: AnyMetric, data: Dataset, tokenizer: Tokenizer | None, device: torch.device) -> Arguments:
        tables = [_table(token_ids(data, name, tokenizer), device) for name in metric.columns]
        how = metric.reductions if isinstance(metric, NamedMetric) else ()
        return cls(tuple(t[0] for t in tables), tuple(t[1] for t in tables), how)

    def at(self, rows: Int[Tensor, " n"], own: Float[Tensor, "n v"] | None = None) -> Against:
        """What answers with these reference rows are measured against."""
        ids, there = (tuple(table[rows] for table in tables) for tables in (self.ids, self.there))
        return Against(ids, there, own, self.how)


def _table(found: list[tuple[int, ...]], device: torch.device) -> tuple[Tensor, Tensor]:
    found = [tuple(dict.fromkeys(row)) for row in found]  # the probability of a token counts once
    width = max(map(len, found))
    ids = torch.tensor([(*row, *([row[0]] * (width - len(row)))) for row in found], device=device)
    there = torch.tensor([[i < len(row) for i in range(width)] for row in found], device=device)
    return ids, there


@frozen(eq=False)
class References:
    """The rows that a constant answer is scored on, `together` at a time; `own` gives the model's, in parts."""

    count: int
    together: int
    against: Against
    own: Callable[[], Iterator[Float[Tensor, "part v"]]]


@frozen(eq=False)
class Formula:
    """How a metric is computed.

    `value(logits, against)` gives the metric of each answer [n v]. A metric that needs the logits of its tokens alone
    has `few` instead, a function of what `Against.taken` gives: a number for each of its columns.

    `constant(references)` gives a function from constant answers [c v] to their mean metric [c], where that can be
    had for less than by the value of each answer on each row. `labels` says that the frequencies of the first
    column's tokens may be the best constant answer, `own` that the model's own logits are read, `flat` that the
    metric has no slope where an answer is the model's own, `gradient` that it has a derivative that can be followed.
    """

    value: Callable[[Float[Tensor, "n v"], Against], Float[Tensor, " n"]] | None = None
    few: Callable[..., Tensor] | None = None
    constant: Callable[[References], Constants] | None = None
    labels: bool = False
    own: bool = False
    flat: bool = False
    gradient: bool = True

    def on_few(self, logits: Float[Tensor, "n k"], against: Against) -> Float[Tensor, " n"]:
        """The metric from the logits of the columns that are `against.needed`."""
        assert self.few is not None
        return self.few(*against.few(logits))

    def on_logits(self, logits: Float[Tensor, "n v"], against: Against) -> Float[Tensor, " n"]:
        """The metric of full logits."""
        if self.few is not None:
            return self.few(*against.taken(logits))
        assert self.value is not None
        return self.value(logits, against)

    def constants(self, references: References) -> Constants:
        """The mean metric over the reference rows of each of several constant answers."""
        if self.constant is not None:
            return self.constant(references)
        if (few := self.few) is not None:
            return lambda logits: few(*references.against.of_each(logits.double())).mean(1)
        return lambda logits: torch.stack([self._mean(answer.double(), references) for answer in logits])

    def _mean(self, answer: Float[Tensor, " v"], references: References) -> Float[Tensor, ""]:
        total = torch.zeros((), dtype=torch.float64, device=answer.device)
        for count, against in self._parts(references):
            total += self.on_logits(answer.expand(count, -1), against).sum()
        return total / references.count

    def _parts(self, references: References) -> Iterator[tuple[int, Against]]:
        own = references.own() if self.own else None
        for first in range(0, references.count, references.together):
            count = min(references.together, references.count - first)
            part = references.against.part(slice(first, first + count))
            yield count, evolve(part, own=None if own is None else next(own).double())


def find(metric: NamedMetric) -> Formula:
    """How a metric is computed, as its file has it. Raises MetricError for a file that fails, or has no Formula."""
    try:
        found: Any = import_module(f"{__name__}.{metric.kind}").FORMULA
    except Exception as error:
        raise MetricError(
            f"metric {metric}: its file raised {type(error).__name__}: {error}{at_line(error)}"
        ) from error
    if not isinstance(found, Formula) or (found.value is None) == (found.few is None):
        raise MetricError(f"metric {metric}: FORMULA of its file is {found!r}: write FORMULA = Formula(value).")
    return found


def as_logits(outputs: Sequence[Any], metric: AnyMetric) -> Float[Tensor, "n v"]:
    """Outputs of a computation graph as logits. Raises MetricError when they are no vectors of one length."""
    try:
        made = np.stack([np.asarray(output, dtype=np.float64) for output in outputs])
    except (TypeError, ValueError):
        made = np.zeros(0)
    if made.ndim != 2:
        raise MetricError(
            f"metric {metric} reads logits, but the output node gives {outputs[0]!r}: return vectors of one "
            "length, or use Metric(fn, better=...) with fn(output, row) -> float."
        )
    return torch.from_numpy(made)


def check_width(arguments: Arguments, metric: NamedMetric, width: int) -> None:
    """Raises MetricError when an argument of a metric names an entry that a graph's vectors do not have."""
    for name, ids in zip(metric.columns, arguments.ids, strict=True):
        bad = torch.nonzero(((ids < 0) | (ids >= width)).any(-1)).flatten().tolist()
        if bad:
            raise MetricError(
                f"metric {metric}: column {name!r} names no entry of the output node's {width} logits in rows "
                f"{some(bad)}; entries are numbered from 0."
            )
