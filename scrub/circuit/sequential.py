"""Monte Carlo tests that stop once they are decided.

Random ones are drawn one after another until so many of them did as well as what is tested, or all that were asked
for are drawn (J. Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991). Theirs is a test of
ranks; here the null is P(win) <= q, of which the count at the stop is a negative binomial, cut off: its p is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from attrs import frozen
from jaxtyping import Bool, Float, Int

LEVEL = 0.05
QUANTILE = 0.9
AHEAD = 8  # random ones that are run together at least, though a test may stop before the last of them


@frozen
class WinCount:
    """Wins against the first `n` of `most` random ones; `stopped`: the last of them was the last loss waited for."""

    wins: int
    n: int
    most: int
    stopped: bool = False

    @property
    def short(self) -> int | None:
        """How many there might have been, None where all of them were drawn."""
        return self.most if self.n < self.most else None

    def p(self, q: float = QUANTILE) -> float:
        """The chance at P(win) = q of a count that speaks as much against the null, under the rule of the count.

        All n drawn: at least as many wins of n. Stopped at draw L by the h-th loss: fewer than h losses before it.
        """
        return float(_tail(np.array([self.wins]), self.n - self.stopped, q)[0])


@frozen
class StoppingRule:
    """At most `most` are drawn, and none after the loss number `losses`; a tie is a loss."""

    most: int
    losses: int

    @classmethod
    def of(cls, most: int, losses: int | None = None, q: float = QUANTILE) -> StoppingRule:
        """The rule that was asked for; 0 losses never stop.

        By default so many that p is above `LEVEL` wherever it stops, be it at the very last: whatever comes, what is
        rejected is what it is without a rule, with the same p.
        """
        if losses is not None:
            return cls(most, losses or most + 1)
        least = np.arange(1, most + 1)
        return cls(most, int(least[_tail(most - least, most - 1, q) > LEVEL].min(initial=most + 1)))

    def count(self, won: Sequence[bool]) -> WinCount | None:
        """What is counted of these outcomes, in their order; None where more must be drawn."""
        lost = list(accumulate(int(not win) for win in won))
        n = min(self.most, lost.index(self.losses) + 1 if self.losses in lost else self.most)
        if n > len(won):
            return None
        losses = lost[n - 1] if n else 0
        return WinCount(n - losses, n, self.most, losses == self.losses)

    def wanting(self, won: Sequence[bool]) -> int:
        """How many more are drawn at least."""
        if self.count(won) is not None:
            return 0
        return min(self.losses - list(won).count(False), self.most - len(won))

    def power(self, q: float, better: float) -> float:
        """The chance of p <= `LEVEL` at P(win) = `better`."""
        from scipy.stats import binom

        at = np.arange(self.losses, self.most + 1)  # draws at which it may stop
        left = np.arange(max(self.most - self.losses + 1, 0), self.most + 1)  # wins where it does not
        wins = np.concatenate([at - self.losses, left])
        of = np.concatenate([at - 1, np.full(len(left), self.most)])
        chance = binom.pmf(wins, of, better) * np.repeat([1 - better, 1.0], [len(at), len(left)])
        return float(chance[_tail(wins, of, q) <= LEVEL].sum())


def drawn(
    rule: StoppingRule, tests: int, won: Callable[[range], Bool[np.ndarray, "test draw"]]
) -> tuple[WinCount, ...]:
    """The counts of several tests against the same random ones, each ended by its own losses.

    `won` says what is won against those with these numbers. They are asked for in their order, as many ahead as there
    are already, and what was asked for too many is not looked at: counts do not depend on how many are run together.
    """
    outcomes = np.zeros((tests, 0), dtype=bool)
    while more := max((rule.wanting(row) for row in outcomes.tolist()), default=0):
        outcomes = np.concatenate([outcomes, won(_next(outcomes.shape[1], rule.most, more))], axis=1)
    found = [rule.count(row) for row in outcomes.tolist()]
    return tuple(count for count in found if count is not None)


def batches(most: int) -> Iterator[range]:
    """The numbers of random ones that are run together, where no test is decided before the last."""
    start = 0
    while start < most:
        yield (some := _next(start, most))
        start = some.stop


def _next(start: int, most: int, wanting: int = 0) -> range:
    """The numbers of those that are run next, where so many were: as many ahead as there are already."""
    return range(start, min(most, start + max(wanting, AHEAD, start)))


def _tail(wins: Int[np.ndarray, " n"], of: Any, q: float) -> Float[np.ndarray, " n"]:
    """P(Bin(of, q) >= wins)."""
    from scipy.stats import binom  # late, as everywhere: to import it takes a second

    return binom.sf(wins - 1, of, q)
