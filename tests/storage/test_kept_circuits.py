"""Criteria and explanations with `out`: broken off they go on; blocks of another setting are never used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scrub
from circuit.criteria_cases import claimed, true
from score.cases import ERROR, claim_of, graph, rows_of
from scrub import Circuit
from scrub.circuit.bench import CircuitBench
from scrub.score.sample import ClaimBench
from scrub.storage import circuits
from scrub.storage.directory import Run, beside_run

GIVEN: dict[str, Any] = {"rows": 8, "random": 4, "budget": 2}


def first(output: Any, row: Any) -> float:
    return float(output[0])


def second(output: Any, row: Any) -> float:
    return float(output[1])


def either(metric: Any = first) -> scrub.Hypothesis:
    """A claim about a compiled transformer; metrics of one's own are told by their code, whoever checks types."""
    return claimed("either").but(metric=scrub.Metric(metric), predicts="value")


def sums(**options: Any) -> scrub.Hypothesis:
    """A claim about a graph; `out` is one of its functions."""
    out = options.pop("out", lambda h, y: h + y)
    model = graph(h=lambda x: 10 * x, out=out)
    made = [{"x": x, "y": y, "label": 10 * x} for x in range(4) for y in range(4)]
    answer = scrub.nodes("out").reads(h="tens")
    story = {"tens": lambda x: 10 * x, "answer": lambda tens: tens}
    return claim_of(model, story, {"tens": "h", "answer": answer}, rows_of(made), metric=ERROR, **options)


def found(run: Run) -> tuple[int, int]:
    """Blocks that were computed, and that were there."""
    return sum(blocks.computed for blocks in run.blocks), sum(blocks.found for blocks in run.blocks)


def enough(_: Any) -> None:
    """Broken off once faithfulness is known."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("on_graph", [False, True])
def test_criteria_that_were_broken_off_go_on(on_graph: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hypothesis, asked = (sums(), {"ablation": "mean"}) if on_graph else (either(), {})
    plain, run = scrub.criteria(hypothesis, **GIVEN, **asked), beside_run(tmp_path, ["a"])
    outputs, calls = CircuitBench.outputs, list[int]()

    def breaking(self: CircuitBench, circuits: Any, without: bool = False) -> Any:
        calls.append(len(circuits))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return outputs(self, circuits, without)

    monkeypatch.setattr(CircuitBench, "outputs", breaking)
    with pytest.raises(KeyboardInterrupt):
        scrub.criteria(hypothesis, out=run, **GIVEN, **asked)
    kept, _ = found(run)
    assert kept >= 3
    for finished in (False, True):
        run = beside_run(tmp_path, ["a"])
        again = scrub.criteria(hypothesis, out=run, **GIVEN, **asked)
        assert again.to_dict() == plain.to_dict()
        assert again.table == plain.table
        computed, there = found(run)
        assert there >= kept
        assert (computed == 0) == finished


def test_blocks_of_another_setting_are_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a number depends on, changed by itself."""
    # the code of a metric that is wrapped by who checks types is like no other
    monkeypatch.setattr(circuits, "find", lambda metric: None)
    circuit, other = true("either"), Circuit.parse("1.0 @ END, 0.0 @ END")
    drawn = {
        "ablation": "resample",
        "group": "length",
        "rows": None,
    }  # of a subset the rows would owe to the seed too
    others = claimed("either").but(metric="accuracy(value)"), either(), either(second)
    graphs = sums(), sums(out=lambda h, y: h - y)
    changes: list[dict[str, Any]] = [
        {"ablation": "zero"}, {"direction": "denoising"}, {"rows": 9}, {"circuit": other},
        {"circuit": other, "through": "embed"}, drawn, {**drawn, "draws": 2}, {**drawn, "seed": 1},
        *({"hypothesis": one} for one in others), *({"hypothesis": one, "circuit": None} for one in graphs),
    ]  # fmt: skip
    base: dict[str, Any] = {"hypothesis": claimed("either"), "circuit": circuit, "rows": 8}

    def faithful(**given: Any) -> tuple[int, int]:
        run = beside_run(tmp_path, [])
        with pytest.raises(KeyboardInterrupt):
            scrub.criteria(**given, out=run, ready=enough)
        return found(run)

    assert faithful(**base)[0] > 0
    for change in changes:
        assert faithful(**base | change)[1] == 0, change
    assert faithful(**base)[0] == 0


def test_an_explanation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shares the blocks of the claim's own draws with a test."""
    hypothesis = sums(expect=scrub.recovers(0.9))
    plain = scrub.explain(hypothesis, draws=4)
    scrub.test(hypothesis, draws=4, out=tmp_path, controls="none", parts="none", explain=False)
    run = beside_run(tmp_path, [plain.hypothesis])
    assert scrub.explain(hypothesis, draws=4, out=run).to_dict() == plain.to_dict()
    assert found(run)[1] > 0
    monkeypatch.setattr(ClaimBench, "scrubbed", None)
    assert scrub.explain(hypothesis, draws=4, out=tmp_path).to_dict() == plain.to_dict()
