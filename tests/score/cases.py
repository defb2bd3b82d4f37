"""Small claims for scores: a graph of functions, a story of functions, and sites named like the nodes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from itertools import product
from random import Random
from typing import Any

import networkx as nx

from scrub import Dataset, Hypothesis, Interpretation, Metric, claim, embed, logits, nodes, recovers
from scrub.claims.resolved import Claim
from scrub.engine.on_graph import GraphRows
from scrub.engine.on_transformer import TransformerRows
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from scrub.score.measure import GraphAnswers, TransformerAnswers
from scrub.score.sample import ClaimBench, compile_claim
from strategies_models import named, random_transformer

ERROR = Metric(lambda output, row: abs(output - row.columns["label"]), better="lower", name="error")
VALUE = Metric(lambda output, row: output, better="higher", name="value")


def graph(**functions: Callable[..., Any]) -> nx.DiGraph:
    """A computation graph of functions; an argument that is no function is an input."""
    made: nx.DiGraph = nx.DiGraph()
    for name, function in functions.items():
        made.add_node(name, function=function)
        made.add_edges_from((argument, name) for argument in inspect.signature(function).parameters)
    return made


def story_of(**functions: Callable[..., Any]) -> Interpretation:
    story = Interpretation()
    for name, function in functions.items():
        arguments = list(inspect.signature(function).parameters)
        story.variable(named(name, arguments, lambda values, f=function: f(*values)))
    return story


def rows_of(rows: Iterable[dict[str, Any]]) -> Dataset:
    return Dataset.from_rows({"columns": row} for row in rows)


def claim_of(
    model: Any, story: dict[str, Callable[..., Any]], sites: dict[str, Any], data: Dataset, **options: Any
) -> Hypothesis:
    """A claim that recovers 0.8 of VALUE unless told otherwise; a site given as text is nodes."""
    places = {name: nodes(site) if isinstance(site, str) else site for name, site in sites.items()}
    setting = {"metric": VALUE, "expect": recovers(0.8)} | options
    if isinstance(setting["metric"], Metric) or setting["metric"] == "kl":
        setting = {"predicts": "label"} | setting
    return claim(story_of(**story), model=model, data=data, **setting)(places)


def resolved(hypothesis: Hypothesis) -> Claim:
    return sound(hypothesis)[0]


def bench_of(hypothesis: Hypothesis) -> ClaimBench:
    """A claim about a graph, ready to be sampled."""
    claim = resolved(hypothesis)
    tree, program = compile_claim(claim)
    rows = GraphRows(claim, claim.graph)
    return ClaimBench(claim, tree, program, rows, GraphAnswers(claim, rows))


def transformer_bench(hypothesis: Hypothesis) -> ClaimBench:
    """A claim about a transformer that is at hand."""
    claim = resolved(hypothesis)
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, hypothesis.model, [program])
    return ClaimBench(claim, tree, program, rows, TransformerAnswers(claim, rows))


SUM = graph(out=lambda x, y: 10 * x + y)


def sum_rows(label: Callable[[int, int], int] = lambda x, y: 10 * x + y) -> Dataset:
    """x in 0 to 2 and y in 0 to 3, every pair once."""
    return rows_of({"x": x, "y": y, "label": label(x, y)} for x in range(3) for y in range(4))


def sum_sample(times: int = 3) -> Dataset:
    """Every pair so many times, told apart by a number: for all that is known there are others."""
    return rows_of({**row.columns, "n": n} for n in range(times) for row in sum_rows().rows)


def sum_claim(data: Dataset | None = None, **options: Any) -> Hypothesis:
    """Of out = 10 x + y only x is claimed to matter: y comes from the rest."""
    data = sum_rows() if data is None else data
    options = {"metric": ERROR} | options
    return claim_of(
        SUM, {"answer": lambda x: 10 * x}, {"x": "x", "answer": nodes("out").reads(x="x")}, data, **options
    )


def both(**options: Any) -> Hypothesis:
    """Of out = 10 x + y both matter, as is true."""
    sites = {"x": "x", "y": "y", "answer": nodes("out").reads(x="x", y="y")}
    return claim_of(SUM, {"answer": lambda x, y: 10 * x + y}, sites, sum_rows(), **{"metric": ERROR, **options})


EDGES = graph(h=lambda x, y: 10 * x + 4 * y, out=lambda h, w: h + w)
ROWS = rows_of({"x": x, "y": y, "w": w, "label": 10 * x + 4 * y + w} for x, y, w, _ in product(range(2), repeat=4))


def missing_edge(**options: Any) -> Hypothesis:
    """mid is (x, y), but the claim leaves the edge from y out; w is small and left out too."""
    return claim_of(
        EDGES, {"mid": lambda x, y: (x, y), "answer": lambda mid: 10 * mid[0] + 4 * mid[1]},
        {"x": "x", "y": "y", "mid": nodes("h").reads(x="x").omits("y"), "answer": nodes("out").reads(h="mid")},
        ROWS, metric=ERROR, **options,
    )  # fmt: skip


def tiny_transformer(seed: int = 3) -> Transformer:
    return random_transformer(Random(seed))


def token_rows(count: int = 12, length: int = 5) -> Dataset:
    """Random tokens; `first` and `second` are tokens, `several` are two, `label` is any."""
    rng = Random(count)
    made: list[dict[str, Any]] = []
    for _ in range(count):
        tokens = [rng.randrange(9) for _ in range(length)]
        first, second, third = rng.sample(range(9), 3)
        columns = {"first": first, "second": second, "several": (first, third), "label": tokens[-1]}
        made.append({"tokens": tokens, "positions": {"END": -1}, "columns": columns})
    return Dataset.from_rows(made)


def token_claim(model: Transformer, data: Dataset, **options: Any) -> Hypothesis:
    """The last token's embedding is all that the answer depends on."""
    setting: dict[str, Any] = {"expect": recovers(0.5)} | options
    if isinstance(setting["metric"], Metric) or setting["metric"] == "kl":
        setting = {"predicts": "label"} | setting
    places = {"label": embed("END"), "answer": logits("END")}
    return claim(story_of(answer=lambda label: label), model=model, data=data, **setting)(places)
