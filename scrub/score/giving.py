"""What a claim leaves out: an occurrence is given one sender after another, and what is recovered more is told.

Only occurrences whose rest costs something are asked. Where no rest costs anything, several senders may yet be read
that agree as long as all of them come from one row: then every occurrence is asked what is lost where one of them
alone is given. A wrong head among the keys hides so that queries read more than the claim says.

Where senders are many they are screened on a few calls, with the same draws, those that do little on fewer rows than
the others, and the best are measured: every gain that is told is exact on the rows and draws that it is told for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.positions import OTHER
from scrub.anatomy.transformer import TransformerGraph
from scrub.engine.cost import gift_work, work_of
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
Group = tuple[Gift, ...]  # of one occurrence
Phase = Callable[[str, int], None]  # hears of what comes next, and of how many calls that takes
LEAST_EVALUATED = 1_000  # sites, however small the sample
ASKED_DRAWS = 20  # as many as an enumeration counts for
OTHERS = 2**32  # bytes at most of what is written at positions without a name: beyond the memory they lie in files


def what_is_left_out(taken: Taken, effort: Spending, phase: Phase = lambda name, calls: None) -> tuple[LeftOut, ...]:
    """What occurrences read that their claim leaves out, the largest gain first: those above `WORTH`.

    Where no rest costs anything, the largest losses, as negative gains. Nothing where the model does not differ from
    a random row.
    """
    if taken.samples.random.mean() == taken.samples.top.mean():
        return ()
    search = _Search(taken, effort, phase)
    if not (asked := search.costly()):
        search, asked = evolve(search, sign=-1), search.nearest
    gifts = [gift for path in asked for gift in left_out_of(taken.bench.claim, search.nodes[path])]
    search, gifts = search.able(search.paid(gifts))
    best = search.screened(gifts)
    gains = zip(best, search.measured(best), strict=True)
    found = [(gift, search.sign * gain) for gift, gain in gains if gain > WORTH]
    told = [_told(taken.bench, search.nodes[gift.path], gift, gain) for gift, gain in found]
    return tuple(sorted(told, key=lambda one: (-abs(one.gain), one.path, one.channel, one.sender, str(one.at))))


def _told(bench: ClaimBench, node: Occurrence, gift: Gift, gain: float) -> LeftOut:
    senders = tuple(sorted(bench.claim.graph.atoms(gift.sender)))
    return LeftOut(node.variable, node.site, gift.channel, gift.sender, gift.at, gain, gift.path, senders)


@frozen(eq=False, slots=False)
class _Search:
    """Senders that are given, each alone or several together, and what that costs: gains, or losses (`sign` -1)."""

    taken: Taken
    effort: Spending
    phase: Phase
    sign: int = 1

    @cached_property
    def nodes(self) -> dict[str, Occurrence]:
        return {node.path: node for node in self.taken.bench.tree.walk()}

    @cached_property
    def works(self) -> dict[str, int]:
        """Of every occurrence what is computed anew for a call where it is changed: it, and all that read it."""
        return dict(_summed(self.taken.bench, self.taken.bench.tree, 0))

    @cached_property
    def budget(self) -> int:
        """What a step may cost: a share of the claim's own draws, or `LEAST_EVALUATED` of its sites."""
        draws = ASKED_DRAWS if self.taken.exact else self.taken.samples.scrubbed.shape[1]
        bench, calls = self.taken.bench, len(self.taken.everyone) * draws
        own = sum(work_of(bench.claim, bench.program, node) for node in self.nodes.values())
        return max(int(self.effort.share * own * calls), LEAST_EVALUATED * own // len(self.nodes))

    def work(self, group: Group) -> int:
        """What a call costs with some gifts."""
        node = self.nodes[group[0].path]
        return self.works[node.path] + gift_work(self.taken.bench.claim, node, len(group), group[0].at == OTHER)

    @cached_property
    def nearest(self) -> list[str]:
        """The occurrences that have a rest, those nearest the answer first."""
        return sorted((path for path, node in self.nodes.items() if not node.leaf), key=lambda p: p.count("/"))

    def costly(self) -> list[str]:
        """The occurrences whose rest costs more than `WORTH`, the costliest first.

        A rest that is no row is not undone: all occurrences are asked.
        """
        nearest = self.nearest
        if self.taken.bench.claim.options.pseudo:
            return nearest
        at = self.taken.everyone[:QUICK_ROWS]
        asked = nearest[: self._affordable([self.works[path] * len(at) for path in nearest])]
        roots = [with_own_rest(self.taken.bench.tree, path) for path in asked]
        self.phase("what rests cost", len(roots) * len(at))
        gains = self._gains(roots, at, 1)
        costs = {path: gain for path, gain in zip(asked, gains, strict=True) if gain > WORTH}
        return sorted(costs, key=lambda path: -costs[path])

    def paid(self, gifts: Sequence[Gift]) -> list[Gift]:
        """The first gifts, as many as the budget pays for where what is of one layer is given together."""
        layers = list(_layers(gifts))
        return [gift for layer in layers[: self._count(layers, LEAST)] for gift in layer]

    def _count(self, groups: Sequence[Group], calls: int) -> int:
        return self._affordable([self.work(group) * calls for group in groups])

    def _affordable(self, works: Sequence[int]) -> int:
        """How many can be paid for, the first ones; one at least."""
        return max(1, int((np.cumsum(works) <= self.budget).sum()))

    def able(self, gifts: Sequence[Gift]) -> tuple[_Search, list[Gift]]:
        """With all that gifts need of the rows: the pool is run once more, keeping it where it fits."""
        bench = self.taken.bench
        if not isinstance(bench.rows, TransformerRows) or not gifts:
            return self, list(gifts)
        others = {gift for gift in gifts if gift.at == OTHER}
        others = others if _few_bytes(bench, bench.rows) else set[Gift]()
        kept = [gift for gift in gifts if gift.at != OTHER or gift in others]
        sets = [[g for g in kept if g.path == path and (g in others) is other]
                for path in dict.fromkeys(g.path for g in kept) for other in (False, True)]  # fmt: skip
        program = compile_tree(bench.claim, *(with_gifts(bench.tree, some) for some in sets if some))
        rows = TransformerRows.run(bench.claim, bench.rows.model, [bench.program, program])
        return evolve(self, taken=evolve(self.taken, bench=evolve(bench, rows=rows))), kept

    def screened(self, gifts: Sequence[Gift]) -> Sequence[Gift]:
        """The gifts that gain most on a few calls, as many as are measured.

        Where not each of them can be paid for, only those of the layers that gain most together.
        """
        if len(gifts) <= self.effort.measured:
            return gifts
        rows = self.budget // max(1, sum(self.work((gift,)) for gift in gifts))
        at = self.taken.everyone[: max(LEAST, min(QUICK_ROWS, rows))]
        if rows < len(at):
            ahead = [(gift,) for layer in self._best(_layers(gifts), at) for gift in layer]
            gifts = [gift for (gift,) in ahead[: self._count(ahead, len(at))]]
        return [gift for (gift,) in self._best([(gift,) for gift in gifts], at)][: self.effort.measured]

    def _best(self, groups: Sequence[Group], at: Places) -> list[Group]:
        """Those that gain (or lose) anything, the best first.

        All are run on a few rows, the better half of them on as many again, and so on (successive halving, Z. Karnin,
        T. Koren and O. Somekh 2013), never fewer than are measured: what is left was run on all of the rows.
        """
        left, gains, seen = list(groups), dict.fromkeys(groups, 0.0), 0
        for end in _doubled(len(at)):
            left = _first(left, gains, max(self.effort.measured, -(-len(left) // 2))) if seen else left
            self.phase("screened", len(left) * (end - seen))
            more = self._given(left, at[seen:end], 1)
            gains |= {g: (gains[g] * seen + gain * (end - seen)) / end for g, gain in zip(left, more, strict=True)}
            seen = end
        return _first([group for group in left if gains[group] > 0], gains, len(left))

    def measured(self, gifts: Sequence[Gift]) -> list[float]:
        """What is gained with each gift, or lost, on as many rows and draws as are asked for."""
        at, few = self.taken.everyone[: self.effort.rows], self.effort.draws
        self.phase("measured", len(gifts) * len(at) * len(self.taken.draws[:few]))
        return self._given([(gift,) for gift in gifts], at, few)

    def _given(self, groups: Sequence[Group], at: Places, few: int | None) -> list[float]:
        gains = self._gains([with_gifts(self.taken.bench.tree, _once(group)) for group in groups], at, few)
        return [self.sign * gain for gain in gains]

    def _gains(self, roots: Sequence[Occurrence], at: Places, few: int | None) -> list[float]:
        """What is recovered more by each changed claim; nothing where it cannot be run."""
        samples, draws = self.taken.samples, self.taken.draws[:few]
        table = self.taken.changed(roots, at, draws)
        gains = (self.taken.whole(draws)[at].mean() - table.mean(0)) / (samples.random.mean() - samples.top.mean())
        return np.nan_to_num(gains, nan=0.0, posinf=0.0, neginf=0.0).tolist()


def _layers(gifts: Sequence[Gift]) -> list[Group]:
    """What one channel reads of one layer at one slot."""
    found: dict[Hashable, Group] = {}
    for gift in gifts:
        where = gift.path, gift.channel, gift.at, gift.sender.layer
        found[where] = (*found.get(where, ()), gift)
    return list(found.values())


def _doubled(rows: int) -> Iterator[int]:
    """How many rows were run after each round: `LEAST`, then twice as many each time, all at the end."""
    end = LEAST
    while end < rows:
        yield end
        end *= 2
    yield rows


def _first(groups: Sequence[Group], gains: Mapping[Group, float], number: int) -> list[Group]:
    """So many of the groups, those that gain most."""
    return sorted(groups, key=lambda group: -gains[group])[:number]


def _once(group: Group) -> Group:
    """Without heads where all heads of their layer are given as one."""
    whole = any(gift.sender.traits.attends and not gift.sender.traits.is_head for gift in group)
    return tuple(gift for gift in group if not (whole and gift.sender.traits.is_head))


def _summed(bench: ClaimBench, node: Occurrence, above: int) -> Iterator[tuple[str, int]]:
    own = above + work_of(bench.claim, bench.program, node)
    yield node.path, own
    for child in node.children:
        yield from _summed(bench, child, own)


def _few_bytes(bench: ClaimBench, rows: TransformerRows) -> bool:
    """Whether what every writer writes at every position of the pool is kept, whatever the memory."""
    assert isinstance(bench.claim.graph, TransformerGraph)
    shape, lengths = bench.claim.graph.shape, bench.claim.data.lengths
    each = 2 * (shape.n_layers + 1) * shape.d_model * rows.model.dtype.itemsize
    return each * len(lengths) * int(lengths.max()) <= OTHERS
