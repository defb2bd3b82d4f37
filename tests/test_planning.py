"""What `scrub plan` says every verb costs, against what bars hear while the verbs run and what models are asked."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import scrub
from score.cases import sum_claim
from scrub import Circuit, Hypothesis
from scrub.circuit.alike import AlikeRun
from scrub.circuit.bench import CircuitBench
from scrub.circuit.cost import MINIMAL, SOME, forwards_of, passes_of
from scrub.circuit.experiment import experiment_of
from scrub.circuit.minimality import minimality
from scrub.claims.collect import collect
from scrub.engine import cost
from scrub.engine.cost import Pass, Verb
from scrub.engine.frames import Frames
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.score.patched import PatchedTransformer
from scrub.score.sample import sample
from scrub.verbs.costs import SENDERS, VIEWED_DRAWS
from scrub.verbs.setup import Bar, bench_of, references

GALLERY = Path(__file__).parents[1] / "hypotheses"
ROWS, DRAWS = 32, 3


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Counter[str]]:
    """Calls that were heard of, and totals, by the words of their bar."""
    calls, totals, now = Counter[str](), Counter[str](), dict[str, str]()

    def phase(bar: Bar, name: str, total: int) -> None:
        now[bar.title] = f"{bar.title}: {name}" if name else bar.title
        totals[now[bar.title]] += total

    def called(bar: Bar, count: int) -> None:
        calls[now[bar.title]] += count

    monkeypatch.setattr(Bar, "phase", phase)
    monkeypatch.setattr(Bar, "__call__", called)
    return calls, totals


def names(which: str = "names") -> Hypothesis:
    return collect([f"{GALLERY / 'names.py'}::{which}"]).hypotheses[0]


def planned(hypothesis: Hypothesis, verb: str) -> dict[str, Pass]:
    [found] = [v for v in scrub.plan(hypothesis, rows=ROWS, draws=DRAWS).verbs if v.name == verb]
    return {one.name: one for one in found.passes}


Told = tuple[Counter[str], Counter[str]]


def test_a_test_makes_the_calls_that_were_planned(heard: Told) -> None:
    calls, totals = heard
    foil = names("wrong_mover")
    wanted = planned(foil, "test")
    assert scrub.test(foil, rows=ROWS, draws=DRAWS, explain=True).verdict == "refuted"
    assert calls["wrong_mover: rows"] == wanted["rows of the pool"].calls == 400
    assert calls["wrong_mover"] == wanted["draws"].calls == ROWS * DRAWS
    assert calls["wrong_mover: controls"] == wanted["shuffled values"].calls == 20 * ROWS
    looked = wanted["what breaks it (--explain, if refuted)"]
    assert 0 < calls["wrong_mover: what breaks it"] == looked.calls <= wanted["draws"].calls
    assert calls["wrong_mover: parts"] == wanted["without each part"].calls
    assert calls == totals
    assert wanted["rows of the pool"].forwards == 400
    assert "what breaks it (if refuted)" in planned(names(), "test")


def test_an_explanation_makes_the_calls_that_were_planned(heard: Told) -> None:
    calls, totals = heard
    wanted = planned(names(), "explain")
    scrub.explain(names(), rows=ROWS, draws=DRAWS)
    [swaps] = [one for name, one in wanted.items() if name.startswith("swaps (")]
    assert calls["names: swaps"] == totals["names: swaps"] == swaps.calls


def test_criteria_run_no_more_than_was_planned_and_not_much_less(heard: Told) -> None:
    """Rows of means are heard of as well; greedy search ends when nothing gets worse, and finds its sets again."""
    calls, totals = heard
    wanted = planned(names(), "criteria")
    scrub.criteria(names(), rows=ROWS)
    means = {"faithfulness": 1, "completeness": 1, "minimality": 2, "tests": 0}
    run = {name: calls[f"names: {name}"] - times * _abc() for name, times in means.items()}
    assert run["faithfulness"] == wanted["faithfulness"].calls == 3 * ROWS
    assert run["tests"] == wanted["tests"].calls == 202 * ROWS
    assert 0.8 * wanted["minimality"].calls <= run["minimality"] <= wanted["minimality"].calls
    assert 0.2 * wanted["completeness"].calls <= run["completeness"] <= wanted["completeness"].calls
    assert all(calls[name] <= totals[name] for name in totals)
    assert wanted["rows and their means"].calls == int(2.5 * ROWS) + 4 * _abc()


def test_circuits_that_share_cost_what_is_computed_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions at which layers are computed, over those of a pass; by criteria that ask of as many random parts."""
    claim, source = sound(names(), expecting=False)
    experiment = experiment_of(claim, references(claim, ROWS, 0), claim.hypothesis.criteria, source.tokenizer)
    circuit = Circuit(nodes=frozenset(n for n in Circuit.of_claim(claim).nodes if n.component.traits.attends))
    bench = CircuitBench.of(experiment, open_weights(source, Backend(), claim.data), circuit)
    [wanted] = [one for one in passes_of(bench, circuit, SOME) if one.name == MINIMAL]
    [counted] = forwards_of(bench, circuit, [wanted])
    computed, compute = list[int](), AlikeRun._computed

    def counting(self: AlikeRun, layer: int, place: int, x: Tensor, *given: Any) -> Tensor:
        computed.append(x.shape[:3].numel())
        return compute(self, layer, place, x, *given)

    monkeypatch.setattr(AlikeRun, "_computed", counting)
    minimality(bench, circuit, SOME)
    shape, length = claim.graph.shape, int(np.median(claim.data.lengths[bench.rows]))
    layers = 1 - length * shape.d_model * shape.d_vocab / cost.forward_work(claim.graph, length)
    done = layers * sum(computed) / (shape.n_layers * length)
    assert counted.forwards is not None
    assert 0.7 * counted.forwards < done <= 1.05 * counted.forwards < 0.5 * counted.calls


def _abc() -> int:
    """The rows that means are taken over: those of the templates that the reference rows have."""
    claim = scrub.check(names()).claim
    assert claim is not None
    rows = [row.columns for row in claim.data.rows]
    met = {rows[row]["template"] for row in references(claim, ROWS, 0)}
    return int(np.sum([row["is_abc"] and row["template"] in met for row in rows]))


def test_a_proposal_passes_no_more_than_was_planned(heard: Told) -> None:
    """A patch begins at the first layer that changes, and the top may stand early: at least half is needed."""
    calls, totals = heard
    [verb] = [v for v in scrub.plan(names()).verbs if v.name == "propose"]
    found = scrub.propose(names())
    made = found.rows * (found.passes["forward"] + 2 * found.passes["backward"])
    assert verb.forwards is not None
    assert 0.5 * verb.forwards <= made <= verb.forwards
    assert set(totals) == {f"propose: {one.name}" for one in verb.passes}
    for one in verb.passes:
        assert 0 < calls[f"propose: {one.name}"] <= one.calls


def test_interchange_asks_the_model_as_often_as_was_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, asked, original = planned(names(), "interchange"), list[int](), PatchedTransformer.outputs
    monkeypatch.setattr(PatchedTransformer, "outputs", lambda m, r, p=(): asked.append(len(r)) or original(m, r, p))
    scrub.interchange(names(), rows=ROWS)
    assert asked[0] == wanted["rows as they are"].calls == ROWS
    assert sum(asked[1:]) <= wanted["interchanged"].calls == (5 + 1) * ROWS * 5


def test_sweep_patch_and_power_make_the_calls_that_were_planned(heard: Told) -> None:
    calls, _ = heard
    claim = sum_claim()
    wanted = {verb.name: {one.name: one for one in verb.passes} for verb in scrub.plan(claim, rows=ROWS).verbs}
    scrub.sweep("all", "-> out", claim, rows=ROWS)
    assert calls["sweep"] == wanted["sweep"]["patched"].calls
    scrub.patch_paths("x -> out", claim, rows=ROWS)
    assert calls["paths"] == wanted["patch"]["patched"].calls
    scrub.power(claim)
    assert calls[f"{claim.title}: pilot"] == wanted["power"]["pilot"].calls
    assert inspect.signature(scrub.sweep).parameters["senders"].default == SENDERS


def test_views_make_the_calls_that_were_planned(heard: Told) -> None:
    calls, _ = heard
    claim = next(h for h in collect([str(GALLERY / "compose.py")]).hypotheses if h.name == "compose")
    [verb] = [v for v in scrub.plan(claim, rows=8).verbs if v.name == "views"]
    most = {one.name: one.calls for one in verb.passes}
    scrub.views(claim, rows=8, only="attention otherwise")
    assert most["rows of the pool"] < calls["compose: rows"] <= most["rows"] + most["rows of the pool"]
    assert inspect.signature(scrub.views).parameters["draws"].default == VIEWED_DRAWS
    [views] = [v for v in scrub.plan(sum_claim()).verbs if v.name == "views"]
    assert "has no attention" in views.note


def test_what_cannot_be_run_says_why() -> None:
    alone = names().but(criteria=scrub.protocol(ablation="paired"))
    [verb] = [v for v in scrub.plan(alone, rows=ROWS).verbs if v.name == "criteria"]
    assert (verb.passes, verb.forwards) == ((), None)
    assert verb.note.startswith("cannot be run on this claim: ablation 'paired' needs the column")


def test_costs_add_up() -> None:
    verb = Verb("test", (Pass("a", 3, 3.0), Pass("b", 5, 1.5, "<=")))
    assert (verb.forwards, verb.bound) == (4.5, "<= ")
    assert Verb("test", (Pass("a", 3, 3.0, ">="), Pass("b", 5, 1.5, "<="))).bound == "about "
    assert Verb("test", (Pass("a", 3),)).forwards is None


def test_a_plan_counts_the_mlps_that_a_test_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From what lands on, and for each context until its own last reader; rows that lend to themselves apart."""
    claim, made, each = names().but(through="mlps"), Counter[str](), 10.0**9
    own = Frames.mlp_made

    def counted(frames: Frames, layer: int, x: Tensor) -> Tensor:
        made["rows"] += x[..., 0].numel()
        return own(frames, layer, x)

    monkeypatch.setattr(Frames, "mlp_made", counted)
    resolved, source = sound(claim)
    bench = bench_of(resolved, source, open_weights(source, Backend()))
    sample(bench, references(bench.claim, ROWS, 0), DRAWS, 0)
    monkeypatch.setattr(cost, "forward_work", lambda *_: 1)
    monkeypatch.setattr(cost, "_mlp_work", lambda _: int(each))
    with_mlps = scrub.plan(claim, rows=ROWS, draws=DRAWS).forwards or 0.0
    assert made["rows"] <= with_mlps / each <= 1.15 * made["rows"] + 1
