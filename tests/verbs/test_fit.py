"""`scrub.fit` on a compiled model: what is found, what it is tested on, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import save_file

import scrub
from scrub import Hypothesis, directions, embed, heads, latents
from scrub.anatomy.names import EMBED
from scrub.claims.basis import Basis
from scrub.claims.collect import collect
from scrub.cli.group import main
from scrub.errors import ClaimError

FILE = Path(scrub.__file__).parents[1] / "hypotheses" / "compose.py"


@cache
def compose() -> Hypothesis:
    (found,) = [h for h in collect([str(FILE)]).hypotheses if h.title == "compose"]
    return found


@cache
def wanted(**setting: Any) -> Basis:
    return scrub.fit.class_means(compose(), "wanted", **setting)


def with_part(basis: Any) -> Hypothesis:
    return compose().but(wanted=heads("0.1", at="END").part(directions(basis, name="W")).reads(v="asked"))


def test_the_span_of_a_known_code_is_found_and_holds_on_other_rows() -> None:
    """Head 0.1 writes one direction for each letter, so that letters differ along one fewer."""
    basis = wanted()
    letters = len({row.columns["asked"] for row in compose().data().rows})
    assert basis.array.shape == (letters - 1, len(basis.array[0]))
    assert basis.found["between"] == pytest.approx(1)
    found = scrub.test(with_part(basis), rows=40, draws=2, controls="none")
    assert found.recovered.value == pytest.approx(1, abs=1e-3)
    assert scrub.check(with_part(basis)).claim.seen.rows == len(basis.seen) == 150  # type: ignore[union-attr]


def test_directions_of_another_model_say_of_which(tmp_path: Path) -> None:
    """Of another width they are refused, of the same they may be meant; by a file as by a value."""
    basis = attrs.evolve(wanted(), provenance={"seed": 0, "model": {"name": "zoo:compose-tuned"}})
    for given in (basis, basis.save(tmp_path / "w.safetensors")):
        warned = " ".join(scrub.check(with_part(given)).claim.warnings)  # type: ignore[union-attr]
        assert "the directions of 0.1[W] were found in zoo:compose-tuned, and the claim's model is zoo:comp" in warned
    narrow = attrs.evolve(basis, array=np.eye(2, 5))
    said = " ".join(str(scrub.check(with_part(narrow))).split())
    assert "W has rows of 5 numbers, of zoo:compose-tuned, and 0.1 writes" in said
    assert "were found in" not in " ".join(scrub.check(with_part(wanted())).claim.warnings)  # type: ignore[union-attr]


def test_a_claim_is_not_tested_on_the_rows_that_its_directions_were_found_on(tmp_path: Path) -> None:
    """Whether they come as a value, from a file, or in a frozen claim."""
    basis, file = wanted(), tmp_path / "w.safetensors"
    basis.save(file)
    plain, held = (scrub.check(with_part(one)).claim for one in (basis.array, basis))
    assert plain is not None
    assert held is not None
    left = {row.input_digest for row in plain.data.rows} - set(basis.seen)
    assert {row.input_digest for row in held.data.rows} == left
    assert scrub.check(with_part(file)).claim.digest == held.digest != plain.digest  # type: ignore[union-attr]
    scrub.freeze(with_part(file), tmp_path / "frozen")
    assert scrub.check(scrub.thaw(tmp_path / "frozen")).claim.digest == held.digest  # type: ignore[union-attr]


def test_directions_that_saw_every_row_are_told() -> None:
    problems = scrub.check(with_part(wanted(rows=300))).problems
    assert "none are left, and there is nothing to swap" in " ".join(str(p) for p in problems)


def test_das_moves_the_answer_where_the_story_says() -> None:
    found = scrub.fit.das(compose(), "lookup", rank=2, steps=3, draws=2)
    assert found.found["accuracy_of_whole"] == 1
    assert found.array.shape[0] == 2
    np.testing.assert_allclose(found.array @ found.array.T, np.eye(2), atol=1e-5)


def test_das_follows_its_seed_alone() -> None:
    torch.manual_seed(1)
    first = scrub.fit.das(compose(), "lookup", rank=2, steps=3, draws=2)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.rand(1) == drawn, "what others draw is not touched"
    again = scrub.fit.das(compose(), "lookup", rank=2, steps=3, draws=2)
    np.testing.assert_array_equal(again.array, first.array)


def test_a_probe_and_a_column_and_another_place() -> None:
    found = scrub.fit.probe(compose(), "asked", site=embed("ASK"), rank=3)
    assert found.found["accuracy"] == 1 > found.found["chance"]
    assert (found.component, found.at, found.rank) == (EMBED, "ASK", 3)
    assert "3 directions of embed @ ASK for asked, by probe on" in str(found)
    assert "<svg" in found._repr_html_()
    assert found._repr_html_().count("<circle") == len(found.seen)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no variable": (lambda: scrub.fit.pca(compose(), "wantd"), r"'wantd' is no variable .* Did you mean 'wanted'"),
    "no argument": (
        lambda: scrub.fit.pca(compose(), "wanted", row=3),
        r"fit\.pca has no argument 'row'\. Did you mean",
    ),
    "no place": (lambda: scrub.fit.pca(compose(), "answer"), r"'answer' is at nowhere: name one component"),
    "two places": (
        lambda: scrub.fit.pca(compose(), "wanted", site=heads("0.0 0.1", at="END")),
        r"'wanted' is at 0\.0 @ END, 0\.1 @ END: name one component at one position, --component '0\.0' --at END",
    ),
    "too wide": (
        lambda: scrub.fit.probe(compose(), "wanted", rank=10**4),
        r"rank 10000: 0\.1 writes \d+ numbers",
    ),
    "no such head": (
        lambda: scrub.fit.pca(compose(), "wanted", site=heads("7.1", at="END")),
        r"there is no 7\.1, .* has layers 0 to 1; did you mean 1\.1\?",
    ),
    "no position": (
        lambda: scrub.fit.pca(compose(), "wanted", site=heads("0.1", at="S1")),
        r"not in every row.* The data name .*END",
    ),
    "no number": (
        lambda: scrub.fit.fourier(compose(), "wanted", [1], period=5),
        r"fourier takes a variable that is a number on every row, and 'wanted' is '",
    ),
    "rank": (lambda: scrub.fit.das(compose(), "wanted", rank=0), r"rank=0: how many directions"),
    "few rows": (lambda: scrub.fit.pca(compose(), "wanted", rows=3), r"fit\.pca: 3 rows are too few"),
    "not two": (
        lambda: scrub.fit.mean_difference(compose(), "wanted"),
        r"is of two values, found \d+: take class_means",
    ),
    "an answer that stays": (
        lambda: scrub.fit.das(compose(), "wanted"),
        r"das: wherever 'wanted' is set to what it is on another row, the story's answer stays",
    ),
}


def test_fewer_directions_than_were_asked_for_are_told() -> None:
    found = scrub.fit.class_means(compose(), "wanted", rank=20)
    assert found.rank < 20
    assert "20 were asked for, and no more are told apart" in str(found)
    assert "were asked for" not in str(scrub.fit.class_means(compose(), "wanted", rank=found.rank))


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_fitted_is_told(what: str) -> None:
    make, said = REFUSED[what]
    with pytest.raises(ClaimError, match=said):
        make()


def test_a_file_that_does_not_say_what_it_saw(tmp_path: Path) -> None:
    save_file({"basis": np.eye(3)[:1]}, tmp_path / "w.safetensors", {"scrub.basis": '{"seen": 3}'})
    with pytest.raises(ClaimError, match="do not say which rows its directions were found on"):
        directions(tmp_path / "w.safetensors")
    with pytest.raises(ClaimError, match=r"a basis is a \.safetensors file: w\.safetensors"):
        wanted().save("w.npy")


def test_the_command_writes_what_directions_read(tmp_path: Path) -> None:
    out = tmp_path / "basis.safetensors"
    asked = ["fit", "class_means", f"{FILE}::compose", "--variable", "wanted", "--rank", "2", "--out", str(out)]
    ran = CliRunner().invoke(main, asked)
    assert ran.exit_code == 0, ran.output
    assert "2 directions of 0.1 @ END for wanted, by class_means on 150 rows" in ran.output
    part = directions(out)
    assert part.size == 2
    assert len(part.seen) == len(wanted().seen)
    for more, said in (
        (["--period", "5"], "are of fourier"),
        (["--at", "END"], "belong together"),
        ([], f"--out {out} exists already, and is left as it is: choose another name."),
        (["--out", "basis.npy"], "directions are a .safetensors file: call it basis.safetensors"),
    ):
        ran = CliRunner().invoke(main, [*asked, *more])
        assert (ran.exit_code, said in ran.output) == (2, True)


def test_the_command_trains_a_dictionary_that_latents_read(tmp_path: Path) -> None:
    asked = ["fit", "dictionary", f"{FILE}::compose", "--variable", "asked", "--out", str(tmp_path / "d")]
    asked += ["--component", "embed", "--at", "ASK", "--steps", "5"]
    ran = CliRunner().invoke(main, [*asked, "--latents", "24", "--topk", "2"])
    assert ran.exit_code == 0, ran.output
    assert "24 latents of embed @ ASK, 2 active, trained on 150 rows" in ran.output
    assert f"use it as latents('{tmp_path / 'd'}', '0')" in ran.output
    assert latents(tmp_path / "d", "0 3").setting("topk") == "2"
    for more, said in (
        ([], "fit dictionary takes --latents 192"),
        (["--latents", "24", "--rank", "2"], "a dictionary has --latents"),
        (["--latents", "24"], "exists already"),
    ):
        ran = CliRunner().invoke(main, [*asked, *more])
        assert (ran.exit_code, said in ran.output) == (2, True), ran.output


def test_a_dictionary_is_trained_and_read_again(tmp_path: Path) -> None:
    """Of one-hot letters; its latents bring the rows that were seen."""
    made = scrub.fit.dictionary(compose(), "asked", tmp_path / "d", latents=24, topk=2, steps=150, site=embed("ASK"))
    assert made.found["explained"] > 0.95
    assert "24 latents of embed @ ASK, 2 active, trained on 150 rows" in str(made)
    part = latents(made.folder, "0 3")
    assert (part.setting("of"), part.setting("topk"), part.seen) == ("embed", "2", made.seen)
    checked = scrub.check(compose().but(asked=embed("ASK").part(part)))
    assert checked.claim is not None, str(checked)
    assert checked.claim.seen.rows == 150
    with pytest.raises(ClaimError, match="is there already: name a new directory"):
        scrub.fit.dictionary(compose(), "asked", made.folder, latents=24, site=embed("ASK"))
    with pytest.raises(ClaimError, match=r"of streams, MLPs, attention or embeddings, and not of 0\.1"):
        scrub.fit.dictionary(compose(), "wanted", tmp_path / "e", latents=24, topk=2)
