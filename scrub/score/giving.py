"""What a claim leaves out: an occurrence is given one sender after another, and what is recovered more is told.

Only occurrences whose rest costs something are asked. Where senders are many they are screened on a few calls, with
the same draws, and the best are measured: every gain that is told is exact on the rows and draws that it is told for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.positions import OTHER, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.engine.given import Gift, left_out_of, with_gifts, with_own_rest
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import Occurrence
from scrub.score.cost import LEAST, QUICK_ROWS, Spending
from scrub.score.earned import WORTH
from scrub.score.left_out import LeftOut
from scrub.score.sample import ClaimBench
from scrub.score.taken import Places, Taken

T = TypeVar("T")
Phase = Callable[[str, int], None]  # hears of what comes next, and of how many calls that takes
LEAST_EVALUATED = 1_000  # sites, however small the sample
ASKED_DRAWS = 20  # as many as an enumeration counts for
HELD = 0.5  # of the memory: arrays of what is written at positions without a name


def what_is_left_out(taken: Taken, effort: Spending, phase: Phase = lambda name, calls: None) -> tuple[LeftOut, ...]:
    """What occurrences read that their claim leaves out, the largest gain first: those above `WORTH`.

    Nothing where the model does not differ from a random row.
    """
    if taken.samples.random.mean() == taken.samples.top.mean():
        return ()
    search = _Search(taken, effort, phase)
    nodes = {node.path: node for node in taken.bench.tree.walk()}
    gifts = [gift for path in search.costly() for gift in left_out_of(taken.bench.claim, nodes[path])]
    gifts = search.paid(gifts, LEAST)
    search, gifts = search.able(gifts)
    best = search.screened(gifts)
    gains = search.given("measured", best, taken.everyone[: effort.rows], effort.draws)
    found = [_told(taken.bench, nodes[g.path], g, gain) for g, gain in zip(best, gains, strict=True) if gain > WORTH]
    return tuple(sorted(found, key=lambda one: (-one.gain, one.path, one.channel, one.sender, str(one.at))))


def _told(bench: ClaimBench, node: Occurrence, gift: Gift, gain: float) -> LeftOut:
    senders = tuple(sorted(bench.claim.graph.atoms(gift.sender)))
    return LeftOut(node.variable, node.site, gift.channel, gift.sender, gift.at, gain, gift.path, senders)


@frozen(eq=False, slots=False)
class _Search:
    """Senders that are given one by one; what a change costs is how many occurrences are evaluated anew."""

    taken: Taken
    effort: Spending
    phase: Phase

    @cached_property
    def depths(self) -> dict[str, int]:
        """Of every occurrence how many are evaluated anew where it is changed: it, and all that read it."""
        return dict(_depths(self.taken.bench.tree, 1))

    @property
    def budget(self) -> int:
        draws = ASKED_DRAWS if self.taken.exact else self.taken.samples.scrubbed.shape[1]
        own = len(self.depths) * len(self.taken.everyone) * draws
        return max(LEAST_EVALUATED, int(self.effort.share * own))

    def costly(self) -> list[str]:
        """The occurrences whose rest costs more than `WORTH`, the costliest first.

        A rest that is no row is not undone: all occurrences are asked, those nearest the answer first.
        """
        nearest = sorted((n.path for n in self.taken.bench.tree.walk() if not n.leaf), key=lambda p: self.depths[p])
        if self.taken.bench.claim.options.pseudo:
            return nearest
        at = self.taken.everyone[:QUICK_ROWS]
        asked = self._affordable(nearest, nearest, len(at))
        roots = [with_own_rest(self.taken.bench.tree, path) for path in asked]
        gains = self._gains("what rests cost", roots, at, 1)
        costs = {path: gain for path, gain in zip(asked, gains, strict=True) if gain > WORTH}
        return sorted(costs, key=lambda path: -costs[path])

    def paid(self, gifts: Sequence[Gift], calls: int) -> list[Gift]:
        """The first gifts, as many as may be paid for on so many calls; a layer stands for its heads."""
        layers = {_layer(gift) for gift in gifts if gift.sender.traits.attends and not gift.sender.traits.by_unit}
        single = {gift for gift in gifts if gift.sender.traits.is_head and _layer(gift) in layers}
        kept = self._affordable(*_with_paths([gift for gift in gifts if gift not in single]), calls)
        paid = {_layer(gift) for gift in kept}
        return [*kept, *(gift for gift in gifts if gift in single and _layer(gift) in paid)]

    def _affordable(self, items: Sequence[T], paths: Sequence[str], calls: int) -> list[T]:
        spent = np.cumsum([self.depths[path] * calls for path in paths])
        return list(items[: int((spent <= self.budget).sum())])

    def able(self, gifts: Sequence[Gift]) -> tuple[_Search, list[Gift]]:
        """With all that gifts need of the rows: the pool is run once more, keeping it where it fits."""
        bench = self.taken.bench
        if not isinstance(bench.rows, TransformerRows) or not gifts:
            return self, list(gifts)
        others = {gift for gift in gifts if gift.at == OTHER}
        others = others if _fits(bench, bench.rows) else set[Gift]()
        kept = [gift for gift in gifts if gift.at != OTHER or gift in others]
        sets = [[g for g in kept if g.path == path and (g in others) is other]
                for path in dict.fromkeys(g.path for g in kept) for other in (False, True)]  # fmt: skip
        program = compile_tree(bench.claim, *(with_gifts(bench.tree, some) for some in sets if some))
        rows = TransformerRows.run(bench.claim, bench.rows.model, [bench.program, program])
        return evolve(self, taken=evolve(self.taken, bench=evolve(bench, rows=rows))), kept

    def screened(self, gifts: Sequence[Gift]) -> Sequence[Gift]:
        """The gifts that gain most on a few calls: heads of a layer together first, then each of the best layers."""
        whole = [gift for gift in gifts if gift.sender.traits.attends and not gift.sender.traits.by_unit]
        layers = {_layer(gift): gift for gift in whole}
        single = [gift for gift in gifts if gift.sender.traits.is_head and _layer(gift) in layers]
        coarse = self._best([gift for gift in gifts if gift not in set(single)])
        return self._best([*coarse, *(gift for gift in single if layers[_layer(gift)] in coarse)])

    def _best(self, gifts: Sequence[Gift]) -> Sequence[Gift]:
        """As many as are measured, where there are more."""
        if len(gifts) <= self.effort.measured:
            return gifts
        rows = self.budget // sum(self.depths[gift.path] for gift in gifts)
        at = self.taken.everyone[: max(LEAST, min(QUICK_ROWS, rows))]
        gains = self.given("screened", gifts, at, 1)
        order = np.argsort(-np.array(gains), kind="stable")[: self.effort.measured]
        return [gifts[i] for i in order if gains[i] > 0]

    def given(self, name: str, gifts: Sequence[Gift], at: Places, few: int | None) -> list[float]:
        """What is recovered more with each gift."""
        return self._gains(name, [with_gifts(self.taken.bench.tree, [gift]) for gift in gifts], at, few)

    def _gains(self, name: str, roots: Sequence[Occurrence], at: Places, few: int | None) -> list[float]:
        """What is recovered more by each changed claim; nothing where it cannot be run."""
        samples, draws = self.taken.samples, self.taken.draws[:few]
        self.phase(name, len(roots) * len(at) * len(draws))
        table = self.taken.changed(roots, at, draws)
        gains = (self.taken.whole(draws)[at].mean() - table.mean(0)) / (samples.random.mean() - samples.top.mean())
        return np.nan_to_num(gains, nan=0.0, posinf=0.0, neginf=0.0).tolist()


def _with_paths(gifts: list[Gift]) -> tuple[list[Gift], list[str]]:
    return gifts, [gift.path for gift in gifts]


def _layer(gift: Gift) -> tuple[str, str, Slot | None, int | None]:
    """Where the heads of one layer are read together."""
    return gift.path, gift.channel, gift.at, gift.sender.layer


def _depths(node: Occurrence, depth: int) -> Iterator[tuple[str, int]]:
    yield node.path, depth
    for child in node.children:
        yield from _depths(child, depth + 1)


def _fits(bench: ClaimBench, rows: TransformerRows) -> bool:
    """Whether the memory holds what every writer writes at every position of the pool."""
    assert isinstance(bench.claim.graph, TransformerGraph)
    shape, lengths = bench.claim.graph.shape, bench.claim.data.lengths
    each = 2 * (shape.n_layers + 1) * shape.d_model * rows.model.dtype.itemsize
    return each * len(lengths) * int(lengths.max()) <= rows.model.memory.share(HELD)
