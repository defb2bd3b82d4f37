"""Controls of claims with parts, on a compiled model whose pathways are known."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from reference import scrubbed
from score.part_claims import APART, DORMANT, READ, D, axis, claim_of, dormant, part, two, units
from scrub import Dictionary, Hypothesis, directions, latents
from scrub.anatomy.names import Component
from scrub.claims.holds import Where
from scrub.claims.resolved import Claim
from scrub.engine import cache
from scrub.engine.draw import Calls, Draws
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.plan import compile_tree
from scrub.engine.unroll import unroll
from scrub.model.layers import unembed
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.score.dictionaries import with_dictionaries
from scrub.score.judge import conclude
from scrub.score.part_controls import part_controls
from scrub.score.random_parts import DrawnParts
from scrub.score.replaced import replaced, retold, sites_with_parts, tied, wholes
from scrub.score.trial import Trial
from scrub.verbs.report import write_page
from scrub.verbs.setup import OpenedModel, references, sampled
from strategies import checked, random_transformer_claim

TRUE, ILLUSION = directions(axis(READ), name="true"), directions(axis(APART, DORMANT), name="illusion")


def judged(hypothesis: Hypothesis, **options: Any) -> Any:
    return scrub.test(hypothesis, draws=8, explain=False, parts="none", dtype="float64", **options)


def controls_of(result: Any) -> dict[str, Any]:
    return {control.name: control for control in result.controls}


def test_an_illusory_direction_is_refuted_by_the_tied_control_and_by_nothing_else() -> None:
    illusion = claim_of(part(ILLUSION, layer=0))
    assert judged(illusion, controls="none").verdict == "supported"
    assert judged(illusion, controls="none").recovered.value == pytest.approx(1)
    strict = claim_of(part(ILLUSION, layer=0), expect=scrub.recovers(0.8, any_swaps=True, interchange=0.9))
    assert judged(strict, controls="none").verdict == "supported"
    result = judged(illusion)
    found = controls_of(result)
    assert result.verdict == "refuted"
    assert "holds only while the rest of mlp 0 stays on another row" in result.reason
    assert found["tied mlp 0[illusion] @ END"].high < 0.5
    assert max(found["shuffled values"].high, found["random parts"].high) < 0.5  # these say nothing against it
    assert found["whole hosts"].high < 0.5
    assert any("more than their whole hosts" in text for text in result.warnings)


def test_the_true_direction_is_supported() -> None:
    result = judged(claim_of(part(TRUE)))
    found = controls_of(result)
    assert result.verdict == "supported"
    assert found["tied mlp 1[true] @ END"].low == pytest.approx(1)
    assert found["whole hosts"].low == pytest.approx(1)
    assert 0 < found["random parts"].value < 0.8
    assert not any("whole hosts" in text for text in result.warnings)


def test_a_subspace_of_what_is_spread_over_all_dimensions_is_no_better_than_others() -> None:
    """The answer is the sum of three dimensions alike, of which any two hold two thirds of it."""
    some = directions(np.stack([axis(READ), axis(READ + 1)]), name="some")
    asked = claim_of(part(some), (0, 1, 2), expect=scrub.recovers(0.3))
    assert judged(asked, controls="none").verdict == "supported"
    result = judged(asked)
    assert result.verdict == "inconclusive"
    assert "any part of this size does as well" in result.reason


def drawn_of(claim: Claim) -> DrawnParts:
    return DrawnParts.of(TransformerRows.run(claim, dormant(), [compile_tree(claim, unroll(claim))]))


def test_random_directions_lie_where_the_host_writes_and_other_neurons_are_drawn() -> None:
    claim = sound(claim_of(part(TRUE)))[0]
    drawn = drawn_of(claim)
    ((component,),) = drawn.choice(0, 0).values()
    assert component.part is not None
    basis = component.part.arrays["basis"]
    assert basis.shape == (1, D)
    assert np.delete(basis, range(READ, READ + 3), axis=1) == pytest.approx(0, abs=1e-9)
    assert drawn.choice(0, 0) == drawn.choice(0, 0) != drawn.choice(0, 1)
    claim = sound(claim_of(units("1.0 1.1")))[0]
    (others,) = drawn_of(claim).choice(0, 0).values()
    assert len(others) == 2
    assert not {c.unit for c in others} & {0, 1}


def test_what_a_host_writes_within_the_part_leaves_nothing_to_draw() -> None:
    every = directions(np.stack([axis(READ + bit) for bit in range(3)]), name="all")
    result = judged(claim_of(part(every)))
    assert "could not be run" in controls_of(result)["random parts"].note
    assert result.verdict == "supported"


def _tied(hypothesis: Hypothesis, name: str) -> tuple[Component, ...]:
    where: Where = (name, 0)
    return tied(sound(hypothesis)[0], where)[where]


def test_parts_that_other_sites_hold_keep_theirs() -> None:
    other = directions(axis(READ + 1), name="other")
    (rest,) = _tied(two(part(TRUE), part(other)), "first")
    assert rest.part is not None
    assert rest.part.arrays["basis"] @ axis(READ + 1) == pytest.approx(0, abs=1e-12)
    assert rest.part.size == D - 1
    assert [c.unit for c in _tied(two(units("1.0 1.1"), units("1.2 1.3")), "first")] == [0, 1, 4, 5]


def test_the_rest_of_latents_is_that_of_the_directions_that_they_are() -> None:
    """Latents that are always active are directions."""
    axes = np.stack([axis(READ), axis(READ + 1)])
    dictionary = Dictionary(encoder=axes.T, decoder=axes, bias=np.full(2, 100.0))
    by_latents = two(part(latents(dictionary, "0")), part(latents(dictionary, "1")))
    by_directions = two(part(TRUE), part(directions(axes[1], name="other")))
    found, wanted = (
        [c for c in judged(h).controls if c.name.startswith("tied")] for h in (by_latents, by_directions)
    )
    assert [c.value for c in found] == pytest.approx([c.value for c in wanted], abs=1e-9)
    (rest,) = _tied(by_latents, "first")
    assert str(rest) == "mlp 1[all but 1]"


def _changes(claim: Claim) -> list[dict[Where, tuple[Component, ...]]]:
    return [wholes(claim), *(tied(claim, where) for where in sites_with_parts(claim))]


@pytest.mark.parametrize("case", range(8))
def test_a_claim_with_other_components_keeps_its_draws_and_means_what_it_says(case: int) -> None:
    """Random claims with parts: tied and whole they equal the slow recursion, and share all donors of the claim."""
    rng = random.Random(f"controls of parts {case}")
    hypothesis, model, data = random_transformer_claim(rng, parts=True)
    claim = checked(hypothesis, model, data)
    assert claim is not None
    first, tree = np.flatnonzero(claim.scored)[:2], unroll(claim)
    calls = Calls(first, np.arange(len(first)))
    own = Draws(claim, case).tree(tree, calls)
    for change in _changes(claim):
        other = replaced(claim, change)
        told = Draws(other, case).tree(retold(tree, claim, other), calls)
        assert told.keys() == own.keys()
        assert all((told[path].own == own[path].own).all() for path in own)
        program = compile_tree(other, unroll(other))
        (rows,) = TransformerRows.run_each(model, [(other, program)])
        numbered = Numbering(other, program).number(Draws(other, case).trees(program.roots, calls))
        got = unembed(model, TransformerEvaluator(rows, program).answers(numbered))
        pairs = zip(calls.reference.tolist(), calls.draw.tolist(), strict=True)
        wanted = torch.stack([scrubbed(other, model, case, *pair) for pair in pairs])
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def test_text_page_and_data_tell_of_them(tmp_path: Path) -> None:
    result = judged(claim_of(part(TRUE)), out=tmp_path)
    text, page = str(result), write_page(tmp_path).read_text()
    for words in (
        "Parts and their hosts",
        "tied mlp 1[true] @ END",
        "20 choices of parts",
        "the same claim with whole hosts",
    ):
        assert words in page
    for words in ("too, mlp 1[true] @ END: 1.00", "of these hosts recover", "with whole hosts recovers 1.00"):
        assert words in text
    stored = {c["name"]: c for c in result.to_dict()["controls"]}
    assert stored["tied mlp 1[true] @ END"]["note"] == "the rest of mlp 1 takes the donor of bits too"


def test_a_comparison_tells_of_them() -> None:
    found = scrub.compare(claim_of(part(ILLUSION)), claim_of(scrub.mlps(1, at="END")), draws=3)
    lines = str(found).splitlines()
    below = lines.index(next(line for line in lines if "beside it" in line))
    tied = next(c.value for c in found.hypotheses[0].controls if c.name.startswith("tied"))
    assert f"{tied:.2f}" in lines[below + 1]
    assert lines[below + 2].split()[-1] == "-"  # a whole host has no such controls


def test_claims_without_parts_have_no_such_controls() -> None:
    whole = claim_of(scrub.mlps(1, at="END"))
    assert not sites_with_parts(sound(whole)[0])
    assert not {"random parts", "whole hosts"} & controls_of(judged(whole)).keys()


@pytest.mark.parametrize("what", ["direction", "neurons", "latents"])
def test_the_controls_run_no_row_again(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they read is taken from the claim's own rows."""
    eye = np.eye(D)
    sites = {
        "direction": part(TRUE), "neurons": units("1.0 1.1"), "latents": part(latents(Dictionary(eye, eye), "1 2")),
    }  # fmt: skip
    claim, source = sound(claim_of(sites[what]))
    opened = OpenedModel(source, open_weights(source, Backend()))
    bench = opened.bench(claim)
    samples = sampled(bench, references(claim, None, 0), 2, 0)
    monkeypatch.setattr(cache, "trace", None)
    trial = Trial("parts", 2, 0)
    result = conclude(bench, samples, trial, {})
    result = with_dictionaries(bench, samples, part_controls(bench, samples, result, partial(opened.alike, bench)))
    assert len(result.controls) == 3 + len(conclude(bench, samples, trial, {}).controls)
    assert all("could not be run" not in control.note for control in result.controls), result.controls
