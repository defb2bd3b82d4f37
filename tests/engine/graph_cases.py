"""Claims about computation graphs in a few words: a graph of functions, a story of tuples, rows of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest

import scrub
from scrub import Dataset, Hypothesis, Interpretation, Metric, claim, recovers
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place
from scrub.engine.draw import Calls, Drawn, Draws
from scrub.engine.on_graph import GraphRows
from scrub.model.computation import Computation
from scrub.model.resolve import sound
from scrub.score.measure import GraphAnswers
from scrub.score.sample import ClaimBench, compile_claim, sample
from strategies_models import named

OUTPUT = Metric(lambda output, row: output, better="higher", name="output")
ERROR = Metric(lambda output, row: abs(output - row.columns["label"]), better="lower", name="error")


def graph_of(**functions: Callable[..., Any]) -> nx.DiGraph:
    """A computation graph of functions; their arguments are its edges."""
    graph: nx.DiGraph = nx.DiGraph()
    for name, function in functions.items():
        graph.add_node(name, function=function)
        code = function.__code__
        graph.add_edges_from((argument, name) for argument in code.co_varnames[: code.co_argcount])
    return graph


def story_of(**parents: str) -> Interpretation:
    """Variables that are the tuple of their parents: `h="x", answer="h x"`."""
    story = Interpretation()
    for name, read in parents.items():
        story.variable(named(name, read.split(), tuple))
    return story


def feature(name: str, parent: str, function: Callable[[Any], Any]) -> Callable[..., Any]:
    """A variable that is a function of one parent."""
    return named(name, [parent], lambda values: function(values[0]))


def rows_of(columns: Iterable[Mapping[str, Any]]) -> Dataset:
    """Rows without tokens; `label` is 0 where it is not given."""
    return Dataset.from_rows([{"columns": {"label": 0, **row}} for row in columns])


def claim_of(
    graph: nx.DiGraph,
    story: Interpretation,
    places: dict[str, Place],
    rows: Iterable[Mapping[str, Any]] | Dataset,
    **options: Any,
) -> Hypothesis:
    """A claim about a graph; its metric is the output itself unless `metric=` says otherwise."""
    data = rows if isinstance(rows, Dataset) else rows_of(rows)
    setting = {"metric": OUTPUT, "expect": recovers(0.5), "predicts": "label", **options}
    return claim(story, model=graph, data=data, **setting)(places)


def exact(*case: Any, **options: Any) -> float:
    """The exact mean metric of a claim, through the public function."""
    return scrub.test(claim_of(*case, **options), exact=True).metric.scrubbed


def sampled(*case: Any, **options: Any) -> Any:
    """The mean metric of a claim over many draws, with room for five standard errors of what draws leave open."""
    bench = bench_of(claim_of(*case, **options))
    scored = bench.claim.data.order[bench.claim.scored[bench.claim.data.order]]
    draws = max(30, 1200 // len(scored))
    table = sample(bench, scored, draws, 0).scrubbed
    error = float(np.sqrt(table.var(axis=1, ddof=1).sum() / draws)) / len(scored)
    return pytest.approx(float(table.mean()), rel=0, abs=5 * error + 1e-9)


def bench_of(hypothesis: Hypothesis, model: Any = None) -> ClaimBench:
    """A claim about a computation graph, ready to be sampled."""
    found, _ = sound(hypothesis, model)
    assert isinstance(found.graph, Computation)
    rows = GraphRows(found, found.graph)
    return ClaimBench(found, *compile_claim(found), rows, GraphAnswers(found, rows))


def drawn_rows(claim: Claim, draws: int = 6, seed: int = 0) -> dict[str, Drawn]:
    """The rows of every occurrence, by path, in the order of row identities and draws."""
    tree, _ = compile_claim(claim)
    references = claim.data.order
    calls = Calls(np.repeat(references, draws), np.tile(np.arange(draws), len(references)))
    return Draws(claim, seed).tree(tree, calls)
