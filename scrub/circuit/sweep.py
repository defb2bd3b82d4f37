"""Sweeps: many senders patched one at a time along the same path, sharing the work that does not depend on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float

from scrub.anatomy.edges import Node, component_of, no_comma
from scrub.anatomy.names import POS, Component, parse_layers
from scrub.anatomy.positions import ALL, Slot, parse_slots
from scrub.anatomy.table import CHANNELS, TABLE, is_single, word_of
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit, absent
from scrub.circuit.experiment import Experiment, described, misplaced
from scrub.circuit.paths import Hop, Path, TooLate, coinciding, paths_of
from scrub.circuit.runs import start_of
from scrub.circuit.universe import Graph, writers
from scrub.claims.plain import as_dict
from scrub.errors import ClaimError, nearest
from scrub.score.statistics import interval
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from scrub.model.weights import Transformer

_NEURON = r"mlps? \d+\.\d+"
_SENDERS = rf"{_NEURON}|[^\W\d_]+ \d+(?:-\d+)?(?![\w.])|[^\s,]+"  # 'heads 0-3' is one, '9.9 9.6' are two
TOGETHER = 64  # senders whose effects are known at once: what is shared is computed anew for the next ones
SAID = 3  # pairs of positions that are the same, in a sentence
Case = tuple[Node, tuple[Path, ...]]
_OF_HEADS = ("heads", "queries", "keys", "values")
_KINDS = (*_OF_HEADS, "mlps", "attn", "resid", "embed", "all")


@frozen
class Effect:
    """The mean change of the metric when one sender is patched, with its interval over rows."""

    sender: Component
    at: str | None
    effect: float
    low: float | None
    high: float | None


@frozen(eq=False)
class Sweep:
    """The effects of all senders along `to`; `base` is the mean metric of the run that is patched.

    `digest` is the claim's, or without one that of the data; `unfinished` are the senders that a sweep which was
    broken off had not patched everywhere.
    """

    to: str
    metric: str
    ablation: str
    direction: str
    effects: tuple[Effect, ...]
    base: float
    rows: int
    draws: int
    seed: int
    options: dict[str, Any]
    provenance: dict[str, Any]
    digest: str = ""
    unfinished: tuple[Component, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line an effect."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """The heat map as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def senders_of(words: str | Sequence[str], graph: Graph) -> tuple[Component, ...]:
    """The components that `heads`, `queries 9`, `mlps 0-3`, `attn`, `embed`, `all` or names stand for.

    Raises ClaimError.
    """
    found: list[Component] = []
    no_comma(words if isinstance(words, str) else "")
    for word in re.findall(_SENDERS, words) if isinstance(words, str) else list(words):
        layered = re.fullmatch(r"(attn|resid)(?: (\d+(?:-\d+)?))?", word)
        if word == "all":
            found += writers(graph)
        elif layered and graph.sequence:
            found += parse_layers(layered[1], layered[2] or _all_layers(layered[1], graph))
        elif re.fullmatch(_NEURON, word) and graph.sequence:
            found.append(component_of(word.replace("mlps", "mlp"), graph))
        elif re.fullmatch(r"(heads|queries|keys|values|mlps?)( .*)?", word) and graph.sequence:
            found += _of_kind(word, graph)
        else:
            kind, *layers = word.split()
            near = nearest(kind, _KINDS) if graph.sequence and kind.isalpha() else None
            if near and not (is_single(near) or is_single(kind) or (layers and near not in _OF_HEADS)):
                good = " ".join([near, *layers])
                raise ClaimError(f"{word!r} names no component, nor several. Did you mean {good!r}?")
            found.append(component_of(word, graph))
    if not found and words and isinstance(graph, TransformerGraph) and not graph.shape.d_mlp:
        raise ClaimError(f"{words!r} names no senders: {graph.missing(Component.for_mlp(0))[0]}.")
    if not found:
        raise ClaimError("no senders are named: write 'heads', 'mlps', 'attn', 'all', or names such as '9.9 9.6'.")
    unknown = [c for c in found if not graph.has(c)]
    if unknown:
        raise ClaimError(absent(unknown[0], graph))
    return tuple(dict.fromkeys(found))


def _of_kind(word: str, graph: Graph) -> list[Component]:
    """The heads, their queries, keys or values, or MLPs of some layers, or of all; none where there are no MLPs."""
    assert isinstance(graph, TransformerGraph)
    kind, _, layers = word.partition(" ")
    last = graph.shape.n_layers - 1
    try:
        named = parse_layers("mlp", layers) if layers else ()
    except ClaimError:
        raise ClaimError(f"{word!r} names no layers: write '{kind} 3' or '{kind} 0-3'.") from None
    if beyond := [c for c in named if (c.layer or 0) > last]:
        raise ClaimError(f"{word!r}: there is no layer {beyond[0].layer}, {graph.name} has layers 0 to {last}.")
    if (channel := word_of(kind)) in CHANNELS:
        heads = sorted(graph.passed([f"heads {layers}".strip()]))
        return [Component(channel, head.layer, head.unit) for head in heads]
    if named and kind != "heads" and not graph.shape.d_mlp:
        raise ClaimError(absent(named[0], graph))
    return sorted(graph.passed([word]))


def _all_layers(kind: str, graph: Graph) -> str:
    assert isinstance(graph, TransformerGraph)
    return f"0-{TABLE[kind].layers(graph.shape) - 1}"


def bench_for(
    experiment: Experiment, model: Transformer | None, paths: Sequence[Path], seed: int, draws: int | None
) -> CircuitBench:
    """The bench for paths: their positions align rows, and nothing is passed through but where a path says so.

    Raises ClaimError for positions that rows do not have, and for two of one component that are the same in a row.
    """
    slots = {path.sender.at for path in paths} | {hop.at for path in paths for hop in path.hops}
    plain = evolve(experiment, through=())
    found = CircuitBench.of(plain, model, Circuit(), seed, draws)
    named = tuple(sorted(slot for slot in slots if slot is not None))
    if wrong := misplaced(experiment.data, named, experiment.rows):
        raise ClaimError("\n".join(wrong))
    if twice := coinciding(paths, experiment.data, experiment.rows):
        more = f"; and so on, {len(twice)} pairs" if len(twice) > SAID else ""
        raise ClaimError(f"{'; '.join(twice[:SAID])}{more}. Patch one after the other, or leave these rows out.")
    passed = frozenset[Component]() if any(p.sender.component == POS for p in paths) else found.passed
    return evolve(found, slots=named, passed=passed)


def cases_of(
    senders: str | Sequence[str], to: str, at: str | int | Sequence[str | int] | None, graph: Graph
) -> list[Case]:
    """Every sender at every position, with its paths along `to`. Raises ClaimError where no sender reaches it."""
    slots: tuple[Slot | None, ...] = (
        (None,) if at is None else parse_slots(at if isinstance(at, str | int) else list(at))
    )
    slots = tuple(None if slot == ALL else slot for slot in slots)
    if not to.lstrip().startswith(("->", "~")):
        raise ClaimError(f"to={to!r}: the rest of a path begins with an arrow: '-> {to}', or '~all~> {to}'.")
    found = [(c, _paths(c, to, graph)) for c in senders_of(senders, graph)]
    nodes = [(Node(c, slot), paths) for c, paths in found if paths for slot in slots]
    if not nodes:
        raise ClaimError(f"none of the senders {senders!r} reaches {to!r}.")
    return [(node, tuple(evolve(path, sender=node) for path in paths)) for node, paths in nodes]


def sweep_paths(
    bench: CircuitBench, cases: Sequence[Case], to: str, provenance: dict[str, Any],
    ready: Callable[[Sweep], None] = lambda sweep: None,
) -> Sweep:  # fmt: skip
    """Patch the paths of every sender on their own; the bench is one for the paths of all.

    `ready` hears of the effects that are known so far, while others are to come.
    """
    experiment, base = bench.experiment, start_of(bench)
    whole = Sweep(
        to, str(experiment.metric), experiment.protocol.ablation, experiment.protocol.direction, (),
        float(base.mean()), len(bench.rows), bench.draws, bench.seed, described(experiment), provenance,
        experiment.digest,
    )  # fmt: skip
    scored = _scoring(bench, [paths for _, paths in cases])
    for first in range(0, len(cases), TOGETHER):
        some, left = cases[first : first + TOGETHER], cases[first + TOGETHER :]
        changes = scored([paths for _, paths in some]) - base
        effects = [_effect(node, change, bench.seed) for (node, _), change in zip(some, changes, strict=True)]
        senders = tuple(dict.fromkeys(node.component for node, _ in left))
        whole = evolve(whole, effects=(*whole.effects, *effects), unfinished=senders)
        if left:
            ready(whole)
    return whole


def _effect(node: Node, change: Float[np.ndarray, " row"], seed: int) -> Effect:
    spread = interval(change[:, None], lambda c: c[:, 0], seed)
    name = None if node.at is None else str(node.at)
    return Effect(node.component, name, float(change.mean()), spread.low, spread.high)


def _paths(sender: Component, to: str, graph: Graph) -> tuple[Path, ...]:
    """The paths of one sender; none where it is written too late to be read."""
    try:
        return paths_of([f"{sender} {to}"], graph)
    except TooLate:
        return ()


def _scoring(
    bench: CircuitBench, listed: Sequence[Sequence[Path]]
) -> Callable[[Sequence[Sequence[Path]]], Float[np.ndarray, "case row"]]:
    """Activation patching is a run of components, many at once from the first layer that changes."""
    if not all(len(paths) == 1 and _everything(paths[0].hops, bench) for paths in listed):
        return bench.path_scores
    senders = [paths[0].sender.component.traits for paths in listed]
    if any(traits.is_stream or traits.is_channel for traits in senders):  # no run ablates these by themselves
        return bench.path_scores
    return lambda some: bench.scores([_alone(paths[0], bench) for paths in some], without=bench.experiment.noising)


def _alone(path: Path, bench: CircuitBench) -> Circuit:
    return Circuit.from_parts([path.sender]).expanded(bench.experiment.graph)


def _everything(hops: tuple[Hop, ...], bench: CircuitBench) -> bool:
    return len(hops) == 1 and hops[0].through == ("all",) and hops[0].receiver == bench.experiment.output
