"""Sweeps: many senders patched one at a time along the same path, sharing the work that does not depend on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float

from scrub.circuit.bench import Bench
from scrub.circuit.circuit import Circuit, absent
from scrub.circuit.experiment import POS, Experiment, described, misplaced
from scrub.circuit.parts import Node
from scrub.circuit.paths import Hop, Path, paths_of
from scrub.circuit.runs import start_of
from scrub.circuit.universe import Graph, expand, writers
from scrub.claims.names import Component, parse_component, parse_layers
from scrub.claims.positions import ALL, Slot, parse_slots
from scrub.errors import ClaimError
from scrub.model.computation import Computation
from scrub.model.graph import TransformerGraph
from scrub.model.weights import Transformer
from scrub.score.statistics import interval

if TYPE_CHECKING:
    import pandas as pd

Row = Float[np.ndarray, " row"]


@frozen
class Effect:
    """The mean change of the metric when one sender is patched, with its bootstrap interval over rows."""

    sender: str
    at: str | None
    effect: float
    low: float | None
    high: float | None


@frozen(eq=False)
class Sweep:
    """The effects of all senders along `to`; `base` is the mean metric of the run that is patched."""

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

    def to_dict(self) -> dict[str, Any]:
        effects = [
            {"sender": e.sender, "at": e.at, "effect": e.effect, "low": e.low, "high": e.high} for e in self.effects
        ]
        return {
            "to": self.to, "metric": self.metric, "ablation": self.ablation, "direction": self.direction,
            "base": self.base, "effects": effects, "rows": self.rows, "draws": self.draws, "seed": self.seed,
            "options": self.options, "provenance": self.provenance,
        }  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line an effect."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["effects"])

    def __str__(self) -> str:
        from scrub.report.sweep import sweep_text

        return sweep_text(self)

    def _repr_html_(self) -> str:
        from scrub.report.sweep import sweep_html

        return sweep_html(self)


def senders_of(words: str | Sequence[str], graph: Graph) -> tuple[Component, ...]:
    """The components that `heads`, `mlps 0-3`, `attn`, `embed`, `all` or names stand for. Raises ClaimError."""
    found: list[Component] = []
    pieces = (
        re.findall(r"(?:heads|mlps?|attn|resid)(?: \d+(?:-\d+)?)?|[^\s,]+", words)
        if isinstance(words, str)
        else list(words)
    )
    for word in pieces:
        layered = re.fullmatch(r"(attn|resid)(?: (\d+(?:-\d+)?))?", word)
        if word == "all":
            found += writers(graph)
        elif layered and graph.sequence:
            found += parse_layers(layered[1], layered[2] or _all_layers(layered[1], graph))
        elif re.fullmatch(r"(heads|mlps?)( .*)?", word) and graph.sequence:
            found += sorted(graph.passed([word]))
        else:
            found.append(Component("node", name=word) if isinstance(graph, Computation) else parse_component(word))
    if not found:
        raise ClaimError("no senders are named: write 'heads', 'mlps', 'attn', 'all', or names such as '9.9 9.6'.")
    unknown = [c for c in found if not graph.has(c)]
    if unknown:
        raise ClaimError(absent(unknown[0], graph))
    return tuple(dict.fromkeys(found))


def _all_layers(kind: str, graph: Graph) -> str:
    assert isinstance(graph, TransformerGraph)
    return f"0-{graph.shape.n_layers - (kind != 'resid')}"


def bench_for(
    experiment: Experiment, model: Transformer | None, paths: Sequence[Path], seed: int, draws: int | None,
    done: Callable[[int], None],
) -> Bench:  # fmt: skip
    """The bench for paths: their positions align rows, and nothing is passed through but where a path says so.

    Raises ClaimError for positions that rows do not have.
    """
    slots = {path.sender.at for path in paths} | {hop.at for path in paths for hop in path.hops}
    plain = evolve(experiment, through=())
    found = Bench.of(plain, model, Circuit(), seed, draws, done)
    named = tuple(sorted(slot for slot in slots if slot is not None))
    if wrong := misplaced(experiment.data, named, experiment.rows):
        raise ClaimError("\n".join(wrong))
    passed = frozenset[Component]() if any(p.sender.component == POS for p in paths) else found.passed
    return evolve(found, slots=named, passed=passed)


def sweep_paths(
    experiment: Experiment, model: Transformer | None, senders: str | Sequence[str], to: str,
    at: str | int | Sequence[str | int] | None, seed: int, draws: int | None, provenance: dict[str, Any],
    done: Callable[[int], None],
) -> Sweep:  # fmt: skip
    """Patch every sender at every position along `to`. Raises ClaimError for senders that reach nothing."""
    slots: tuple[Slot | None, ...] = (
        (None,) if at is None else parse_slots(at if isinstance(at, str | int) else list(at))
    )
    slots = tuple(None if slot == ALL else slot for slot in slots)
    cases = [
        (c, slot, paths)
        for c in senders_of(senders, experiment.graph)
        if (paths := _paths(c, to, experiment.graph))
        for slot in slots
    ]
    if not cases:
        raise ClaimError(f"none of the senders {senders!r} reaches {to!r}.")
    listed = [[evolve(p, sender=Node(c, slot)) for p in paths] for c, slot, paths in cases]
    bench = bench_for(experiment, model, [p for paths in listed for p in paths], seed, draws, done)
    found, base = _scores(bench, listed), start_of(bench)
    effects: list[Effect] = []
    for (component, slot, _), scores in zip(cases, found, strict=True):
        spread = interval((scores - base)[:, None], lambda c: c[:, 0], seed)
        name = None if slot is None else str(slot)
        effects.append(Effect(str(component), name, float((scores - base).mean()), spread.low, spread.high))
    return Sweep(
        to, str(experiment.metric), experiment.protocol.ablation, experiment.protocol.direction, tuple(effects),
        float(base.mean()), len(bench.rows), bench.draws, seed, described(bench.experiment), provenance,
    )  # fmt: skip


def _paths(sender: Component, to: str, graph: Graph) -> tuple[Path, ...]:
    """The paths of one sender; none where it is written too late to be read."""
    try:
        return paths_of([f"{sender} {to}"], graph)
    except ClaimError as error:
        if "does not read" in str(error):
            return ()
        raise


def _scores(bench: Bench, listed: Sequence[Sequence[Path]]) -> Float[np.ndarray, "case row"]:
    """Activation patching is a run of components, many at once from the first layer that changes."""
    if all(len(paths) == 1 and _everything(paths[0].hops, bench) for paths in listed):
        nodes = [expand(Circuit.from_parts([paths[0].sender]), bench.experiment.graph) for paths in listed]
        kinds = {paths[0].sender.component.kind for paths in listed}
        if "resid" not in kinds:
            return bench.scores(nodes, without=bench.experiment.noising)
    return bench.path_scores(listed)


def _everything(hops: tuple[Hop, ...], bench: Bench) -> bool:
    return len(hops) == 1 and hops[0].through == ("all",) and hops[0].receiver == bench.experiment.output
