"""Rows of tensors and of objects: what an input holds tells rows apart; exact=True takes outputs of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from graph_cases import bench_of, claim_of, exact, feature, graph_of, rows_of

import scrub
from scrub import Hypothesis, Interpretation, Metric, nodes
from scrub.engine.draw import Draws
from scrub.engine.exact import Exact
from scrub.engine.upstream import representatives
from scrub.errors import ModelError

SIZE = 1500  # prints leave the middle out
SQUARED = Metric(lambda output, row: (output - row.columns["label"]) ** 2, better="lower", name="squared")


@dataclass(repr=False)
class Box:
    x: Any


def spread(i: int) -> np.ndarray:
    x = np.zeros(SIZE)
    x[700] = i
    return x


KINDS: dict[str, tuple[Callable[[int], Any], Callable[[Any], float]]] = {
    "tensor": (lambda i: torch.from_numpy(spread(i)), lambda h: float(h[700])),
    "array": (spread, lambda h: float(h[700])),
    "sparse": (lambda i: sp.csr_matrix(spread(i)[None]), lambda h: float(h[0, 700])),
    "series": (lambda i: pd.Series(spread(i)), lambda h: float(h[700])),
    "dataclass": (lambda i: Box(spread(i)), lambda h: float(h.x[700])),
}


def parity(kind: str, scale: int = 1) -> Hypothesis:
    """The model hands its input on and reads its middle; the claim says that only whether it is odd matters."""
    make, read = KINDS[kind]
    story = Interpretation()
    story.variable(feature("odd", "i", lambda i: i % 2))
    story.variable(feature("answer", "odd", lambda odd: odd))
    rows = [{"x": make(scale * i), "i": i, "label": i} for i in range(20)]
    graph = graph_of(h=lambda x: x, out=lambda h: read(h))
    return claim_of(graph, story, {"odd": nodes("h"), "answer": nodes("out").reads(h="odd")}, rows, metric=SQUARED)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_told_apart_by_what_their_inputs_hold(kind: str) -> None:
    """The mean of (a - b)**2 over pairs of like parity is 66."""
    hypothesis = parity(kind)
    found = bench_of(hypothesis)
    leaf = found.tree.children[0].placed.site
    assert representatives(found.claim, leaf.components, leaf.at).tolist() == list(range(20))
    assert scrub.test(hypothesis, exact=True).metric.scrubbed == pytest.approx(66)
    sampled = scrub.test(hypothesis, draws=40, explain=False, controls="none")
    assert sampled.metric.scrubbed == pytest.approx(66, abs=8)
    assert sampled.digest == scrub.test(hypothesis, exact=True).digest != bench_of(parity(kind, 2)).claim.digest


def test_inputs_of_equal_content_share_a_value() -> None:
    rows = [{"x": torch.tensor([float(i % 2)]), "label": 0} for i in range(6)]
    story = Interpretation()
    story.variable(feature("answer", "label", lambda label: label))
    graph = graph_of(h=lambda x: x, out=lambda h: float(h[0]))
    found = bench_of(claim_of(graph, story, {"answer": nodes("out")}, rows)).claim
    (component,) = nodes("h").components
    assert representatives(found, [component], ()).tolist() == [0, 1, 0, 1, 0, 1]


def split(a: Callable[[Any], Any], total: Callable[[Any], float]) -> tuple[Any, ...]:
    """Of two summands, one is claimed; the output is what `a` makes of both."""
    graph = graph_of(a=lambda x: a(x), b=lambda y: a(10 * y), out=lambda a, b: a + b)
    story = Interpretation()
    story.variable(feature("u", "x", lambda x: x))
    story.variable(feature("answer", "u", lambda u: u))
    rows = [{"x": i % 3, "y": i % 2} for i in range(12)]
    sites = {"u": nodes("a"), "answer": nodes("out").reads(a="u")}
    return graph, story, sites, rows, Metric(lambda output, row: total(output), better="higher", name="total")


@pytest.mark.parametrize(
    ("a", "total"),
    [
        (float, lambda out: out),
        (lambda x: np.array([x, 1]), lambda out: out[0]),
        (lambda x: torch.tensor([x, 1.0]), lambda out: float(out[0])),
        (lambda x: [x], sum),
        (lambda x: pd.Series([x, 1]), lambda out: out[0]),
    ],
)
def test_exact_takes_outputs_of_every_kind(a: Callable[[Any], Any], total: Callable[[Any], float]) -> None:
    *case, metric = split(a, total)
    assert exact(*case, metric=metric) == pytest.approx(1 + 5)


def test_exact_tells_true_from_one() -> None:
    graph: nx.DiGraph = graph_of(h=lambda x: x, out=lambda h: h)
    story = Interpretation()
    story.variable(feature("answer", "label", lambda label: label))
    rows = rows_of({"x": x} for x in (True, 1, True, 1))
    metric = Metric(lambda output, row: float(output is True), better="higher", name="true")
    assert exact(graph, story, {"answer": nodes("out")}, rows, metric=metric) == pytest.approx(0.5)


def test_exact_refuses_values_that_nothing_tells_apart() -> None:
    *case, metric = split(float, lambda out: 0)
    case[0].nodes["out"]["function"] = lambda a, b: lambda: a + b
    with pytest.raises(
        ModelError, match=r"nothing tells <function .* \(function\) from another: let the nodes return"
    ):
        exact(*case, metric=metric)


@pytest.mark.parametrize(("scope", "most"), [("occurrence", 3), ("input", 9), ("draw", 3)])
def test_exact_enumerates_distinct_values_not_rows(scope: str, most: int) -> None:
    """48 rows of two inputs: the answer reads three nodes, one of them claimed, and b has two values on either."""
    called: list[Any] = []

    def out(a: int, b: int, c: int) -> int:
        called.append((a, b, c))
        return a + 2 * b + c

    graph = graph_of(a=lambda x: x, b=lambda x, y: x + y, c=lambda y: 2 * y, out=out)
    story = Interpretation()
    story.variable(feature("u", "x", lambda x: x))
    story.variable(feature("answer", "u", lambda u: u))
    sites = {"u": nodes("b"), "answer": nodes("out").reads(b="u")}
    rows = [{"x": i % 2, "y": i % 2} for i in range(48)]
    bench = bench_of(claim_of(graph, story, sites, rows, rest_scope=scope))
    assert len(bench.rows.rows) == 48  # pyright: ignore[reportArgumentType]
    called.clear()
    enumerated = Exact(bench.evaluator, Draws(bench.claim, 0))  # pyright: ignore[reportArgumentType]
    means = [enumerated.answer(row).mean(lambda values: np.array(values)) for row in range(48)]
    assert means == pytest.approx([1.5 + 4 * (row % 2) for row in range(48)])
    assert 0 < len(called) <= 2 * most
