"""What a test will cost, before anything is run: evaluations, how many are shared, multiply-adds. No weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import asdict, field, frozen
from jaxtyping import Int

from scrub.anatomy.names import Component
from scrub.anatomy.table import START, attention_time
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.plain import as_dict
from scrub.claims.resolved import Claim
from scrub.claims.titles import name_of
from scrub.engine.counted import Counted, count
from scrub.engine.needs import passed_heads, passed_mlps
from scrub.engine.plan import Leaf, Program, SiteShape, Stream
from scrub.engine.unroll import Occurrence
from scrub.model.shards import BYTES, directory, dtype_of, numbers
from scrub.model.source import Source
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd


MOVED = 24  # multiply-adds of a large product in the time in which a number is gathered or put elsewhere, on a CPU


@frozen
class Pass:
    """One pass of a verb: how many calls it makes, and its cost in forward passes of one row (None on a graph).

    `bound` is `<=` where it may need fewer, `>=` where it may need more, and empty where the calls are exact.
    """

    name: str
    calls: int
    forwards: float | None = None
    bound: str = ""


@frozen
class Verb:
    """What a verb costs, pass by pass; `note` says why it has none, or on what they depend."""

    name: str
    passes: tuple[Pass, ...] = ()
    note: str = ""

    @property
    def forwards(self) -> float | None:
        """All passes together."""
        known = [one.forwards for one in self.passes if one.forwards is not None]
        return float(sum(known)) if known else None

    @property
    def bound(self) -> str:
        signs = {one.bound for one in self.passes} - {""}
        return "about " if len(signs) > 1 else f"{signs.pop()} " if signs else ""


@frozen
class StreamedWeights:
    """Bytes of the weights of a model whose layers are run from its files: all of them, and what is held at most.

    In the dtype of the files: what is outside of layers, and two of these.
    """

    all: int
    held: int


def streamed_weights(source: Source) -> StreamedWeights:
    """Counted from the files of its directory. Raises ModelError."""
    assert isinstance(source.graph, TransformerGraph)
    folder, shape = directory(source.name), source.graph.shape
    found, each = numbers(folder), BYTES[dtype_of(folder)]
    layer = 2 * shape.d_model * shape.d_head * (shape.n_heads + shape.n_kv_heads) + _mlp_work(source.graph)
    outside = max(0, found - shape.n_layers * layer)
    return StreamedWeights(each * found, each * (outside + min(2, shape.n_layers) * layer))


@frozen
class Peak:
    """The most memory that a test fills beyond the weights, in bytes, and what it consists of.

    `kept` are arrays of rows, as long as the test lasts; beside them there is at one time either a slice of the
    `pool` that is run, or a `block` of draws with what is computed of it, or what `answers` are scored with.
    Of criteria `kept` are means, blocks of rows and final streams, `pool` is a slice of rows whose values are taken,
    and `block` what circuits fill that run together.
    """

    kept: int
    pool: int
    block: int
    answers: int

    @property
    def bytes(self) -> int:
        return self.kept + max(self.pool, self.block, self.answers)


@frozen(eq=False)
class Plan:
    """The cost of a test. `evaluations` are distinct contexts of all steps, `asked` counts them unshared.

    `forwards` is the cost of all draws in forward passes of one row (None on a computation graph), the pool's own
    pass apart. `alone` counts, for each variable, rows that no other row may replace. `tree` is the claim unrolled:
    every occurrence of a variable, from the answer down; None where it is too large to be shown. `verbs` are all
    passes of every verb. `peak` is the memory that a test fills (None on a computation graph, and of a tree that is
    not shown), `criteria` that criteria fill (a sentence where the bound is too small for them, None where
    they cannot be asked); `answer` is what scoring one answer costs, in forward passes, which `forwards` has with it.
    `streamed` says what is held of the weights of a model that is run from its files, `layers` how many lie on each
    device, where a loaded model lies on several.
    """

    hypothesis: str
    rows: int
    draws: int
    pool: int
    occurrences: int
    steps: int
    asked: int
    evaluations: int
    forwards: float | None
    alone: dict[str, int]
    everywhere: bool
    program: str = field(repr=False)
    tree: Occurrence | None = field(default=None, repr=False)
    verbs: tuple[Verb, ...] = ()
    streamed: StreamedWeights | None = None
    layers: dict[str, int] = field(factory=dict[str, int])
    peak: Peak | None = None
    criteria: Peak | str | None = None
    answer: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self, "tree") | {"peak": _told(self.peak), "criteria": _told(self.criteria)}

    def frame(self) -> pd.DataFrame:
        """A pandas table of one line, so that plans stand below each other; `alone.x` are the rows of variable x."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def _told(peak: Peak | str | None) -> dict[str, int] | str | None:
    return {"bytes": peak.bytes} | asdict(peak) if isinstance(peak, Peak) else peak


def plan_claim(claim: Claim, references: Int[np.ndarray, " row"], draws: int, seed: int, answer: int = 0) -> Plan:
    """Count what a test of a claim computes; `answer` are the multiply-adds of scoring one.

    Many calls are counted on a pilot and scaled; a tree of more than `PILOT_OCCURRENCES` is counted without being
    unrolled, and how many contexts are different is then estimated from above: up to twice what a pilot finds, since
    donors are taken for free choices among all rows.
    """
    counted = count(claim, references, draws, seed)
    program, forwards, scoring = counted.program, None, 0.0
    if isinstance(claim.graph, TransformerGraph):
        work = sum(
            contexts * _of_a_context(claim, counted, number, step)
            for number, (step, contexts) in enumerate(zip(program.steps, counted.evaluated, strict=True))
        )
        work += len(references) * draws * answer
        row = forward_work(claim.graph, int(np.median(claim.data.lengths)))
        forwards, scoring = work / row, answer / row
    alone = {
        name: int((np.bincount(code)[code] == 1).sum())
        for name in claim.placement.reached()
        if name != claim.placement.output
        for code in [claim.classes((name,))]
    }
    return Plan(
        name_of(claim.hypothesis), len(references), draws, len(claim.data), counted.occurrences, len(program.steps),
        counted.asked, round(sum(counted.evaluated)), forwards, alone, program.dense, str(program), counted.tree,
        answer=scoring,
    )  # fmt: skip


def forward_work(graph: TransformerGraph, length: int) -> int:
    """Multiply-adds of one forward pass of a row: projections, attention, MLPs and the unembedding."""
    s = graph.shape
    attention = 2 * s.d_model * s.d_head * (s.n_heads + s.n_kv_heads) + 2 * length * s.n_heads * s.d_head
    return length * (s.n_layers * (attention + _mlp_work(graph)) + s.d_model * s.d_vocab)


def _mlp_work(graph: TransformerGraph) -> int:
    matrices = 3 if graph.shape.gated else 2
    return matrices * graph.shape.d_model * graph.shape.d_mlp


def _of_a_context(claim: Claim, counted: Counted, number: int, step: Leaf | Stream | SiteShape) -> float:
    """Multiply-adds of a context of a step, on average: of a stream each is followed until its own last reader."""
    graph, until = claim.graph, counted.until.get(number)
    assert isinstance(graph, TransformerGraph)
    moved = float(MOVED) * _moved(claim, graph, counted.program, number, step)
    if isinstance(step, SiteShape) and any(component.traits.is_output for component in step.components):
        return moved  # the answer is the final stream: what it is scored with is known by the metric
    if not isinstance(step, Stream) or until is None or counted.program.dense:
        return float(_work(claim, graph, counted.program, number, step)) + moved
    moments, contexts = np.unique(until, return_counts=True)
    each = [_stream_work(claim, len(step.landings), (_first(graph, step), int(moment)), 1) for moment in moments]
    return float(np.dot(each, contexts) / len(until)) + moved


def _moved(
    claim: Claim, graph: TransformerGraph, program: Program, number: int, step: Leaf | Stream | SiteShape
) -> int:
    """How many numbers of a context of a step are gathered or put together: small beside MLPs, half of all without.

    Of a stream at its slots each landing and each moment at which it is read, of heads the keys and values of a row.
    """
    s, length = graph.shape, int(np.median(claim.data.lengths))
    if isinstance(step, Leaf):
        return 0
    if isinstance(step, Stream):
        places = 1 if step.slot is not None else length
        return 2 * places * (len(step.landings) + len(program.times.get(number, ()))) * s.d_model
    return 4 * length * sum(len(component.heads(s)) for component in step.components) * s.d_head


def _first(graph: TransformerGraph, step: Stream) -> int:
    """The moment at which a stream begins to differ from its frame: nothing that reads before it is computed."""
    return min((graph.written(landing.component) for landing in step.landings), default=START)


def _work(
    claim: Claim, graph: TransformerGraph, program: Program, number: int, step: Leaf | Stream | SiteShape
) -> int:
    """Multiply-adds of one context of a step."""
    length = int(np.median(claim.data.lengths))
    if isinstance(step, Leaf):
        return 0
    if isinstance(step, Stream):
        until = max(program.times.get(number, (0,)))
        first = START if step.slot is None and claim.options.pseudo else _first(graph, step)
        return _stream_work(claim, len(step.landings), (first, until), 1 if step.slot is not None else length)
    return sum(_component_work(graph, component, step, length) for component in step.components)


def _stream_work(claim: Claim, landings: int, between: tuple[int, int], positions: int) -> int:
    """Multiply-adds of what lands and, at so many positions, of all that is passed through between two moments."""
    graph, (first, until) = claim.graph, between
    assert isinstance(graph, TransformerGraph)
    s, length = graph.shape, int(np.median(claim.data.lengths))
    mlps = sum(read > first for read in passed_mlps(claim, graph, until)) * _mlp_work(graph)
    passed = (found for layer, found in passed_heads(claim, until).items() if attention_time(layer) > first)
    heads = sum(map(len, passed)) * (4 * s.d_model + 2 * length) * s.d_head
    return landings * s.d_head * s.d_model + positions * (mlps + heads)


def work_of(claim: Claim, program: Program, node: Occurrence) -> int:
    """Multiply-adds of one call of an occurrence, and of what its channels see; on a graph how many components."""
    if not isinstance(claim.graph, TransformerGraph):
        return len(node.placed.site.components)
    made = [program.steps[number] for number in program.parts[node.path]]
    seen = {number for step in made if isinstance(step, SiteShape) for i in step.inputs for _, number in i.streams}
    return sum(_work(claim, claim.graph, program, n, program.steps[n]) for n in {*program.parts[node.path], *seen})


def gift_work(claim: Claim, node: Occurrence, gifts: int, everywhere: bool) -> int:
    """What a call of an occurrence costs more, at most, where it is given so many values through one channel."""
    if not isinstance(claim.graph, TransformerGraph):
        return gifts
    until = max(claim.graph.order(component) for component in node.placed.site.components)
    return _stream_work(claim, gifts, (START, until), int(np.median(claim.data.lengths)) if everywhere else 1)


def _component_work(graph: TransformerGraph, component: Component, step: SiteShape, length: int) -> int:
    s, slots = graph.shape, max(len(step.slots), 1)
    if heads := len(component.heads(s)):
        own = (i for i in step.inputs if component in i.components)
        seen = sum(length if slot is None else 1 for i in own for slot, _ in i.streams)
        return heads * s.d_head * (seen * s.d_model + 2 * slots * length)
    if component.traits.scalar:
        return slots * _mlp_work(graph) // max(s.d_mlp, 1)
    if component.traits.local:
        return slots * _mlp_work(graph)
    if component.traits.is_channel:
        return slots * s.d_model * s.d_head
    return s.d_model * s.d_vocab if component.traits.is_output else 0
