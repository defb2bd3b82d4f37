"""The control of untrained models: what holds of the architecture says nothing of what was learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

import scrub
from score.cases import sum_claim, tiny_transformer, token_claim, token_rows
from scrub import Hypothesis
from scrub.claims.collect import collect
from scrub.model.untrained import untrained
from scrub.model.weights import Transformer
from scrub.score.control import Control

GALLERY = Path(__file__).parents[2] / "hypotheses"


def control_of(hypothesis: Hypothesis, **options: object) -> Control:
    found = scrub.test(hypothesis, explain=False, controls="all", **options).controls[-1]
    assert found.name == "untrained model"
    return found


def test_a_circuit_that_was_learnt_is_not_there_without_training() -> None:
    (brackets,) = collect([f"{GALLERY / 'brackets.py'}::brackets"]).hypotheses
    result = scrub.test(brackets, rows=60, draws=4, explain=False, controls="all")
    last = result.controls[-1]
    assert result.unexplained.explained > 0.9
    assert last.explained < 0.5
    assert last.value is None
    assert last.to_dict()["note"] == "they do no better than a random row"
    assert last.to_dict()["explained"] == last.explained
    line = next(line for line in str(result).splitlines() if line.startswith("    untrained"))
    assert "recovers undefined (they do no better than a random row), explained" in line


def test_a_claim_that_says_nothing_holds_of_any_weights() -> None:
    """Everything is kept, and kl asks each model for its own answer: the test is vacuous, as the control shows."""
    vacuous = token_claim(tiny_transformer(), token_rows(30), metric="kl", rest="keep")
    found = control_of(vacuous, draws=2)
    assert (found.value, found.explained) == (pytest.approx(1), pytest.approx(1))
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))
    assert found.note == "3 models with random weights"
    honest = control_of(token_claim(tiny_transformer(), token_rows(30), metric="kl"), draws=2)
    assert honest.value < 0.9


def test_seeds_draw_other_models() -> None:
    claim = token_claim(tiny_transformer(), token_rows(30), metric="kl")
    first, same, other = (control_of(claim, draws=2, seed=seed) for seed in (0, 0, 1))
    assert first == same
    assert first.value != other.value


def test_no_two_seeds_share_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noted(model: Transformer, seed: int) -> Transformer:
        asked.append(seed)
        return untrained(model, seed)

    monkeypatch.setattr("scrub.score.untrained.untrained", noted)
    for seed in (0, 1):
        control_of(token_claim(tiny_transformer(), token_rows(30), metric="kl"), draws=2, seed=seed)
    assert asked == [0, 1, 2, 3, 4, 5]


def test_a_graph_has_no_weights() -> None:
    found = control_of(sum_claim(), draws=2)
    assert (found.value, found.explained, found.note) == (None, None, "a computation graph has no weights.")
