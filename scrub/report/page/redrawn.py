"""Pictures of stored results, drawn anew from their numbers: no stored markup is put into a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import frozen

from scrub.anatomy import table
from scrub.anatomy.names import Component
from scrub.circuit.sweep import Effect, Sweep
from scrub.proposals.proposal import Proposal, Ranked
from scrub.report.pareto import comparison_svg
from scrub.report.proposal import proposal_svg
from scrub.report.sweep import sweep_svg
from scrub.score.comparison import ParetoPoint, labels
from scrub.score.statistics import Interval


@frozen
class _Claim:
    hypothesis: str
    recovered: Interval


@frozen
class _Compared:
    hypotheses: tuple[_Claim, ...]
    pareto: tuple[ParetoPoint, ...]
    metric: str
    labels: dict[str, str]


@frozen
class _Proposed:
    """Of a proposal, what its picture shows."""

    nodes: tuple[Ranked, ...]
    positions: tuple[str | int | None, ...]
    aggregate: str
    metric: str
    direction: str
    method: str
    rows: int
    seed: int


def pareto(c: Mapping[str, Any]) -> str:
    """The picture of a comparison in its JSON form."""
    claims = tuple(_Claim(str(h["hypothesis"]), _interval(h["recovered"])) for h in c["hypotheses"])
    points = tuple(
        ParetoPoint(
            str(p["hypothesis"]), str(p["kind"]), float(p["bits"]), _number(p["recovered"]), p["dominated_by"]
        )
        for p in c["pareto"]
    )
    return comparison_svg(
        _Compared(claims, points, str(c["metric"]["name"]), labels([claim.hypothesis for claim in claims]))
    )


def heat_map(p: Mapping[str, Any]) -> str:
    """The picture of a proposal in its JSON form."""
    nodes = tuple(_node(n) for n in p["nodes"])
    positions = tuple(_position(one) for one in p["positions"])
    words = (str(p[name]) for name in ("aggregate", "metric", "direction", "method"))
    found = _Proposed(nodes, positions, *words, rows=int(p["rows"]), seed=int(p["seed"]))
    return proposal_svg(cast(Proposal, found))


def swept(s: Mapping[str, Any]) -> str:
    """The picture of a sweep in its JSON form."""
    effects = tuple(
        Effect(
            _component(str(e["sender"])),
            None if e["at"] is None else str(e["at"]),
            float(e["effect"]),
            _number(e["low"]),
            _number(e["high"]),
        )
        for e in s["effects"]
    )
    to, metric, ablation, direction = (str(s[name]) for name in ("to", "metric", "ablation", "direction"))
    base, rows, draws, seed = float(s["base"]), int(s["rows"]), int(s["draws"]), int(s["seed"])
    return sweep_svg(Sweep(to, metric, ablation, direction, effects, base, rows, draws, seed, {}, {}))


def _component(name: str) -> Component:
    known = table.read(name)
    return Component.for_node(name) if known is None else Component(*known)


def _node(n: Mapping[str, Any]) -> Ranked:
    score, signed, absolute = (float(n[name]) for name in ("score", "signed", "absolute"))
    exact = _number(n["exact"])
    kind, name = table.TABLE.get(n["kind"]), str(n["node"])  # latents are of no kind, and known by name
    component = Component.for_node(name) if kind is None or kind.is_node else _component(name)
    return Ranked(component, _position(n["position"]), score, signed, absolute, exact, str(n["method"]))


def _position(found: Any) -> str | int | None:
    return found if found is None or type(found) is int else str(found)


def _interval(found: Mapping[str, Any]) -> Interval:
    value, low, high = (_number(found[end]) for end in ("value", "low", "high"))
    return Interval(value, low, high)


def _number(found: Any) -> float | None:
    return None if found is None else float(found)
