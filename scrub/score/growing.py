"""What a claim leaves out is added to it, the largest first, until nothing that can be said costs more than `worth`.

What can be added: an edge to a variable that is placed there already; an input of a computation graph, or the
embedding at a position with a name, as a column; any other sender as a new variable, which holds what it depends on:
of a transformer the token at its position, and where that is not enough the tokens at all positions with names up to
there; of a graph the inputs above the node. The new claim says that it is read, not what of it matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import networkx as nx
from attrs import evolve

from scrub.anatomy.positions import Slot
from scrub.claims.code import Changes
from scrub.claims.edited import changed
from scrub.claims.placement import PlacedVariable
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place, Site
from scrub.errors import ScrubError
from scrub.model.computation import Computation
from scrub.score.cost import FULL
from scrub.score.giving import Phase, what_is_left_out
from scrub.score.left_out import LeftOut
from scrub.score.revision import RevisionStep
from scrub.score.sample import ClaimBench, Samples
from scrub.score.searched import Searched, share
from scrub.score.taken import Taken

MOST_STEPS = 12
TRIED = 6  # senders in each step
ALIKE = 0.9  # of what all heads of a layer gain: a head that gains as much is added alone
Grown = tuple[Changes, tuple[RevisionStep, ...], tuple[str, ...]]


def grow_claim(search: Searched, phase: Phase = lambda name, calls: None) -> Grown:
    """What of what is left out a claim can take in: its changes, how they were found, and what cannot be said."""
    changes, steps, notes = Changes(), list[RevisionStep](), dict[str, None]()
    bench, samples = search.bench, search.samples
    while len(steps) < MOST_STEPS:
        left = what_is_left_out(Taken(bench, samples, search.seed, search.exact, search.done), FULL, phase)
        left = [one for one in left if one.gain >= search.worth]
        best = _best(search, bench, samples, changes, left)
        if best is None:
            untold = "cannot be said in this claim, or not for its worth"
            notes |= {f"{untold}: {one.words}.": None for one in left[:TRIED]}
            break
        step, changes, bench, samples = best
        steps.append(step)
    return changes, tuple(steps), tuple(notes)


Found = tuple[RevisionStep, Changes, ClaimBench, Samples]


def _best(
    search: Searched, bench: ClaimBench, before: Samples, changes: Changes, left: Sequence[LeftOut]
) -> Found | None:
    """The first of the largest gains that can be said for what it is worth."""
    for one in sorted(left, key=lambda one: -one.gain * (ALIKE if len(one.senders) > 1 else 1))[:TRIED]:
        tried = list(_tried(search, bench.claim, before, changes, one))
        enough = [found for found in tried if found[0].effect >= one.gain - search.worth]
        best = enough[0] if enough else max(tried, key=lambda found: found[0].effect, default=None)
        if best is not None and best[0].effect >= search.worth:
            return best
    return None


def _tried(search: Searched, claim: Claim, before: Samples, changes: Changes, one: LeftOut) -> Iterator[Found]:
    """Every way to say that a sender is read, with what it gains on the rows that are searched."""
    for what, more in _ways(claim, changes, one):
        try:
            resolved = search.resolve(changed(search.hypothesis, more))
            bench = search.bench_of(resolved)
            samples = search.sampled(bench, search.samples.references)
        except ScrubError:  # it cannot be said, or the model cannot take it
            continue
        gain = (share(samples) or 0.0) - (share(before) or 0.0)
        yield RevisionStep(what, gain), more, bench, samples


def _ways(claim: Claim, changes: Changes, one: LeftOut) -> Iterator[tuple[str, Changes]]:
    name = f"{one.reader}.{one.channel}" if one.channel not in ("input", one.sender.name) else one.reader
    for variable in _holding(claim, one):
        yield f"{name} reads {variable}", _reading(claim, changes, one, variable)
    for columns, tokens in _columns(claim, one):
        if one.sender.traits.given or columns == (one.sender.name,):
            new, reads = columns[0], {}
        else:
            new = re.sub(r"\W+", "_", f"given_{one.sender}_{one.at or ''}").strip("_")
            reads = {new: " ".join(columns)}
        if new in claim.placement.placed:
            continue
        site = Site((one.sender,), () if one.at is None else (one.at,))
        placed = [column for column in columns if column != new and column in claim.placement.placed]
        if placed:
            site = evolve(site, reading=((_value_channel(claim, one), tuple(placed)),))
        made = _reading(claim, changes, one, new)
        words = " ".join(dict.fromkeys([*changes.tokens.split(), *tokens]))
        held = f", which holds {' '.join(columns)}," if reads else ""
        told = f"{name} reads {site}{held} as {new}"
        yield told, evolve(made, places={**made.places, new: site}, reads={**reads, **made.reads}, tokens=words)


def _value_channel(claim: Claim, one: LeftOut) -> str:
    channels = claim.graph.channels(one.sender)
    return "v" if "v" in channels else channels[0] if channels else "input"


def _holding(claim: Claim, one: LeftOut) -> Iterator[str]:
    """The variables that are placed where a sender is, and are not computed from the reader."""
    later = nx.descendants(claim.hypothesis.story.graph, one.reader) | {one.reader}
    for name, placed in claim.placement.placed.items():
        sites = [site.site for site in placed.sites]
        if name not in later and any(one.sender in s.components and s.at == _at(one) for s in sites):
            yield name


def _at(one: LeftOut) -> tuple[Slot, ...]:
    return () if one.at is None else (one.at,)


def _columns(claim: Claim, one: LeftOut) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Columns that a new variable may hold, the fewest first; and the positions whose tokens they are."""
    if isinstance(claim.graph, Computation):
        yield tuple(_inputs(claim.graph, one.sender.name)), ()
        return
    names = [name for name in claim.data.position_names if (claim.data.locate(Slot(name)) >= 0).all()]
    if one.at is None or str(one.at) not in names:
        return
    here = claim.data.locate(one.at)
    before = [n for n in names if not claim.graph.causal or (claim.data.locate(Slot(n)) <= here).any()]
    several = [] if one.sender.traits.given else [[n for n in before if n != one.at.name]]
    for more in ([], *several):
        held = [one.at.name, *more]
        columns = tuple(f"{name}_token" for name in held)
        new = tuple(n for n, column in zip(held, columns, strict=True) if column not in claim.data.columns)
        yield columns, new


def _inputs(model: Computation, name: str) -> list[str]:
    """The inputs that a node depends on."""
    edges = [(a, node.name) for node in model.nodes.values() for a in node.arguments]
    graph = nx.DiGraph(edges)
    above = {name} | (nx.ancestors(graph, name) if name in graph else set[str]())
    return [node for node in model.inputs() if node in above]


def _reading(claim: Claim, changes: Changes, one: LeftOut, variable: str) -> Changes:
    """The changes by which a reader's site reads a variable besides, through the channel."""
    placed: PlacedVariable = claim.placement.placed[one.reader]
    sites: list[Site] = []
    for site in placed.sites:
        reads = dict(site.reads)
        if str(site.site) == one.site:
            reads[one.channel] = (*reads.get(one.channel, ()), variable)
        omitted = tuple(name for name in site.site.omitted if name != variable)
        sites.append(evolve(site.site, reading=tuple(sorted(reads.items())) or None, omitted=omitted))
    place: Place = sites[0] if len(sites) == 1 else tuple(sites)
    known = changes.reads.get(one.reader, "").split()
    more = known if variable in placed.parents else [*known, variable]
    reads = {one.reader: " ".join(more)} if more else {}
    return evolve(changes, places={**changes.places, one.reader: place}, reads={**changes.reads, **reads})
