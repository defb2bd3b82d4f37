"""A claim that is given what it lacks equals the slow recursion in which that is placed, draw by draw."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from reference import scrubbed
from scrub.anatomy.positions import ALL, OTHER
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Draws
from scrub.engine.exact import Exact
from scrub.engine.given import Gift, left_out_of, with_gifts, with_own_rest
from scrub.engine.number import Numbering
from scrub.engine.on_graph import GraphEvaluator, GraphRows
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import Occurrence, unroll
from scrub.model.layers import unembed
from strategies import checked, random_graph_claim, random_transformer_claim

CASES = 10


def _gifts(claim: Claim, rng: random.Random) -> list[list[Gift]]:
    """A few gifts alone, some without a named position among them, and two together."""
    every = [g for node in unroll(claim).walk() if not node.leaf for g in left_out_of(claim, node)]
    others = [gift for gift in every if gift.at in (OTHER, ALL)]
    alone = [*rng.sample(every, min(4, len(every))), *rng.sample(others, min(2, len(others)))]
    return [[gift] for gift in dict.fromkeys(alone)]


def _rests(claim: Claim, rng: random.Random) -> list[str]:
    paths = [node.path for node in unroll(claim).walk() if not node.leaf]
    return rng.sample(paths, min(2, len(paths)))


def _calls(claim: Claim) -> Calls:
    rows = np.flatnonzero(claim.scored)[:2]
    return Calls(np.repeat(rows, 2), np.tile(np.array([0, 3]), len(rows)))


def _roots(claim: Claim, rng: random.Random) -> tuple[list[list[Gift]], list[str], list[Occurrence]]:
    tree, gifts, rests = unroll(claim), _gifts(claim, rng), _rests(claim, rng)
    return gifts, rests, [*(with_gifts(tree, g) for g in gifts), *(with_own_rest(tree, path) for path in rests)]


@pytest.mark.parametrize("case", range(CASES))
def test_graph(case: int) -> None:
    rng = random.Random(f"given, graph {case}")
    hypothesis, model, data = random_graph_claim(rng)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    (gifts, rests, roots), calls = _roots(claim, rng), _calls(claim)
    program = compile_tree(claim, *roots)
    evaluator = GraphEvaluator(GraphRows(claim, model), program)
    got = evaluator.answers(Numbering(claim, program).number(Draws(claim, case).trees(roots, calls)))
    pairs = list(zip(calls.reference.tolist(), calls.draw.tolist(), strict=True))
    wanted = [scrubbed(claim, model, case, *pair, gifts=tuple(g)) for g in gifts for pair in pairs]
    wanted += [scrubbed(claim, model, case, *pair, own_rests=(path,)) for path in rests for pair in pairs]
    assert got == pytest.approx(wanted, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("case", range(CASES))
def test_transformer(case: int) -> None:
    rng = random.Random(f"given, transformer {case}")
    hypothesis, model, data = random_transformer_claim(rng)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    (gifts, rests, roots), calls = _roots(claim, rng), _calls(claim)
    program = compile_tree(claim, *roots)
    rows = TransformerRows.run(claim, model, [program])
    numbered = Numbering(claim, program).number(Draws(claim, case).trees(roots, calls))
    got = unembed(model, TransformerEvaluator(rows, program).answers(numbered))
    pairs = list(zip(calls.reference.tolist(), calls.draw.tolist(), strict=True))
    wanted = [scrubbed(claim, model, case, *pair, gifts=tuple(g)) for g in gifts for pair in pairs]
    wanted += [scrubbed(claim, model, case, *pair, own_rests=(path,)) for path in rests for pair in pairs]
    torch.testing.assert_close(got, torch.stack(wanted), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", range(4))
def test_exact_is_the_mean_of_draws(case: int) -> None:
    rng = random.Random(f"given, exact {case}")
    hypothesis, model, data = random_graph_claim(rng)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    _, _, roots = _roots(claim, rng)
    program, row = compile_tree(claim, *roots), int(np.flatnonzero(claim.scored)[0])
    evaluator, many = GraphEvaluator(GraphRows(claim, model), program), 4000
    exact, draws = Exact(evaluator, Draws(claim, case)), Draws(claim, case)
    calls = Calls(np.full(many, row), np.arange(many))
    drawn = evaluator.answers(Numbering(claim, program).number(draws.trees(roots, calls)))
    sampled = np.array(drawn, dtype=float).reshape(len(roots), many)
    found = [exact.answer(row, root).mean(lambda values: np.array(values, dtype=float)) for root in roots]
    spread = sampled.std(1) / many**0.5
    assert np.all(np.abs(sampled.mean(1) - found) <= 5 * spread + 1e-9)


def test_every_kind_of_place_is_met() -> None:
    """Named positions, all others, and a sender that is passed through besides."""
    met: set[str] = set()
    for case in range(CASES):
        rng = random.Random(f"given, transformer {case}")
        hypothesis, model, data = random_transformer_claim(rng)
        claim = checked(hypothesis, model, data)
        assert claim is not None
        gifts = [gift for one in _gifts(claim, rng) for gift in one]
        met |= {str(gift.at) if gift.at in (OTHER, ALL) else "named" for gift in gifts}
        met |= {"passed" for gift in gifts if claim.graph.atoms(gift.sender) & claim.passed}
    assert met == {"named", "all", "other positions", "passed"}
