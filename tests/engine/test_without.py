"""A claim without some of its parts equals the slow recursion over it, draw by draw, whatever is computed with it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from attrs import evolve

from reference import scrubbed
from scrub.claims.parts import COMPONENT, EDGE, VALUE, parts_of
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Draws
from scrub.engine.number import Numbering
from scrub.engine.on_graph import GraphEvaluator, GraphRows
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import unroll
from scrub.engine.without import bare, without
from scrub.model.layers import unembed
from strategies import checked, random_graph_claim, random_transformer_claim, some_sets

CASES = 30


def _calls(claim: Claim) -> Calls:
    rows = np.flatnonzero(claim.scored)[:2]
    return Calls(np.repeat(rows, 2), np.tile(np.array([0, 3]), len(rows)))


@pytest.mark.parametrize("case", range(CASES))
def test_graph(case: int) -> None:
    rng = random.Random(f"without, graph {case}")
    hypothesis, model, data = random_graph_claim(rng)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    sets, calls = some_sets(claim, rng), _calls(claim)
    roots = [without(unroll(claim), dropped) for dropped in sets]
    program = compile_tree(claim, *roots)
    drawn = Draws(claim, case).trees(roots, calls)
    got = GraphEvaluator(GraphRows(claim, model), program).answers(Numbering(claim, program).number(drawn))
    wanted = [
        scrubbed(claim, model, case, row, draw, dropped=dropped)
        for dropped in sets
        for row, draw in zip(calls.reference.tolist(), calls.draw.tolist(), strict=True)
    ]
    assert got == pytest.approx(wanted, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("case", range(CASES))
def test_transformer(case: int) -> None:
    """The pool is run for the claim as it is, and for its sites alone: that is enough for every changed claim."""
    rng = random.Random(f"without, transformer {case}")
    hypothesis, model, data = random_transformer_claim(rng)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    tree, sets, calls = unroll(claim), some_sets(claim, rng), _calls(claim)
    roots = [without(tree, dropped) for dropped in sets]
    program = compile_tree(claim, *roots)
    rows = TransformerRows.run(claim, model, [compile_tree(claim, tree), compile_tree(claim, *bare(tree))])
    numbered = Numbering(claim, program).number(Draws(claim, case).trees(roots, calls))
    got = unembed(model, TransformerEvaluator(rows, program).answers(numbered))
    wanted = [
        scrubbed(claim, model, case, row, draw, dropped=dropped)
        for dropped in sets
        for row, draw in zip(calls.reference.tolist(), calls.draw.tolist(), strict=True)
    ]
    torch.testing.assert_close(got, torch.stack(wanted), rtol=1e-10, atol=1e-10)


def test_what_no_part_touches_is_computed_once() -> None:
    """The steps of a claim serve every changed claim: an edge into the answer adds its stream and the answer."""
    hypothesis, model, data = random_graph_claim(random.Random("shared"))
    claim = checked(hypothesis, model, data)
    assert claim is not None
    tree = unroll(claim)
    (edge, *_) = (part for part in parts_of(claim) if part.kind == EDGE and part.variable == claim.placement.output)
    alone, both = compile_tree(claim, tree), compile_tree(claim, tree, without(tree, frozenset([edge])))
    assert both.steps[: len(alone.steps)] == alone.steps
    assert len(both.steps) - len(alone.steps) <= 2


def test_every_kind_of_part_is_met() -> None:
    """And none of the answer: its component and its value are what is asked for."""
    kinds: set[str] = set()
    for case in range(CASES):
        hypothesis, model, data = random_graph_claim(random.Random(f"without, graph {case}"))
        claim = checked(hypothesis, model, data)
        assert claim is not None
        parts = parts_of(claim)
        kinds |= {part.kind for part in parts}
        assert all(part.kind == EDGE for part in parts if part.variable == claim.placement.output)
    assert kinds == {COMPONENT, EDGE, VALUE}


def test_surviving_occurrences_draw_what_they_draw_in_the_claim() -> None:
    hypothesis, model, data = random_transformer_claim(random.Random("survivors"))
    claim = checked(hypothesis, model, data)
    assert claim is not None
    tree, calls = unroll(claim), _calls(claim)
    for part in parts_of(claim):
        if part.kind != VALUE:
            changed = without(tree, frozenset([part]))
            drawn, before = Draws(claim, 0).tree(changed, calls), Draws(claim, 0).tree(tree, calls)
            for node in changed.walk():
                assert np.array_equal(drawn[node.path].own, before[node.rest].own)
                assert np.array_equal(drawn[node.path].rest, before[node.rest].rest) or node.placed.site.is_linked


def test_a_changed_tree_shares_no_path_with_another_unless_it_is_the_same_there() -> None:
    hypothesis, model, data = random_graph_claim(random.Random("paths"))
    claim = checked(hypothesis, model, data)
    assert claim is not None
    tree = unroll(claim)
    assert without(tree, frozenset()) is tree
    roots = [without(tree, frozenset([part])) for part in parts_of(claim)]
    assert len({root.path for root in roots}) == len(roots)
    assert all(evolve(root, path=tree.path).rest == tree.rest for root in roots)
