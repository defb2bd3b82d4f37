"""What each part of a claim earns: the claim runs again without it, and what is recovered less is its worth.

Scrubbing says that nothing outside a claim matters; not that what is inside does. Parts that earn nothing alone may
do the same work twice, so they are dropped together: greedily on one half of the rows, measured on the other. Those
that can all go are superfluous. Those that matter once others are gone are spare: what cannot go with these any more,
and what was dropped in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import networkx as nx
import numpy as np
from attrs import evolve

from scrub.claims.parts import COMPONENT, EDGE, ClaimPart, is_spare, parts_of
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError, did_you_mean, some
from scrub.score.cost import LEAST_DRAWS
from scrub.score.earned import IS_EARNED, IS_SPARE, IS_SUPERFLUOUS, IS_UNCLEAR, WORTH, Earned
from scrub.score.result import Result
from scrub.score.sample import ClaimBench, Samples
from scrub.score.statistics import Interval
from scrub.score.taken import Dropped, Taken
from scrub.score.verdict import INCONCLUSIVE, SUPPORTED
from scrub.score.verdict import UNDEFINED as NO_VERDICT

PARTS = ("all", "none")
MOST_CONTEXTS = 32  # in which it is asked whether parts that went are needed


def known_parts(word: str) -> None:
    """Raises ClaimError for a word that does not say of which parts it is asked what they earn."""
    if word not in PARTS:
        raise ClaimError(f"parts={word!r} is unknown.{did_you_mean(str(word), PARTS)} Known: {', '.join(PARTS)}.")


def with_earned(
    bench: ClaimBench, samples: Samples, result: Result, done: Callable[[int], None] = lambda _: None
) -> Result:
    """A result with what each part earns, and its verdict; where nothing can be recovered no part can earn."""
    if result.verdict == NO_VERDICT:
        return result
    found = what_parts_earn(Taken(bench, samples, result.seed, result.draws is None, done))
    return judged_by_parts(bench.claim, evolve(result, earned=found))


def judged_by_parts(claim: Claim, result: Result) -> Result:
    """A supported claim with a superfluous component or value that it does not call spare is inconclusive."""
    found = [e.part for e in result.earned if e.word == IS_SUPERFLUOUS and e.part.kind != EDGE]
    idle = [part for part in found if not is_spare(claim, part)]
    if not idle or result.verdict != SUPPORTED:
        return result
    names = " ".join(dict.fromkeys(_named(part, idle) for part in idle))
    told = f"superfluous: {some(part.words for part in idle)}. As much is recovered without:"
    reason = f'{told} drop {"it" if len(idle) == 1 else "them"}, or say spare="{names}".'
    return evolve(result, verdict=INCONCLUSIVE, reason=reason)


def _named(part: ClaimPart, idle: Collection[ClaimPart]) -> str:
    """A part as `spare=` names it: by its variable where the value is named too, and where a component is no head."""
    if part.component is None or part.component.traits.given or ClaimPart(part.variable) in idle:
        return part.variable
    return str(part).replace(" ", "_")


def what_parts_earn(taken: Taken) -> tuple[Earned, ...]:
    """What every part of a claim earns, in the order of `parts_of`."""
    alone = _alone(taken, parts_of(taken.bench.claim))
    taken = _untold(taken)
    idle = [part for part, loss in alone.items() if loss.high is not None and loss.high < WORTH]
    words = _together(taken, sorted(idle, key=lambda part: alone[part].value or 0.0))
    return tuple(Earned(part, loss, words.get(part) or _word(loss)) for part, loss in alone.items())


def _untold(taken: Taken) -> Taken:
    """Nobody is told of runs whose number is not known beforehand."""
    return Taken(taken.bench, taken.samples, taken.seed, taken.exact)


def _word(loss: Interval) -> str:
    return IS_EARNED if loss.low is not None and loss.low > WORTH else IS_UNCLEAR


def _alone(taken: Taken, parts: Sequence[ClaimPart]) -> dict[ClaimPart, Interval]:
    """What is lost without each part: on two draws, and where these do not say what it earns on all of the few."""
    everyone, first = taken.everyone, taken.draws[:LEAST_DRAWS]
    table = taken.without(_each(parts), everyone, first)
    found = {part: taken.interval(taken.whole(first), table[:, i], everyone) for i, part in enumerate(parts)}
    unsure = [i for i, part in enumerate(parts) if _contains(found[part], WORTH)]
    rest = taken.draws[LEAST_DRAWS:]
    if unsure and rest:
        more = _untold(taken).without(_each([parts[i] for i in unsure]), everyone, rest)
        share = len(rest) / len(taken.draws)
        for i, column in zip(unsure, more.T, strict=True):
            means = (1 - share) * table[:, i] + share * column
            found[parts[i]] = taken.interval(taken.whole(taken.draws), means, everyone)
    return found


def _each(parts: Sequence[ClaimPart]) -> list[Dropped]:
    return [frozenset([part]) for part in parts]


def _contains(loss: Interval, worth: float) -> bool:
    return loss.low is not None and loss.high is not None and loss.low <= worth <= loss.high


def _together(taken: Taken, idle: Sequence[ClaimPart]) -> dict[ClaimPart, str]:
    """The words of parts that earn nothing alone: of all together, on rows on which they were not chosen."""
    if not idle:
        return {}
    gone = _droppable(taken, idle, taken.everyone[::2])
    kept = [part for part in idle if part not in gone]
    nothing: Dropped = frozenset()
    free, *losses = _measured(taken, [(nothing, gone), *((gone, gone | {part}) for part in kept)], taken.draws)
    spare = {part for part, loss in zip(kept, losses, strict=True) if _word(loss) == IS_EARNED}
    others = [part for part in kept if part in spare and not _goes_with(part, spare)]
    asked = others[: MOST_CONTEXTS // max(1, len(gone))]
    spare |= _in_their_place(taken, gone, asked)
    known = free.high is not None and free.high < WORTH and len(asked) == len(others)
    rest = IS_SUPERFLUOUS if known else IS_UNCLEAR
    return {part: IS_SPARE if part in spare else rest if part in gone else IS_UNCLEAR for part in idle}


def _measured(taken: Taken, pairs: Sequence[tuple[Dropped, Dropped]], draws: range) -> list[Interval]:
    """What is lost from the first set of each pair to the second, on the rows that were not searched."""
    measure, nothing = taken.everyone[1::2], frozenset[ClaimPart]()
    sets = list(dict.fromkeys(dropped for pair in pairs for dropped in pair if dropped))
    table = dict(zip(sets, taken.without(sets, measure, draws).T, strict=True))
    table[nothing] = taken.whole(draws)[measure]  # the claim itself was run
    return [taken.interval(table[less], table[more], measure) for less, more in pairs]


def _in_their_place(taken: Taken, gone: Dropped, others: Sequence[ClaimPart]) -> set[ClaimPart]:
    """What went, of which some is needed where one of the others goes instead: on two draws, since they are many."""
    ways = {part: _chain(taken.bench.claim, part) for part in gone}
    tried = [(part, _besides(gone, part, other, ways[part])) for part in gone for other in others]
    losses = _measured(taken, [(dropped, dropped | {part}) for part, dropped in tried], taken.draws[:LEAST_DRAWS])
    return {part for (part, _), loss in zip(tried, losses, strict=True) if _word(loss) == IS_EARNED}


def _goes_with(part: ClaimPart, parts: Collection[ClaimPart]) -> bool:
    """Whether an edge or a value has a component of its variable among the parts, which says as much of it."""
    variable = part.parent or part.variable
    return part.kind != COMPONENT and any(p.kind == COMPONENT and p.variable == variable for p in parts)


def _droppable(taken: Taken, idle: Sequence[ClaimPart], at: np.ndarray) -> Dropped:
    """As many parts as can go together, those that earn least first: by halves, so that few runs are needed.

    A set that recovers more than the claim does is the new measure: what it gains pays for no other part.
    """
    least = 0.0

    def more(gone: Dropped, parts: Sequence[ClaimPart]) -> Dropped:
        nonlocal least
        if not parts:
            return gone
        loss = taken.loss(gone.union(parts), at)
        if loss - least < WORTH:
            least = min(least, loss)
            return gone.union(parts)
        half = len(parts) // 2
        return more(more(gone, parts[:half]), parts[half:]) if half else gone

    return more(frozenset(), idle)


def _besides(gone: Dropped, part: ClaimPart, other: ClaimPart, on_its_way: set[str]) -> Dropped:
    """Without `other`, and without what is gone but for a part and all that works with it.

    With its readers dropped, or what it reads, nothing would be left for the part to do.
    """
    return frozenset(q for q in gone if q != part and (not _ends(q) <= on_its_way or _mates(q, part))) | {other}


def _mates(one: ClaimPart, other: ClaimPart) -> bool:
    """Components of one variable do their work beside one another."""
    return one.kind == other.kind == COMPONENT and one.variable == other.variable


def _ends(part: ClaimPart) -> set[str]:
    """The variables between which an edge runs, or whose value or component a part is."""
    return {part.variable, part.parent} if part.kind == EDGE else {part.variable}


def _chain(claim: Claim, part: ClaimPart) -> set[str]:
    """The variables on a part's way: of an edge its ends, what is computed from it, and what it is computed from."""
    graph = _reads(claim)
    return _ends(part) | nx.descendants(graph, part.variable) | nx.ancestors(graph, part.parent or part.variable)


def _reads(claim: Claim) -> nx.DiGraph[str]:
    """Who reads whom, from parents to readers."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(claim.placement.reached())
    for name in claim.placement.reached():
        parents: Iterable[str] = (p for site in claim.placement.placed[name].sites for p in site.parents())
        graph.add_edges_from((parent, name) for parent in parents)
    return graph
