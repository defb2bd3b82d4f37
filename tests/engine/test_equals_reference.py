"""The engine equals the slow recursion draw by draw, on random claims over random small models."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from reference import baseline, scrubbed
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Draws
from scrub.engine.on_graph import GraphEvaluator, GraphRows
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.model.layers import unembed
from scrub.model.weights import Transformer
from scrub.score.sample import ClaimBench, compile_claim
from strategies import random_graph_claim, random_transformer_claim

GRAPH_CASES, TRANSFORMER_CASES = 150, 150


def _calls(claim: Claim, rng: random.Random) -> Calls:
    rows = np.flatnonzero(claim.scored)
    chosen = np.array(rng.sample(rows.tolist(), min(5, len(rows))))
    return Calls(np.repeat(chosen, 2), np.tile(np.array([0, 3]), len(chosen)))


@pytest.mark.parametrize("case", range(GRAPH_CASES))
def test_graph(case: int) -> None:
    rng = random.Random(f"graph {case}")
    hypothesis, graph, data = random_graph_claim(rng)
    model = graph
    checked = check_claim(hypothesis, Subject(model), data)
    claim = checked.claim
    assert claim is not None, str(checked)
    tree, program = compile_claim(claim)
    rows = GraphRows(claim, model)
    calls = _calls(claim, rng)
    draws = Draws(claim, seed=case)
    bench = ClaimBench(claim, tree, program, rows, None)
    got = GraphEvaluator(rows, program).answers(bench.numbering.number(draws.tree(tree, calls)))
    empty = rows.whole(draws.baseline(tree, calls))
    for i, (row, draw) in enumerate(zip(calls.reference.tolist(), calls.draw.tolist(), strict=True)):
        assert got[i] == pytest.approx(scrubbed(claim, model, case, row, draw), rel=1e-10, abs=1e-10)
        assert empty[i] == pytest.approx(baseline(claim, model, case, row, draw), rel=1e-10, abs=1e-10)


# the others, from a longer run: an MLP without parents on a mean row computes, and is not the mean MLP output
# (1084, 1532); mean and zero rows are passed through once (21 is another)
@pytest.mark.parametrize("case", [*range(TRANSFORMER_CASES), 163, 190, 901, 1071, 1084, 1210, 1491, 1532])
def test_transformer(case: int) -> None:
    rng = random.Random(f"transformer {case}")
    agrees_with_reference(rng, *random_transformer_claim(rng), case)


def agrees_with_reference(
    rng: random.Random, hypothesis: Hypothesis, model: Transformer, data: Dataset, case: int
) -> None:
    graph = TransformerGraph(model.name, model.shape)
    checked = check_claim(hypothesis, Subject(graph), data)
    claim = checked.claim
    assert claim is not None, str(checked)
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, model, [program])
    calls = _calls(claim, rng)
    draws = Draws(claim, seed=case)
    bench = ClaimBench(claim, tree, program, rows, None)
    final = TransformerEvaluator(rows, program).answers(bench.numbering.number(draws.tree(tree, calls)))
    got, empty = unembed(model, final), unembed(model, rows.whole(draws.baseline(tree, calls)))
    for i, (row, draw) in enumerate(zip(calls.reference.tolist(), calls.draw.tolist(), strict=True)):
        torch.testing.assert_close(got[i], scrubbed(claim, model, case, row, draw), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(empty[i], baseline(claim, model, case, row, draw), rtol=1e-10, atol=1e-10)
