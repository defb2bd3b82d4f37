"""The criteria where leaves of a claim read something that it does not name: `upstream`."""

from __future__ import annotations

import re
from typing import Any

import pytest
from attrs import evolve

import scrub
from circuit.criteria_cases import FEW, ROWS, bench_of, claimed
from scrub import Circuit, Hypothesis, heads, inside
from scrub.circuit.claimed import leaves_of
from scrub.errors import ClaimError
from scrub.model.resolve import sound


def leafy() -> Hypothesis:
    """The compiled induction, with the head that looks one token back as a leaf: nothing names what it reads."""
    return claimed("induction").but(first=inside, before=heads("0.0", at="B1"))


@pytest.mark.parametrize("level", ["components", "edges"])
def test_a_leaf_that_reads_is_ablated_with_what_feeds_it_unless_that_is_kept(level: str) -> None:
    given: dict[str, Any] = {"rows": ROWS, "random": FEW, "budget": 1, "tests": False}
    given |= {"level": level, "ablation": "zero"}
    lost, kept = scrub.criteria(leafy(), **given), scrub.criteria(leafy(), upstream="keep", **given)
    named = scrub.criteria(claimed("induction"), **given)
    assert lost.faithfulness.circuit > named.faithfulness.circuit + 1
    assert kept.faithfulness.circuit == pytest.approx(named.faithfulness.circuit, abs=1e-4)
    assert kept.faithfulness.ablated == lost.faithfulness.ablated
    assert "the leaves 0.0 @ B1 is ablated too" in lost.cautions[0]
    assert "upstream='keep'" in lost.cautions[0]
    assert "caution: what feeds the leaves 0.0 @ B1 is kept" in str(kept)
    assert kept.options["upstream"] == "keep"
    assert named.cautions == ()


def test_a_leaf_that_is_knocked_out_is_not_kept() -> None:
    run: dict[str, Any] = {"rows": ROWS, "hypothesis": leafy(), "ablation": "zero"}
    without = Circuit.of(leafy()).at_level("components") - Circuit.parse("0.0 @ B1")
    kept, lost = (scrub.run_circuit(without, upstream=word, **run).value.value for word in ("keep", "ablate"))
    assert kept == lost
    assert lost is not None
    assert lost > 1


def test_random_parts_no_later_than_the_leaves_have_the_same() -> None:
    circuit = Circuit.of(leafy()).at_level("components")
    held = leaves_of(sound(leafy())[0], circuit)
    bench = evolve(bench_of("induction", circuit), held=held)
    assert set(map(str, held)) == {"0.0 @ B1"}
    beside = set(map(str, bench.beside(circuit).held))
    assert beside == {"0.0 @ B1", "0.1 @ B1", "0.1 @ END"}
    assert bench_of("induction", circuit).beside(circuit).held == frozenset()


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (lambda: scrub.criteria(leafy(), upstream="keep", direction="denoising"), "under denoising"),
        (lambda: scrub.criteria(leafy(), upstream="kept"), "upstream='kept' is unknown"),
        (lambda: scrub.sweep("heads", "-> logits", leafy(), upstream="keep"), "nothing that feeds a path is ablated"),
        (
            lambda: scrub.run_circuit(
                "1.0", model="zoo:induction", data=leafy().data, metric="loss(b)", upstream="keep"
            ),
            "about the leaves of a claim",
        ),
    ],
)
def test_where_nothing_upstream_can_be_kept_it_is_said(refused: Any, told: str) -> None:
    with pytest.raises(ClaimError, match=re.escape(told)):
        refused()
