"""Plots: their numbers are those of the results, axes say what they show, without plotly a sentence says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from scrub import Hypothesis
from scrub.claims.collect import collect
from scrub.errors import ScrubError
from scrub.report.plots.canvas import with_unit
from scrub.report.sweep import grids
from scrub.score.statistics import UNDEFINED

GALLERY = Path(__file__).parents[2] / "hypotheses"


def claims() -> dict[str, Hypothesis]:
    return {h.name: h for h in collect([str(GALLERY / "names.py")]).hypotheses}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """One result of each kind, with few rows."""
    known = claims()
    names, rival = known["names"], known["doubled_only"]
    return {
        "result": scrub.test(names, rows=24, draws=2),
        "comparison": scrub.compare(names, rival, known["names"].but(expect=None), rows=30, draws=2),
        "criteria": scrub.criteria(names, rows=24, random=20),
        "sweep": scrub.sweep("heads mlps embed", "-> logits", names, rows=24),
        "proposal": scrub.propose(names, rows=8, verify=8, draws=4, edges=False),
        "interchange": scrub.interchange(names, rows=24),
    }


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.name}


def ends(trace: Any, axis: str) -> tuple[list[float | None], list[float | None]]:
    """Both ends of the error bars of a trace."""
    values, bars = trace[axis], trace[f"error_{axis}"]
    low = [None if d is None else v - d for v, d in zip(values, bars.arrayminus, strict=True)]
    high = [None if d is None else v + d for v, d in zip(values, bars.array, strict=True)]
    return low, high


def close(found: Any, wanted: Any) -> bool:
    """Equal numbers, None where None is wanted."""
    pairs = list(zip(found, wanted, strict=True))
    return all((a is None) == (b is None) and (a is None or np.isclose(a, b)) for a, b in pairs)


def test_a_result_shows_its_share_its_controls_and_every_row(found: dict[str, Any]) -> None:
    result = found["result"]
    shown = traces(result.plot())
    marks = [("the claim", result.recovered), *((c.name, c) for c in result.controls)]
    assert list(shown["recovered"].y) == [name for name, _ in marks]
    assert close(shown["recovered"].x, [mark.value for _, mark in marks])
    low, high = ends(shown["recovered"], "x")
    assert close(low, [mark.low for _, mark in marks])
    assert close(high, [mark.high for _, mark in marks])
    frame = result.frame()
    assert close(shown["scrubbed"].x, frame["model"])
    assert close(shown["scrubbed"].y, frame["scrubbed"])
    assert close(shown["everything replaced"].y, frame["random"])
    assert shown["scrubbed"].text[0].startswith(f"row {frame['row'][0]}: model {frame['model'][0]:.3f}")
    (bar,) = result.plot().layout.shapes
    assert bar.x0 == bar.x1 == result.bar


def test_an_adversary_stands_below_the_controls(found: dict[str, Any]) -> None:
    from scrub.score.control import Adversary
    from scrub.score.statistics import Interval

    adversary = Adversary(("a",), ("b",), Interval(0.25, 0.125, 0.5), 10)
    shown = traces(evolve(found["result"], adversary=adversary).plot())["recovered"]
    assert (shown.y[-1], shown.x[-1]) == ("some of its swaps", 0.25)


def test_what_is_undefined_has_no_mark(found: dict[str, Any]) -> None:
    shown = traces(evolve(found["result"], recovered=UNDEFINED).plot())["recovered"]
    assert shown.x[0] is None
    assert "undefined" in shown.text[0]


def test_a_comparison_shows_every_point_and_every_pair(found: dict[str, Any]) -> None:
    comparison = found["comparison"]
    shown = traces(comparison.plot())
    for name, kind in (("claims", "claim"), ("controls", "control")):
        points = [p for p in comparison.pareto if p.kind == kind]
        assert points
        assert close(shown[name].x, [p.bits for p in points])
        assert close(shown[name].y, [p.recovered for p in points])
        assert [s.endswith("open") for s in shown[name].marker.symbol] == [bool(p.dominated_by) for p in points]
    low, high = ends(shown["claims"], "y")
    assert close(low, [h.recovered.low for h in comparison.hypotheses])
    assert close(high, [h.recovered.high for h in comparison.hypotheses])
    assert close(shown["difference"].x, [d.share.value for d in comparison.differences])
    assert close(ends(shown["difference"], "x")[0], [d.share.low for d in comparison.differences])
    assert len(set(shown["difference"].y)) == len(comparison.differences) == 3
    for text, d in zip(shown["difference"].text, comparison.differences, strict=True):
        assert d.verdict in text
        assert f"p (Holm) = {d.adjusted:.4f}" in text


def test_criteria_show_means_sets_and_parts(found: dict[str, Any]) -> None:
    criteria = found["criteria"]
    shown = traces(criteria.plot())
    f = criteria.faithfulness
    assert close(shown["F"].y, [f.model, f.circuit, f.ablated])
    assert list(shown["effect"].y) == [n.part for n in criteria.minimality]
    assert close(shown["effect"].x, [n.effect for n in criteria.minimality])
    filled = [colour != "#ffffff" for colour in shown["effect"].marker.color]
    assert filled == [n.minimal for n in criteria.minimality]
    gaps = [criteria.completeness.worst.gap, max(criteria.completeness.random)]
    assert close(shown["gap"].x, [*gaps, *(g.gap for g in criteria.completeness.by_variable)])


def test_a_sweep_is_a_map_of_layers_and_heads(found: dict[str, Any]) -> None:
    sweep = found["sweep"]
    figure = sweep.plot()
    maps = grids(sweep.effects)
    assert len(figure.data) == len(maps) == 2  # the embedding has no layer
    seen = 0
    for trace, grid in zip(figure.data, maps, strict=True):
        for row, line in zip(trace.y, trace.z, strict=True):
            for column, value in zip(trace.x, line, strict=True):
                cell = grid.cells.get((row, column))
                assert (value is None) == (cell is None)
                if cell is not None:
                    assert value == cell.effect
                    seen += 1
    assert seen == len(sweep.effects)
    most = max(abs(e.effect) for e in sweep.effects)
    assert {(t.zmin, t.zmax) for t in figure.data} == {(-most, most)}
    layers = figure.layout.yaxis
    assert (layers.title.text, layers.autorange) == ("layer", True)  # layers go up
    best = max(sweep.effects, key=lambda e: abs(e.effect))
    texts = [text for trace in figure.data for line in trace.text for text in line]
    assert any(text.startswith(f"{best.sender}: {best.effect:+.4g} [") for text in texts)


def test_a_proposal_shows_estimates_beside_effects(found: dict[str, Any]) -> None:
    proposal = found["proposal"]
    figure = proposal.plot()
    shown = traces(figure)
    nodes = {n.node: n for n in proposal.nodes}
    assert close(shown["estimate"].x, [nodes[name].score for name in shown["estimate"].y])
    assert close(shown["patched"].x, [nodes[name].exact for name in shown["patched"].y])
    assert 0 < len(shown["patched"].y) < len(shown["estimate"].y)
    best = [abs(nodes[name].best) for name in shown["estimate"].y]
    assert best == sorted(best, reverse=True)
    assert list(figure.layout.yaxis.categoryarray) == list(shown["estimate"].y)[::-1]  # the strongest on top


def test_an_interchange_shows_shares_beside_chance(found: dict[str, Any]) -> None:
    exchanged = found["interchange"]
    shown = traces(exchanged.plot())
    names = [e.variable for e in exchanged.exchanges]
    of_story = shown["answers what the story says"]
    assert list(of_story.y) == list(shown["chance"].y) == names
    assert close(of_story.x, [e.moved.share.value for e in exchanged.exchanges])
    assert close(ends(of_story, "x")[0], [e.moved.share.low for e in exchanged.exchanges])
    assert close(shown["chance"].x, [e.moved.chance for e in exchanged.exchanges])
    agreeing = shown["where model and story agree"]
    assert close(agreeing.x, [e.moved_agreeing.share.value for e in exchanged.exchanges])


@pytest.mark.parametrize("kind", ["result", "comparison", "criteria", "sweep", "proposal", "interchange"])
def test_every_plot_has_a_title_and_named_axes(found: dict[str, Any], kind: str) -> None:
    layout = found[kind].plot().layout
    assert layout.title.text
    panels = [name for name in layout if name.startswith("xaxis")]
    assert panels
    for name in panels:
        across, up = layout[name].title.text, layout[name.replace("x", "y", 1)].title.text
        assert across or up, f"{name} of {kind} is not named"
    told = " ".join(str(layout[name].title.text) for name in [*panels, *(n.replace("x", "y", 1) for n in panels)])
    assert "share" in told or "(logits)" in told or kind == "sweep"


def test_units_are_those_of_the_metric() -> None:
    assert with_unit("loss(b)") == "loss(b) (nats)"
    assert with_unit("logit_diff(io, s1)") == "logit_diff(io, s1) (logits)"
    assert with_unit("error") == "error"


@pytest.mark.parametrize("kind", ["result", "comparison", "criteria", "sweep", "proposal", "interchange"])
def test_without_plotly_a_sentence_says_what_to_install(
    found: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ScrubError, match=r"pip install 'causal-scrub\[plot\]'"):
        found[kind].plot()
