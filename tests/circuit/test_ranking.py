"""Rankings, and the benchmark's areas worked by hand on graphs of a few functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.graph_cases import OUTPUT, graph_of, rows_of
from scrub.anatomy.names import Component
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.circuit.experiment import resolve
from scrub.circuit.ranking import MIB, Curve, PartRanking, cpr_cmd
from scrub.claims.metric import Metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError
from scrub.model.computation import Computation

FOUR = ["a", "b", "c", "d"]
QUARTERS = (0, 0.25, 0.5, 0.75, 1)
ZERO = Protocol(ablation="zero")


def four(function: Callable[..., Any]) -> Computation:
    """A graph of four inputs and one function of them."""
    return Computation.of(graph_of(out=function))


def chains() -> Computation:
    """`a -> p -> out <- q <- b`."""
    graph = graph_of(p=lambda a: a, q=lambda b: b, out=lambda p, q: 3 * p + q)
    return Computation.of(graph)


def bench_for(
    graph: Computation,
    ranking: PartRanking,
    protocol: Protocol = ZERO,
    metric: Metric = OUTPUT,
    **columns: list[float],
) -> CircuitBench:
    """Rows of ones, where no columns are given."""
    given = columns or {name: [1.0, 1.0] for name in graph.inputs()}
    data = rows_of(dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True))
    output = Component.for_node(graph.ends[-1])
    experiment = resolve(
        graph, data, metric, None, protocol, answer=None, output=output, rows=None, group=None, reference=None,
        pair=None, through=protocol.through or (),
    )  # fmt: skip
    return CircuitBench.of(experiment, None, ranking.circuit)


def ranked(graph: Computation, **scores: float) -> PartRanking:
    return PartRanking.of(scores, graph)


def edges(graph: Computation, **scores: float) -> PartRanking:
    """Edges by the first letters of their ends."""
    names = {"ap": "a -> p", "bq": "b -> q", "po": "p -> out", "qo": "q -> out"}
    return PartRanking.of({names[key]: score for key, score in scores.items()}, graph)


def fs(curve: Curve) -> list[float | None]:
    return [point.f for point in curve.points]


# rankings


def test_the_top_is_by_absolute_scores_unless_it_says_signed() -> None:
    graph = four(lambda a, b, c, d: a)
    found = ranked(graph, a=1.0, b=-3.0, c=2.0, d=0.0)
    assert [str(part) for part in found.top(2)] == ["b", "c"]
    assert [str(part) for part in found.top(2, absolute=False)] == ["a", "c"]
    assert (len(found.top(0)), len(found.top(9)), found.top(0)) == (0, 4, Circuit())
    assert found.circuit == found.top(4)
    with pytest.raises(ClaimError, match="0 or more"):
        found.top(-1)


def test_ties_do_not_depend_on_the_order_of_the_dict() -> None:
    graph = four(lambda a, b, c, d: a)
    one, two = ranked(graph, a=1, b=1, c=1, d=2), ranked(graph, d=2, c=1, b=1, a=1)
    assert [one.top(n) for n in range(5)] == [two.top(n) for n in range(5)]
    assert [str(part) for part in two.top(2)] == ["a", "d"]


def test_a_name_gives_its_score_to_each_of_its_parts() -> None:
    found = PartRanking.of({"embed -> 0.1": 2.0, "L0H1 -> logits": 1.0})
    assert {str(part): score for part, score in found.scores} == {
        "embed -> 0.1.q": 2, "embed -> 0.1.k": 2, "embed -> 0.1.v": 2, "0.1 -> logits": 1,
    }  # fmt: skip
    assert found.level == "edges"
    assert PartRanking.of({"9.6": 1.0}).level == "components"


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ({}, ["empty ranking"]),
        ({"9.6": 1.0, "L9H6": 2.0}, ["9.6", "more than once"]),
        ({"9.6": 1.0, "7.3": float("nan"), "mlp 0": float("nan")}, ["7.3, mlp 0", "NaN"]),
        ({"9.6": 1.0, "9.6 -> logits": 1.0}, ["not both"]),
    ],
)
def test_a_ranking_that_is_none(scores: dict[str, float], words: list[str]) -> None:
    with pytest.raises(ClaimError) as error:
        PartRanking.of(scores)
    assert all(word in str(error.value) for word in words), error.value


# areas


def test_trapezoids_by_hand() -> None:
    """f is 0, 0.4, 0.7, 0.9, 1: the four trapezoids are a quarter wide."""
    graph = four(lambda a, b, c, d: 4 * a + 3 * b + 2 * c + d)
    ranking = ranked(graph, a=4, b=3, c=2, d=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, QUARTERS)
    assert fs(curve) == pytest.approx([0, 0.4, 0.7, 0.9, 1])
    assert curve.cpr == pytest.approx(0.25 * (0.2 + 0.55 + 0.8 + 0.95))
    assert curve.cmd == pytest.approx(0.25 * (0.8 + 0.45 + 0.2 + 0.05))
    assert (curve.model, curve.ablated, curve.universe, curve.level) == (10, 0, 4, "components")
    assert [(point.requested, point.effective) for point in curve.points] == [(n, n) for n in range(5)]


def test_the_area_is_on_linear_shares_of_uneven_width() -> None:
    graph = four(lambda a, b, c, d: 4 * a + 3 * b + 2 * c + d)
    ranking = ranked(graph, a=4, b=3, c=2, d=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, (0.25, 0.5, 1))
    assert curve.cpr == pytest.approx(0.25 * (0.4 + 0.7) / 2 + 0.5 * (0.7 + 1) / 2)
    assert curve.cmd == pytest.approx(0.25 * (0.6 + 0.3) / 2 + 0.5 * 0.3 / 2)


def test_the_grid_of_the_benchmark_on_a_thousand_parts() -> None:
    """One input of a thousand decides: ranked first f is 1 at every size, ranked last at the largest alone."""
    names = [f"x{i}" for i in range(1000)]
    graph = four(eval(f"lambda {', '.join(names)}: x0"))
    first = PartRanking.of({name: 1000.0 - i for i, name in enumerate(names)}, graph)
    bench = bench_for(graph, first)
    curve = cpr_cmd(bench, first)
    assert [point.requested for point in curve.points] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert fs(curve) == [1] * 10
    assert curve.cpr == pytest.approx(0.999)
    assert curve.cmd == 0
    last = cpr_cmd(bench, PartRanking.of({name: i for i, name in enumerate(names)}, graph))
    assert (last.cpr, last.cmd) == (pytest.approx(0.25), pytest.approx(0.749))


def test_sizes_are_rounded_down() -> None:
    graph = four(lambda a, b, c, d: a)
    ranking = ranked(graph, a=4, b=3, c=2, d=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking)
    assert [point.share for point in curve.points] == list(MIB)
    assert [point.requested for point in curve.points] == [0] * 8 + [2, 4]
    assert fs(curve) == [0] * 8 + [1, 1]
    with_decimals = cpr_cmd(bench_for(chains(), edges(chains(), ap=1)), edges(chains(), ap=1), (0.49, 0.7, 0.75))
    assert [point.requested for point in with_decimals.points] == [1, 2, 3]


def test_cpr_rewards_more_than_the_model_and_cmd_does_not() -> None:
    """A part that hurts is last by signed scores and second by absolute ones."""
    graph = four(lambda a, b, c, d: 4 * a + c + d - 2 * b)
    ranking = ranked(graph, a=4, b=-2, c=1, d=1)
    bench = bench_for(graph, ranking)
    signed, absolute = cpr_cmd(bench, ranking, QUARTERS), cpr_cmd(bench, ranking, QUARTERS, absolute=True)
    assert fs(signed) == pytest.approx([0, 1, 1.25, 1.5, 1])
    assert fs(absolute) == pytest.approx([0, 1, 0.5, 0.75, 1])
    assert signed.cpr == pytest.approx(0.25 * (0.5 + 1.125 + 1.375 + 1.25))
    assert signed.cpr > 1
    assert signed.cmd == pytest.approx(0.25 * (0.5 + 0.125 + 0.375 + 0.25))
    assert absolute.cmd == pytest.approx(0.25 * (0.5 + 0.25 + 0.375 + 0.125))
    assert (signed.absolute, absolute.absolute) == (False, True)
    assert "signed scores" in str(signed)
    assert "absolute scores" in str(absolute)


def test_where_lower_is_better_the_curve_is_the_same() -> None:
    graph = four(lambda a, b, c, d: 4 * a + 3 * b + 2 * c + d)
    ranking = ranked(graph, a=4, b=3, c=2, d=1)
    worse = Metric(lambda output, row: 5 - output, better="lower", name="loss")
    found = cpr_cmd(bench_for(graph, ranking, metric=worse), ranking, QUARTERS)
    assert fs(found) == pytest.approx([0, 0.4, 0.7, 0.9, 1])


def test_parts_without_a_score_come_last_and_are_never_in() -> None:
    graph = four(lambda a, b, c, d: 4 * a + 3 * b + 2 * c + d)
    ranking = ranked(graph, a=1, b=-5)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, QUARTERS)
    assert curve.universe == 4
    assert fs(curve) == pytest.approx([0, 0.4, 0.7, 0.7, 0.7])
    assert [(point.requested, point.effective) for point in curve.points] == [(0, 0), (1, 1), (2, 2), (3, 2), (4, 2)]


def test_dead_ends_are_pruned_before_the_run_and_counted() -> None:
    """`p -> out` first, alone: nothing feeds p. By mean, f of a chain is known when both of its edges are in."""
    graph = chains()
    ranking = edges(graph, po=4, bq=3, ap=2, qo=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, QUARTERS)
    assert [(point.requested, point.effective) for point in curve.points] == [(0, 0), (1, 0), (2, 0), (3, 2), (4, 4)]
    assert fs(curve) == pytest.approx([0, 0, 0, 0.75, 1])
    assert (curve.universe, curve.level) == (4, "edges")


def test_what_is_pruned_is_not_run() -> None:
    """A function of the mean is not the mean of the function: an edge that no input reaches would move f."""
    graph = Computation.of(graph_of(p=lambda a: a**2, out=lambda p, b: p + 2 * b))
    ranking = PartRanking.of({"p -> out": 3.0, "b -> out": 2.0, "a -> p": 1.0}, graph)
    bench = bench_for(graph, ranking, Protocol(), a=[0.0, 2.0], b=[0.0, 2.0])
    second = Metric(lambda output, row: output * row.columns["b"], name="weighted")
    weighted = bench_for(graph, ranking, Protocol(), second, a=[0.0, 2.0], b=[0.0, 2.0])
    alone = Circuit.parse("p -> out", graph)
    assert bench.scores([alone]).mean() == pytest.approx(1**2 + 2)  # p of the mean 1, and b's mean
    assert bench.scores([Circuit()]).mean() == pytest.approx((0 + 4) / 2 + 2)
    assert fs(cpr_cmd(weighted, ranking, (0.34, 0.67, 1))) == pytest.approx([0, 0.5, 1])


def test_undefined_where_ablating_everything_changes_nothing() -> None:
    graph = four(lambda a, b, c, d: a - b + c - d + 7)
    ranking = ranked(graph, a=4, b=3, c=2, d=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, QUARTERS)
    assert (curve.model, curve.ablated) == (7, 7)
    assert fs(curve) == [None] * 5
    assert (curve.cpr, curve.cmd) == (None, None)
    assert "undefined" in str(curve)


def test_a_curve_tells_its_numbers() -> None:
    graph = chains()
    ranking = edges(graph, po=4, ap=3, bq=2, qo=1)
    curve = cpr_cmd(bench_for(graph, ranking), ranking, (0, 0.5, 1))
    told = curve.to_dict()
    assert told["cpr"] == curve.cpr == pytest.approx(0.5 * 0.375 + 0.5 * 0.875)
    assert told["points"][1] == {"share": 0.5, "requested": 2, "effective": 2, "f": 0.75}
    assert (told["metric"], told["ablation"], told["direction"]) == ("output", "zero", "noising")
    assert str(curve).startswith("CPR 0.625 (no upper bound), CMD 0.375 (best 0) of 4 edges by signed scores")


@pytest.mark.parametrize("sizes", [(), (1,), (0.5, 0.2), (0.5, 0.5), (-0.1, 1), (0.5, 1.5), (0.1, float("nan"))])
def test_sizes_that_are_none(sizes: tuple[float, ...]) -> None:
    graph = chains()
    ranking = edges(graph, ap=1)
    with pytest.raises(ClaimError, match="increasing"):
        cpr_cmd(bench_for(graph, ranking), ranking, sizes)
