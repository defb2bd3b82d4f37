"""The gallery: claims about the zoo are supported and their foils refuted; ioi is checked and planned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import scrub
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis

GALLERY = Path(__file__).parents[1] / "hypotheses"
GALLERY_PAGE = (GALLERY.parent / "docs" / "gallery.md").read_text()
DATA = Path(os.environ.get("SCRUB_TEST_DATA", GALLERY.parents[1] / "shared" / "data"))
TOKENIZER = DATA / "gpt2-tokenizer"
ZOO = [h for file in sorted(GALLERY.glob("*.py")) if file.stem != "ioi" for h in collect([file]).hypotheses]


@pytest.mark.parametrize("hypothesis", ZOO, ids=lambda h: f"{Path(str(h.file)).stem}::{h.name}")
def test_claims_are_supported_and_foils_refuted(hypothesis: Hypothesis) -> None:
    result = scrub.test(hypothesis, draws=5, explain=False)
    assert result.passed, str(result)
    assert result.verdict == ("refuted" if hypothesis.foil_reason else "supported")
    assert f"\n{str(result).splitlines()[0]}\n" in GALLERY_PAGE


def test_every_file_brings_a_claim_and_a_foil() -> None:
    for file in sorted(GALLERY.glob("*.py")):
        found = collect([file]).hypotheses
        assert {bool(h.foil_reason) for h in found} == {True, False}, file


def test_the_illusion_is_refuted_by_the_tied_control_and_by_nothing_else() -> None:
    (illusion,) = collect([f"{GALLERY / 'dormant.py'}::illusion"]).hypotheses
    without = scrub.test(illusion, draws=5, controls="none", parts="none")
    assert without.verdict == "supported"
    result = scrub.test(illusion, draws=5, parts="none")
    assert result.verdict == "refuted"
    assert result.reason.startswith("holds only while the rest of mlp 0 stays on another row")
    below = {c.name for c in result.controls if c.high is not None and c.high < result.bar}
    assert "tied mlp 0[illusion] @ END" in below


needs_tokenizer = pytest.mark.skipif(not TOKENIZER.is_dir(), reason=f"no GPT-2 tokenizer at {TOKENIZER}")


@needs_tokenizer
def test_ioi_is_checked_and_planned_without_weights() -> None:
    (ioi,) = collect([f"{GALLERY / 'ioi.py'}::ioi"]).hypotheses
    checked = scrub.check(ioi, str(TOKENIZER))
    assert not checked.problems, str(checked)
    assert checked.accuracy == 1.0
    plan = scrub.plan(ioi, str(TOKENIZER), draws=2)
    assert plan.occurrences == 34
    assert plan.forwards is not None
    # far fewer than a forward pass for each of the 34 occurrences
    assert 0 < plan.forwards < 2 * plan.rows


@needs_tokenizer
def test_ioi_variants_leave_classes_out() -> None:
    (small,) = collect([f"{GALLERY / 'ioi.py'}::ioi[backups=False, negatives=False]"]).hypotheses
    checked = scrub.check(small, str(TOKENIZER))
    assert checked.claim is not None
    assert len(checked.claim.placement.placed["name"].sites) == 1


@needs_tokenizer
def test_ioi_is_judged_by_the_papers_protocol_on_a_random_model_of_its_shape(tmp_path: Path) -> None:
    import shutil

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_embd=24, n_positions=64)).save_pretrained(tmp_path)
    for file in TOKENIZER.glob("*token*"):
        shutil.copy(file, tmp_path)
    (ioi,) = collect([f"{GALLERY / 'ioi.py'}::ioi"]).hypotheses
    result = scrub.criteria(ioi, str(tmp_path), rows=8, random=2, budget=2)
    assert len(result.parts) == 26
    assert "9.9" in result.parts
    assert result.options == {
        "scored": "is_ioi", "reference": "is_abc", "group": "template", "through": ["mlps", "embed", "pos"],
        "random": 2, "budget": 2,
    }  # fmt: skip
    assert "3.56" in result.published
    assert "not reproduced here" in str(result)
