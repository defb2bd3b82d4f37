"""Recovery of known circuits, by hand and by all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrub.circuit.circuit import Circuit
from scrub.circuit.ranking import PartRanking
from scrub.circuit.recovery import recovery
from scrub.errors import ClaimError

UNIVERSE = Circuit.parse("0.0, 0.1, 0.2, 0.3, 1.0, 1.1").parts
TRUTH = Circuit.parse("0.0, 0.1")


def test_the_truth_and_nothing() -> None:
    exact, nothing = recovery(TRUTH, TRUTH, UNIVERSE), recovery(Circuit(), TRUTH, UNIVERSE)
    assert (exact.auroc, exact.precision, exact.recall, exact.true, exact.named, exact.missing) == (1, 1, 1, 2, 2, ())
    assert (nothing.auroc, nothing.precision, nothing.recall, nothing.named) == (0.5, None, 0, 0)
    assert nothing.missing == TRUTH.parts


def test_a_circuit_by_hand() -> None:
    """One of two true parts and one of four others: of 8 pairs 3 are won, 1 is lost and 4 are level."""
    found = recovery(Circuit.parse("0.1, 1.1"), TRUTH, UNIVERSE)
    assert found.auroc == pytest.approx((3 + 4 / 2) / 8)
    assert (found.precision, found.recall, found.missing) == (0.5, 0.5, Circuit.parse("0.0").parts)
    assert found.to_dict()["missing"] == ["0.0"]


def test_a_ranking_by_hand() -> None:
    """0.1 beats all others; 0.0 is beaten by 1.1 and 1.0, and beats 0.2 and 0.3."""
    ranking = PartRanking.of({"0.1": 5.0, "1.1": 4.0, "1.0": -3.0, "0.0": 2.0, "0.2": 1.0, "0.3": 0.0})
    found = recovery(ranking, TRUTH, UNIVERSE)
    assert found.auroc == pytest.approx(6 / 8)
    assert (found.precision, found.recall, found.true, found.named) == (0.5, 0.5, 2, 2)
    assert recovery(ranking, TRUTH, UNIVERSE, absolute=False).auroc == pytest.approx(7 / 8)
    assert recovery(ranking, TRUTH, UNIVERSE, absolute=False).missing == Circuit.parse("0.0").parts


def test_parts_without_a_score_are_last_and_level() -> None:
    """Both ranked parts are true or not; the four that have no score lose to them and tie with each other."""
    assert recovery(PartRanking.of({"0.0": 0.0}), TRUTH, UNIVERSE).auroc == pytest.approx((4 + 4 / 2) / 8)
    assert recovery(PartRanking.of({"1.0": -7.0}), TRUTH, UNIVERSE, absolute=False).auroc == pytest.approx(6 / 2 / 8)
    level = recovery(PartRanking.of({"1.0": 1.0, "0.0": 1.0}), TRUTH, UNIVERSE)
    assert level.auroc == pytest.approx((3 + 0.5 + 3 / 2) / 8)


def test_auroc_is_that_of_all_pairs() -> None:
    rng, universe = np.random.default_rng(1), Circuit.parse([f"{i}.{j}" for i in range(6) for j in range(5)]).parts
    scores = {part: float(score) for part, score in zip(universe, rng.integers(0, 6, len(universe)), strict=True)}
    true = [part for part in universe if rng.random() < 0.3]
    others = [part for part in universe if part not in true]
    pairs = [(scores[a] > scores[b]) + (scores[a] == scores[b]) / 2 for a in true for b in others]
    found = recovery(PartRanking.of(scores), Circuit.from_parts(true), universe)
    assert found.auroc == pytest.approx(np.mean(pairs))


def test_edges_are_compared_where_the_universe_has_edges() -> None:
    universe = Circuit.parse("embed -> mlp 0, embed -> logits, mlp 0 -> logits").parts
    both = Circuit.parse("embed, mlp 0, embed -> mlp 0, mlp 0 -> logits")
    assert recovery(both, Circuit.parse("embed -> mlp 0, mlp 0 -> logits"), universe).auroc == 1
    assert recovery(both, Circuit.parse("embed, mlp 0"), Circuit.parse("embed, mlp 0, mlp 1").parts).auroc == 1


def test_undefined_without_parts_on_both_sides() -> None:
    everything, nothing = recovery(TRUTH, TRUTH, TRUTH.parts), recovery(TRUTH, Circuit(), UNIVERSE)
    assert (everything.auroc, everything.precision, everything.recall) == (None, 1, 1)
    assert (nothing.auroc, nothing.precision, nothing.recall) == (None, 0, None)


@pytest.mark.parametrize(
    ("found", "reference", "universe", "words"),
    [
        (TRUTH, Circuit.parse("0.0, 7.3, mlp 9"), UNIVERSE, ["the reference", "7.3, mlp 9"]),
        (Circuit.parse("0.0, 7.3"), TRUTH, UNIVERSE, ["the hypothesis", "7.3"]),
        (PartRanking.of({"0.0": 1.0, "7.3": 0.0}), TRUTH, UNIVERSE, ["the hypothesis", "7.3"]),
        (TRUTH, TRUTH, Circuit.parse("0.0 @ END, 0.1 @ END").parts, ["the reference", "0.0, 0.1"]),
        (TRUTH, TRUTH, (), ["a universe"]),
        (TRUTH, TRUTH, (*UNIVERSE, *Circuit.parse("0.0 -> logits").parts), ["a universe"]),
        (TRUTH, TRUTH, Circuit.parse("0.0 -> logits").parts, ["names no edges"]),
    ],
)
def test_parts_outside_the_universe(found: Any, reference: Circuit, universe: Any, words: list[str]) -> None:
    with pytest.raises(ClaimError) as error:
        recovery(found, reference, universe)
    assert all(word in str(error.value) for word in words), error.value
