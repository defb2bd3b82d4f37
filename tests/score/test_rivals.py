"""Rivals that are one program have the numbers of each by itself, and compute once what they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import resolved, story_of, tiny_transformer, token_rows, transformer_bench
from scrub import Hypothesis, embed, heads, logits, recovers
from scrub.engine.number import Numbered
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.model.memory import Memory
from scrub.score import rivals
from scrub.score.rivals import are_alike, joint_bench

MODEL, ROWS = tiny_transformer(), token_rows(8)


def moved_by(*movers: str, bins: int = 9, **options: Any) -> Hypothesis:
    """A head of layer 0 reads the last token, heads of the last layer read that head; `bins` make classes larger."""
    story = story_of(seen=lambda label: label % bins, moved=lambda seen: seen, answer=lambda moved: moved)
    places = {
        "label": embed("END"),
        "seen": heads("0.0", at="END").reads(q="label", v="label"),
        "moved": heads(" ".join(movers), at="END").reads(q="seen", v="seen"),
        "answer": logits("END"),
    }
    setting: dict[str, Any] = {"metric": "loss(label)", "through": "mlps", "expect": recovers(0.5)} | options
    return scrub.claim(story, model=MODEL, data=ROWS, **setting)(lambda: places)


RIVALS = moved_by("2.0", "2.1"), moved_by("2.0"), moved_by("2.0", bins=2), moved_by("2.0", "2.1", rest="keep")


def compared() -> list[float]:
    found = scrub.compare(*RIVALS, draws=3, controls="none")
    return [number for claim in found.hypotheses for number in (claim.scrubbed, claim.random)]


def test_rivals_in_one_program_have_their_own_numbers_and_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    work, pools = list[int](), list[int]()
    own_answers, own_run = TransformerEvaluator.answers, TransformerRows.run_each.__func__

    def answers(self: TransformerEvaluator, numbered: Numbered) -> Any:
        work.append(numbered.evaluated)
        return own_answers(self, numbered)

    def run_each(cls: Any, *given: Any) -> Any:
        pools.append(1)
        return own_run(cls, *given)

    monkeypatch.setattr(TransformerEvaluator, "answers", answers)
    monkeypatch.setattr(TransformerRows, "run_each", classmethod(run_each))
    together, shared, once = compared(), sum(work), len(pools)
    work.clear(), pools.clear()
    monkeypatch.setattr(rivals, "are_alike", lambda claims: False)
    np.testing.assert_allclose(together, compared(), atol=1e-6)
    assert (once, len(pools)) == (1, len(RIVALS))
    assert shared < 0.8 * sum(work)


@pytest.mark.parametrize(
    "other",
    [{"through": None}, {"through": "mlps 1"}, {"through": "all"}, {"rest": "mean"}, {"rest_scope": "input"}],
    ids=str,
)
def test_claims_whose_frames_are_made_in_another_way_are_not_alike(other: dict[str, Any]) -> None:
    assert are_alike([resolved(claim) for claim in RIVALS])
    assert not are_alike([resolved(moved_by("2.0")), resolved(moved_by("2.0", **other))])


def test_rivals_that_the_memory_does_not_hold_together_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    benches = [transformer_bench(evolve(claim, model=evolve(MODEL, memory=Memory(4000)))) for claim in RIVALS]
    assert joint_bench(benches[:1]) is not None
    assert joint_bench(benches) is None
    whole = compared()
    monkeypatch.setattr(rivals, "joint_bench", lambda _: None)
    assert compared() == pytest.approx(whole, abs=1e-6)
