"""What is said of the tokens of rows is said by verbs of circuits as by a test."""

from __future__ import annotations

from typing import Any

import scrub
from scrub.claims.collect import collect
from scrub.zoo import induction_rows
from verbs.test_memory import GALLERY


def test_tokens_that_have_no_word_are_told_by_sweep_patch_and_criteria() -> None:
    data = scrub.Dataset.from_rows(induction_rows(24, seed=1), vocab=["<s>", "one", "two"])
    asked: dict[str, Any] = {"model": "zoo:induction", "data": data, "metric": "loss(b)"}
    told = "vocab= has 3 words and none for tokens 3, "
    assert f"warning: {told}" in str(scrub.sweep("1.0", **asked))
    assert f"warning: {told}" in str(scrub.patch_paths("1.0 -> logits", **asked))
    claim = collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses[0].but(data=data)
    found = scrub.criteria(claim, random=0, budget=1, tests=False)
    assert any(caution.startswith(told) for caution in found.cautions)
