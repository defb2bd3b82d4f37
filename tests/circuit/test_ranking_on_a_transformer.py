"""Rankings of a transformer's parts: what a curve counts, and against which parts."""

from __future__ import annotations

import numpy as np
import pytest

from model.tiny_models import native
from scrub import Dataset
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import resolve
from scrub.circuit.ranking import PartRanking, cpr_cmd
from scrub.circuit.universe import every_edge
from scrub.claims.metric import parse_metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError
from scrub.model.transformer import adapt

DATA = Dataset.from_rows(
    {"tokens": [i, 2 * i + 1, 7, 3 * i], "positions": {"S": 1, "END": 3}, "columns": {"io": i, "s": i + 9}}
    for i in range(1, 7)
)
TINY = adapt(native())


def bench_on_tiny(circuit: Circuit, protocol: Protocol | None = None) -> CircuitBench:
    experiment = resolve(
        TransformerGraph("tiny", TINY.shape), DATA, parse_metric("logit_diff(io, s)"), None, protocol or Protocol(),
        answer=Slot("END"), output=Component("logits"), rows=None, group=None, reference=None, pair=None,
        through=(protocol or Protocol()).through or (),
    )  # fmt: skip
    return CircuitBench.of(experiment, TINY, circuit)


def test_edges_of_a_transformer() -> None:
    """Each point is the circuit of the best edges, pruned and run."""
    graph = TransformerGraph("tiny", TINY.shape)
    everything = every_edge(graph, frozenset((Component("pos"),)), Component("logits"))
    scores = np.random.default_rng(0).normal(size=len(everything))
    ranking = PartRanking.of(dict(zip(everything, scores, strict=True)))
    bench = bench_on_tiny(ranking.circuit)
    curve = cpr_cmd(bench, ranking, (0.4, 0.7, 1))
    assert curve.universe == len(everything)
    for point in curve.points:
        whole = ranking.top(point.requested, False)
        circuit = whole.pruned_in(graph, bench.passed, Component("logits"))
        removed = whole.edges - circuit.edges
        f = (bench.scores([circuit]).mean() - curve.ablated) / (curve.model - curve.ablated)
        assert point.f == pytest.approx(f, abs=1e-5)
        assert (point.requested, point.effective) == (len(circuit) + len(removed), len(circuit))
    assert curve.points[-1].f == pytest.approx(1, abs=1e-4)
    assert 0 < curve.points[0].effective < curve.points[0].requested
    assert abs(curve.points[0].f) > 0.01


def test_components_at_positions_count_against_every_part_at_these_positions() -> None:
    ranking = PartRanking.of({"embed @ S": 3.0, "1.2 @ END": 2.0, "mlp 1 @ END": 1.0})
    curve = cpr_cmd(bench_on_tiny(ranking.circuit), ranking, (0.1, 0.5, 1))
    assert curve.universe == 2 * (1 + 2 * 4 + 2)
    assert [(point.requested, point.effective) for point in curve.points] == [(2, 2), (11, 3), (22, 3)]


def test_a_circuit_names_pos_or_it_is_no_part() -> None:
    named, without = PartRanking.of({"pos": 3.0, "embed": 2.0}), PartRanking.of({"embed": 2.0})
    assert cpr_cmd(bench_on_tiny(named.circuit), named).universe == 12
    assert cpr_cmd(bench_on_tiny(without.circuit), without).universe == 11
    with pytest.raises(ClaimError, match="pos: scored, but not among the 11 components"):
        cpr_cmd(bench_on_tiny(without.circuit), named)


@pytest.mark.parametrize(
    ("made_for", "scores", "words"),
    [
        ("0.1", {"0.1": 1.0, "0.7": 1.0}, ["there is no 0.7", "did you mean 0.3?"]),
        ("attn 0", {"attn 0": 1.0}, ["attn 0", "single heads"]),
        ("0.1 @ END", {"0.1 @ END": 1.0, "0.2": 1.0}, ["0.2", "all parts everywhere or all at positions"]),
        ("0.1 @ END", {"0.1 @ S": 1.0}, ["S", "ranking.circuit"]),
    ],
)
def test_parts_that_are_not_the_bench_s(made_for: str, scores: dict[str, float], words: list[str]) -> None:
    with pytest.raises(ClaimError) as error:
        cpr_cmd(bench_on_tiny(Circuit.parse(made_for)), PartRanking.of(scores))
    assert all(word in str(error.value) for word in words), error.value
