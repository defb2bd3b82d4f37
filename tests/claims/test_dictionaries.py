"""Latents of any dictionary: their hosts and models, which are apart, how often they are active."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from dictionary_cases import HOOK, A, D, X, before, saelens

import scrub
from scrub import Dictionary, latents, mlps, resid
from scrub.anatomy.part import disjoint, what_is_left_by
from scrub.errors import ClaimError
from scrub.model.codes import latent_activity
from scrub.model.memory import Memory


def test_a_latent_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"latent 99 does not exist: they are 0 to 13; the nearest is 13"):
        latents(saelens(HOOK)(tmp_path), "3 99")


def test_a_dictionary_of_another_host_is_refused(tmp_path: Path) -> None:
    part = latents(saelens(HOOK)(tmp_path), "1 5")
    assert str(resid(8, at="END").part(part)) == "resid 8[1 5] @ END"
    with pytest.raises(ClaimError, match=r"latents 1 5 are of a dictionary of resid 8, and here a part of resid 7"):
        resid(7, at="END").part(part)
    reads = latents(Dictionary(np.eye(D), np.eye(D), reads="normed"), "1")
    assert str(mlps(3, at="END").part(reads)) == "mlp 3[1] @ END"
    with pytest.raises(ClaimError, match=r"a transcoder that reads what an MLP reads \(normed\): use mlps"):
        resid(7, at="END").part(reads)


def test_a_dictionary_of_another_model_is_a_problem(tmp_path: Path) -> None:
    from scrub.claims.collect import collect

    file = Path(scrub.__file__).parents[1] / "hypotheses" / "induction.py"
    (made,) = [h for h in collect([str(file)]).hypotheses if h.title == "induction"]
    stored = saelens({**HOOK, "hook_name": "hook_embed"})(tmp_path)
    claimed = made.but(first=scrub.embed("A1").part(latents(stored, "1")))
    assert "is of a dictionary of gpt2-small, and the claim's model is" in " ".join(str(scrub.check(claimed)).split())


def test_latents_travel_with_a_frozen_claim(tmp_path: Path) -> None:
    from scrub.claims.collect import collect

    file = Path(scrub.__file__).parents[1] / "hypotheses" / "induction.py"
    (made,) = [h for h in collect([str(file)]).hypotheses if h.title == "induction"]
    draw = np.random.default_rng(0)
    dictionary = Dictionary(draw.normal(size=(64, 20)), draw.normal(size=(20, 64)), topk=4)
    claimed = made.but(first=scrub.embed("A1").part(latents(dictionary, "3 17")))
    scrub.freeze(claimed, tmp_path / "frozen")
    back = scrub.thaw(tmp_path / "frozen")
    (there,), (here,) = (h.correspondence()["first"].components for h in (back, claimed))  # type: ignore[union-attr]
    assert there == here
    assert scrub.check(back).claim.digest == scrub.check(claimed).claim.digest  # type: ignore[union-attr]


def test_latents_of_one_dictionary_are_disjoint_where_they_are_others(tmp_path: Path) -> None:
    folder = saelens(HOOK)(tmp_path)
    one, other, both = (latents(folder, names) for names in ("1", "5", "1 5"))
    assert disjoint(one, other)
    assert not disjoint(one, both)
    assert not disjoint(one, latents(Dictionary(A["enc"], A["dec"]), "5"))


@pytest.mark.parametrize("topk", [None, 4])
def test_what_several_parts_leave_is_what_their_latents_together_leave(topk: int | None) -> None:
    made = Dictionary(A["enc"], A["dec"], bias=A["b"], centre=A["c"], topk=topk)
    rest, together = what_is_left_by([latents(made, "5 9"), latents(made, "1")]), latents(made, "1 5 9")
    assert (rest.indices, rest.digest, str(rest)) == (together.indices, together.digest, "all but 1 5 9")
    assert disjoint(rest, latents(made, "5"))
    assert not disjoint(rest, latents(made, "5 6"))


def test_how_often_latents_are_active_is_asked_of_the_whole_dictionary(tmp_path: Path) -> None:
    part = latents(saelens(HOOK)(tmp_path), "1")
    x = X.reshape(-1, D).double()
    for memory in (Memory(2**30), Memory(1)):  # several latents, or each by itself
        np.testing.assert_allclose(latent_activity(part, x, memory), (before(x.float()) > 0).double().mean(0))
    with pytest.raises(ClaimError, match="a frozen claim has its own latents alone"):
        latent_activity(evolve(part, source=None), x, Memory(1))
