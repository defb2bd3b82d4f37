"""Pass 3: what is computed, apart from for whom. Equal shapes are one, wherever in the tree they stand.

A `Leaf` takes its value on a row. A `Stream` is what a channel sees at one slot (or everywhere): its frame with
the parents' values landed. A `SiteShape` is a site whose channels see streams. Nothing here is per row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cached_property

from attrs import field, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL, OTHER, Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.unroll import Occurrence, channels, rest_inputs


@frozen
class Landing:
    """A value put into a frame at `slot`: component `index`, slot `column` of what step `source` computes."""

    source: int
    index: int
    component: Component
    column: int
    slot: Slot | None


@frozen
class Leaf:
    """A site whose upstream is computed on one row."""

    components: tuple[Component, ...]
    slots: tuple[Slot, ...]


@frozen(slots=False)
class Stream:
    """What a channel sees: `slot` None means every position; `argument` names the channel in a computation graph."""

    slot: Slot | None
    landings: tuple[Landing, ...]
    argument: str = ""

    @property
    def put(self) -> Landing | None:
        """The one landing of a part of a channel, which is shown to its head as it is and lies in no stream."""
        first = self.landings[0]
        return first if first.component.traits.is_channel else None

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """The steps whose values land, in order of first use: the columns of a context after its row."""
        return tuple(dict.fromkeys(landing.source for landing in self.landings))

    @cached_property
    def landed(self) -> dict[Component, set[Slot | None]]:
        """What lands, and where."""
        found: dict[Component, set[Slot | None]] = {}
        for landing in self.landings:
            found.setdefault(landing.component, set()).add(landing.slot)
        return found

    @cached_property
    def together(self) -> tuple[tuple[Landing, ...], ...]:
        """What lands, neurons of one MLP that land at one slot in one."""
        found: dict[Hashable, list[Landing]] = {}
        for landing in self.landings:
            scalar, place = landing.component.traits.scalar, (landing.slot, landing.component.host)
            found.setdefault(place if scalar else landing, []).append(landing)
        return tuple(map(tuple, found.values()))


@frozen
class Input:
    """A channel of some components of a site. `streams` are (slot, step) pairs, none when it reads its row whole.

    `rest` is the column of the occurrence's rest rows that is this input's frame. `puts` are parts of the channel
    itself, each with the step that shows its value, which is put into what its head makes of the channel.
    """

    channel: str
    components: tuple[Component, ...]
    rest: int
    streams: tuple[tuple[Slot | None, int], ...] = ()
    puts: tuple[tuple[Landing, int], ...] = ()

    @property
    def shown(self) -> tuple[int, ...]:
        """The steps that it looks at."""
        return (*(step for _, step in self.streams), *(step for _, step in self.puts))


@frozen(slots=False)
class SiteShape:
    """Components at slots, computed from their inputs."""

    components: tuple[Component, ...]
    slots: tuple[Slot, ...]
    inputs: tuple[Input, ...]

    @cached_property
    def views(self) -> tuple[tuple[int, int, str], ...]:
        """Distinct (stream, rest column, channel): the columns of a context after its rest rows.

        Two channels may see one stream with values of different donors.
        """
        return tuple(dict.fromkeys((step, i.rest, i.channel) for i in self.inputs for step in i.shown))


Step = Leaf | Stream | SiteShape


@frozen(eq=False)
class Program:
    """Steps in an order in which each comes after those that it reads.

    `parts` maps the path of an occurrence to the steps that make its value (several for a linked site);
    `times` are the moments (of the model graph) at which each stream is read. `roots` are the answers of the trees
    that are computed together, which share what is equal in them: one for a claim, one more for each changed claim.
    """

    steps: tuple[Step, ...]
    parts: dict[str, tuple[int, ...]]
    roots: tuple[Occurrence, ...]
    dense: bool
    times: dict[int, tuple[int, ...]] = field(factory=dict[int, tuple[int, ...]])

    @property
    def answers(self) -> tuple[tuple[str, int], ...]:
        """The path of each root, and the step that makes its value."""
        return tuple((root.path, self.parts[root.path][-1]) for root in self.roots)

    def __str__(self) -> str:
        return "\n".join(f"{number:3d}  {_line(step)}" for number, step in enumerate(self.steps))


def compile_tree(claim: Claim, *roots: Occurrence) -> Program:
    """The program of a claim's tree, or of several trees of it: equal paths must be equal occurrences."""
    builder = _Builder(claim, is_dense(claim))
    for root in roots:
        builder.visit(root)
    return Program(tuple(builder.steps), builder.parts, roots, builder.dense, builder.read_times())


def is_dense(claim: Claim) -> bool:
    """Whether streams are needed at every position.

    MLPs stay at their position, so only landed slots change; passed-through heads spread a change, `all` lands
    everywhere, and on a mean or zero row even an untouched passed-through MLP differs from the row: unless what it
    makes of that row is the same for all calls.
    """
    if not claim.graph.sequence:
        return False
    spreads = any(c.traits.attends for c in claim.passed)
    pseudo = claim.options.pseudo and bool(claim.passed) and not _made_once(claim)
    return spreads or pseudo or _everywhere(claim)


def is_made_once(claim: Claim) -> bool:
    """Whether frames are mean or zero rows whose passed-through MLPs are computed once, before any call."""
    return claim.options.pseudo and bool(claim.passed) and claim.graph.sequence and not is_dense(claim)


def _made_once(claim: Claim) -> bool:
    """Whether MLPs alone are passed through, and what they make of a mean or zero row is asked of nothing else.

    A claimed one stays on r at its slots, a part in its span, and norms of sums are of each call's own.
    """
    assert isinstance(claim.graph, TransformerGraph)
    shape = claim.graph.shape
    plain = not (shape.post_norms or shape.stream_norms) and all(c.traits.local for c in claim.passed)
    inner = [c for c in claim.claimed_at if not c.traits.is_output]
    return plain and not any(c.is_part or c.traits.local or c.traits.is_stream for c in inner)


def _everywhere(claim: Claim) -> bool:
    placed = [claim.placement.placed[name] for name in claim.placement.reached()]
    return any(ALL in site.site.at for variable in placed for site in variable.sites)


class _Builder:
    """Numbers equal steps once. Children come before their readers, so the list is in order."""

    def __init__(self, claim: Claim, dense: bool) -> None:
        self.claim, self.dense = claim, dense
        self.steps: list[Step] = []
        self.parts: dict[str, tuple[int, ...]] = {}
        self.known: dict[Hashable, int] = {}
        self.meeting: dict[tuple[Slot, Slot], bool] = {}

    def add(self, step: Step) -> int:
        if step not in self.known:
            self.known[step] = len(self.steps)
            self.steps.append(step)
        return self.known[step]

    def visit(self, node: Occurrence) -> tuple[int, ...]:
        if node.path in self.parts:  # a branch of a folded tree
            return self.parts[node.path]
        for child in node.children:
            self.visit(child)
        site = node.placed.site
        if node.leaf:
            self.parts[node.path] = (self.add(Leaf(site.components, _held_at(site.at))),)
        else:
            self.parts[node.path] = tuple(self.shapes(node))
        return self.parts[node.path]

    def shapes(self, node: Occurrence) -> Iterator[int]:
        """One shape; for a linked site one for each moment at which components of it read."""
        site, mates = node.placed.site, list[Landing]()
        groups = _moments(self.claim, site.components) if site.is_linked else [site.components]
        for group in groups:
            step = self.add(SiteShape(group, tuple(sorted(site.at)), tuple(self.inputs(node, group, mates))))
            mates = mates + [landing for landing in self.landings(step) if landing.component not in node.withheld]
            yield step

    def inputs(self, node: Occurrence, group: tuple[Component, ...], mates: list[Landing]) -> Iterator[Input]:
        for column, (channel, component) in enumerate(rest_inputs(self.claim, node)):
            for name in [channel] if component else _channels(self.claim, group):
                readers = tuple(c for c in group if name in channels(self.claim, c) and component in (None, c))
                if readers:
                    landings = [
                        landing
                        for child in node.children
                        if name in child.channels
                        for step in self.parts[child.path]
                        for landing in self.landings(step, child.placed.site.at)
                        if landing.component not in child.withheld
                    ]
                    reading = any(name in self.claim.graph.channels(c) for c in readers)
                    seen = (*landings, *mates) if reading else ()
                    own = {reader.whole for reader in readers}
                    put = tuple(x for x in seen if x.component.traits.is_channel and x.component.host in own)
                    lying = tuple(x for x in seen if not x.component.traits.is_channel)
                    streams = tuple(self.streams(name, node, lying, {x.slot for x in put}))
                    shown = tuple((x, self.add(Stream(x.slot, (x,)))) for x in put)
                    yield Input(name, readers, column, streams, shown)

    def landings(self, step: int, at: tuple[Slot, ...] = ()) -> list[Landing]:
        made = self.steps[step]
        assert not isinstance(made, Stream)
        slots: tuple[Slot | None, ...] = at if at == (OTHER,) else made.slots or (None,)
        return [
            Landing(step, i, component, column, slot)
            for i, component in enumerate(made.components)
            for column, slot in enumerate(slots)
        ]

    def streams(
        self, channel: str, node: Occurrence, landings: tuple[Landing, ...], put: set[Slot | None]
    ) -> Iterator[tuple[Slot | None, int]]:
        """The streams of a channel: one, or one for each slot at which something lands and the channel looks."""
        if not landings:
            return
        if not self.claim.graph.sequence:
            yield None, self.add(Stream(None, landings, channel))
        elif self.dense or any(landing.slot == OTHER for landing in landings):
            yield None, self.add(Stream(None, landings))
        else:
            landed = sorted({slot for slot in (*(x.slot for x in landings), *put) if slot})
            looked = landed if channel in ("k", "v") else sorted(node.placed.site.at)
            for slot in looked:
                here = tuple(x for x in landings if x.slot and self.meet(x.slot, slot))
                if here:
                    yield slot, self.add(Stream(slot, here))

    def meet(self, a: Slot, b: Slot) -> bool:
        """Whether two slots are one position in any row."""
        if (a, b) not in self.meeting:
            data = self.claim.data
            self.meeting[a, b] = a == b or bool((data.locate(a) == data.locate(b)).any())
        return self.meeting[a, b]

    def read_times(self) -> dict[int, tuple[int, ...]]:
        times: dict[int, set[int]] = {}
        for step in self.steps:
            if isinstance(step, SiteShape):
                for i in step.inputs:
                    for stream in i.shown:
                        times.setdefault(stream, set()).update(self.claim.graph.order(c) for c in i.components)
        return {stream: tuple(sorted(found)) for stream, found in times.items()}


def _held_at(at: tuple[Slot, ...]) -> tuple[Slot, ...]:
    """Where a leaf's value is taken: what lands at the positions without a name is taken at all."""
    return (ALL,) if at == (OTHER,) else tuple(sorted(at))


def _channels(claim: Claim, group: tuple[Component, ...]) -> list[str]:
    return sorted({channel for c in group for channel in channels(claim, c)})


def _moments(claim: Claim, components: tuple[Component, ...]) -> list[tuple[Component, ...]]:
    """Components grouped by the moment at which they read, in model order."""
    orders = sorted({claim.graph.order(c) for c in components})
    return [tuple(c for c in components if claim.graph.order(c) == order) for order in orders]


def _line(step: Step) -> str:
    if isinstance(step, Leaf):
        return f"leaf    {_names(step.components)} @ {_names(step.slots)}"
    if isinstance(step, Stream):
        landed = ", ".join(f"{x.component}@{x.slot} of {x.source}" for x in step.landings)
        return f"stream  at {step.slot or step.argument or 'all'}: {landed}"
    reads = "; ".join(f"{i.channel} <- {', '.join(map(str, i.shown)) or 'rest'}" for i in step.inputs)
    return f"site    {_names(step.components)} @ {_names(step.slots)}: {reads}"


def _names(items: tuple[object, ...]) -> str:
    return " ".join(map(str, items)) or "-"
