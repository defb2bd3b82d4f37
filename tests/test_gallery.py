"""The gallery: claims about the zoo are supported and their foils refuted; published ones are checked and planned."""

from __future__ import annotations

from pathlib import Path

import pytest

import scrub
from published_cases import GALLERY, MODELS, TOKENIZER, needs_tokenizer, outline
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.report.figure import claim_svg

DOCS = GALLERY.parent / "docs"
GALLERY_PAGE = (DOCS / "gallery.md").read_text()
ZOO = [h for file in sorted(GALLERY.glob("*.py")) if file.stem not in MODELS for h in collect([file]).hypotheses]


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
        assert f"\n## {file.stem}\n" in GALLERY_PAGE


@needs_tokenizer
@pytest.mark.parametrize("name", MODELS)
def test_published_circuits_are_checked_planned_and_drawn_without_weights(name: str, tmp_path: Path) -> None:
    """Claim and foils; the paper's numbers stand in the file, and on the page beside `not run here`."""
    file, model = GALLERY / f"{name}.py", str(outline(name, tmp_path))
    claim, *foils = collect([file]).hypotheses
    assert claim.name == name
    checks = {hypothesis.name: scrub.check(hypothesis, model) for hypothesis in (claim, *foils)}
    assert not any(checked.problems for checked in checks.values())
    assert {found for found, checked in checks.items() if checked.accuracy != 1} <= {"nearest"}  # a false story
    plan = scrub.plan(claim, model, rows=20, draws=2)
    assert plan.forwards is not None
    # far fewer than a forward pass for each occurrence
    assert 0 < plan.forwards < 2 * plan.rows
    assert (resolved := checks[name].claim)
    assert claim_svg(resolved) == (DOCS / "pictures" / f"{name}.svg").read_text()
    assert claim.criteria.published
    assert "not run here" in GALLERY_PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0].lower()


def test_the_illusion_is_refuted_by_the_tied_control_and_by_nothing_else() -> None:
    (illusion,) = collect([f"{GALLERY / 'dormant.py'}::illusion"]).hypotheses
    without = scrub.test(illusion, draws=5, controls="none", parts="none")
    assert without.verdict == "supported"
    result = scrub.test(illusion, draws=5, parts="none")
    assert result.verdict == "refuted"
    assert result.reason.startswith("holds only while the rest of mlp 0 stays on another row")
    below = {c.name for c in result.controls if c.high is not None and c.high < result.bar}
    assert "tied mlp 0[illusion] @ END" in below


@needs_tokenizer
def test_ioi_unrolls_to_what_its_figure_has() -> None:
    (ioi,) = collect([f"{GALLERY / 'ioi.py'}::ioi"]).hypotheses
    assert scrub.plan(ioi, str(TOKENIZER), draws=2).occurrences == 34


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
