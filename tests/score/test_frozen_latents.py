"""A frozen claim of latents: others are drawn where its dictionary is at hand, and it says so where it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import scrub
from score.part_claims import READ, D, claim_of, dormant, part
from scrub import latents
from scrub.errors import ClaimError
from scrub.model.memory import Memory
from scrub.score import random_parts as random_parts_of


def dictionary(folder: Path, scale: float = 1) -> Path:
    """Both ways along every dimension, as SAELens keeps a dictionary."""
    both = np.hstack([np.eye(D), -np.eye(D)])
    arrays = {"W_enc": both, "b_enc": np.zeros(2 * D), "W_dec": scale * both.T.copy(), "b_dec": np.zeros(D)}
    folder.mkdir(parents=True)
    save_file(arrays, folder / "sae_weights.safetensors")
    hook = {"hook_name": "blocks.1.hook_mlp_out"}
    card = {"architecture": "standard", "d_in": D, "d_sae": 2 * D, "metadata": hook}
    (folder / "cfg.json").write_text(json.dumps(card))
    return folder


def at_hand(frozen: Path) -> bool:
    site = scrub.thaw(frozen).correspondence()["bits"]
    return site.components[0].part.source is not None  # type: ignore[union-attr]


def random_parts(claim: Any, **options: Any) -> Any:
    result = scrub.test(claim, dormant(), draws=2, explain=False, parts="none", dtype="float64", **options)
    return next(control for control in result.controls if control.name == "random parts")


def test_others_are_drawn_where_the_dictionary_is_at_hand(tmp_path: Path) -> None:
    held = part(latents(str(dictionary(tmp_path / "sae")), f"{READ} {READ + D}"))
    scrub.freeze(claim_of(held), tmp_path / "shared" / "frozen")
    own, frozen = random_parts(claim_of(held)), tmp_path / "shared" / "frozen"
    assert own.value is not None
    assert at_hand(frozen)
    (tmp_path / "sae").rename(tmp_path / "gone")
    told = random_parts(scrub.thaw(frozen))
    assert (told.value, "could not be run" in told.note) == (None, True)
    assert f"their dictionary, which lay at {tmp_path / 'sae'}, is not here" in told.note
    dictionary(tmp_path / "sae", scale=2)
    assert not at_hand(frozen)  # another one by now
    (tmp_path / "gone").rename(tmp_path / "shared" / "sae")
    assert random_parts(scrub.thaw(frozen)) == own
    assert scrub.check(scrub.thaw(frozen), dormant()).claim.digest == scrub.check(claim_of(held)).claim.digest  # type: ignore[union-attr]


def test_others_of_a_large_dictionary_are_those_of_runs_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often active as of all, and only these are read and drawn."""
    claimed, x = 2 * D - 2, torch.from_numpy(np.random.default_rng(0).normal(size=(30, D)))
    held = latents(str(dictionary(tmp_path / "sae")), f"1 {claimed}")
    component = part(held).components[0]
    whole = random_parts_of._activity(component, x, {claimed}, Memory(2**30))
    monkeypatch.setattr(random_parts_of, "LOOKED_AT", 8)
    monkeypatch.setattr(random_parts_of, "RUN", 4)
    found = random_parts_of._activity(component, x, {claimed}, Memory(2**30))
    looked = [0, 1, 2, 3, *range(2 * D - 4, 2 * D)]
    assert np.flatnonzero(np.isfinite(found)).tolist() == looked
    np.testing.assert_array_equal(found[looked], whole[looked])
    resolved = scrub.check(claim_of(part(held)), dormant()).claim
    assert resolved is not None
    parts = random_parts_of.DrawnParts(resolved, {}, {component: found})
    drawn = [parts._units([component], np.random.default_rng(number))[component] for number in range(200)]
    assert {*drawn[0]} < {*looked} - {claimed, 1}
    assert {unit for units in drawn for unit in units} == {*looked} - {claimed, 1}  # type: ignore[arg-type]


@pytest.mark.parametrize("lies", [3, ["sae"]])
def test_a_place_that_is_none_is_refused(tmp_path: Path, lies: Any) -> None:
    held = part(latents(str(dictionary(tmp_path / "sae")), f"{READ} {READ + D}"))
    scrub.freeze(claim_of(held), tmp_path / "frozen")
    record = json.loads((tmp_path / "frozen" / "claim.json").read_text())
    record["sites"]["bits"][0]["parts"][0]["lies"] = lies
    (tmp_path / "frozen" / "claim.json").write_text(json.dumps(record))
    with pytest.raises(ClaimError, match="is no part as it is written"):
        scrub.thaw(tmp_path / "frozen")
