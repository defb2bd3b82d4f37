"""`scrub new`: what it writes is accepted, is refuted where it should be, and explains itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import scrub
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.text import words
from scrub.errors import ClaimError, ModelError
from scrub.verbs.gallery import needed, starts
from scrub.verbs.new import FOLDER, OF_A_MODEL, write_new

NAMES = sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem != OF_A_MODEL)
LLAMA = {
    "model_type": "llama", "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 4, "vocab_size": 40,
    "intermediate_size": 24, "max_position_embeddings": 16,
}  # fmt: skip
COMMON = "zero cat dog tree river house car book door hand sun moon".split()  # noqa: SIM905


def model_at(path: Path, vocabulary: list[str] | None = None, **changed: object) -> str:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({**LLAMA, **changed}))
    if vocabulary is not None:
        tokenizer: object = words(vocabulary)
        tokenizer.save(str(path / "tokenizer.json"))  # pyright: ignore[reportAttributeAccessIssue]
    return str(path)


def written(path: Path, like: str = "induction", model: str | None = None) -> tuple[Hypothesis, ...]:
    write_new(path, like, model)
    found = collect([path])
    assert not found.problems, found.problems
    return found.hypotheses


def accepted(claims: tuple[Hypothesis, ...], model: str | None = None) -> None:
    for claim in claims:
        checked = scrub.check(claim, model)
        assert not checked.problems, checked
        assert checked.accuracy == 1.0
    assert {bool(claim.foil_reason) for claim in claims} == {True, False}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "ioi"])
def test_every_start_is_accepted_and_passes(tmp_path: Path, name: str) -> None:
    claims = written(tmp_path / "claims.py", name)
    accepted(claims)
    assert all(scrub.test(claim, rows=200, draws=5).passed for claim in claims)


def test_the_ioi_start_is_accepted_where_gpt2s_tokenizer_is(tmp_path: Path) -> None:
    """Any model with layers and heads enough will do, if its tokenizer knows the words."""
    text = (FOLDER / "ioi.txt").read_text()
    names = text.split('NAMES = "')[1].split('"')[0].split()
    others = "When and went to the store, park, school, gave a drink book ring".split()  # noqa: SIM905
    big = {"hidden_size": 48, "num_attention_heads": 12, "num_hidden_layers": 12, "max_position_embeddings": 32}
    folder = model_at(tmp_path / "model", ["<unk>", *names, *others], **big)
    accepted(written(tmp_path / "claims.py", "ioi"), folder)


def test_every_start_names_its_own_file_and_teaches(tmp_path: Path) -> None:
    for name in NAMES:
        write_new(tmp_path / f"my_{name}.py", name, None)
        text = (tmp_path / f"my_{name}.py").read_text()
        assert f"scrub check my_{name}.py" in text
        assert "FILE" not in text
        assert sum(line.startswith("# ") for line in text.splitlines()) >= 8
        assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("vocabulary", "reads"),
    [(None, "no tokenizer.json"), (COMMON, "{A1|"), (["x", "y", "z"], "several tokens")],
)
def test_a_file_for_a_model(tmp_path: Path, vocabulary: list[str] | None, reads: str) -> None:
    folder = model_at(tmp_path / "model", vocabulary)
    claims = written(tmp_path / "claims.py", model=folder)
    accepted(claims)
    text = (tmp_path / "claims.py").read_text()
    assert reads in text
    assert "model (4 layers of 4 heads, 40 tokens)" in text
    assert "$" not in text
    data = claims[0].data
    assert callable(data)
    assert ("tokenizer" in data.__code__.co_varnames) == (vocabulary is COMMON)


def test_texts_begin_as_the_models_tokenizer_begins_them(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    folder = model_at(tmp_path / "model", vocabulary=None)
    tokenizer: Any = words(COMMON)
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = TemplateProcessing("<s> $A", None, [("<s>", len(COMMON))])
    tokenizer.save(f"{folder}/tokenizer.json")
    claims = written(tmp_path / "claims.py", model=folder)
    accepted(claims)
    assert scrub.check(claims[0]).warnings == ()
    assert "columns=columns, bos=True)" in (tmp_path / "claims.py").read_text()


@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (1, 4), (2, 1), (3, 2), (12, 12)])
def test_only_heads_that_exist_are_named(tmp_path: Path, layers: int, heads: int) -> None:
    sizes = {"num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": 4 * heads}
    accepted(written(tmp_path / "claims.py", model=model_at(tmp_path / "model", **sizes)))


@pytest.mark.parametrize("size", [8, 9, 23, 24, 25])
def test_token_ids_fit_a_small_vocabulary_and_a_short_context(tmp_path: Path, size: int) -> None:
    folder = model_at(tmp_path / "model", vocab_size=size, max_position_embeddings=8)
    accepted(written(tmp_path / "claims.py", model=folder))


def test_a_file_for_a_model_of_the_zoo_runs(tmp_path: Path) -> None:
    claim, foil = written(tmp_path / "claims.py", model="zoo:induction")
    accepted((claim, foil))
    assert scrub.test(foil, rows=40, draws=2).verdict == "refuted"


def test_a_directory_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_at(tmp_path / "it's a model")
    monkeypatch.chdir(tmp_path)
    claims = written(tmp_path / "claims.py", model="it's a model")
    monkeypatch.chdir("/")
    accepted(claims)


@pytest.mark.parametrize("name", [name for name in starts() if name not in NAMES])
def test_any_claim_or_example_is_copied_with_what_it_needs(tmp_path: Path, name: str) -> None:
    """Claims are read and keep the arrays that they name; examples have the modules that they import."""
    start = starts()[name]
    file = tmp_path / f"mine{start.suffix}"
    write_new(file, name, None)
    text = file.read_text()
    assert f"{start.parent.name}/{start.name}" not in text
    assert all((tmp_path / other.name).exists() for other in needed(start))
    if start.parent.name == "hypotheses":
        found = collect([file])
        assert not found.problems
        assert found.hypotheses
    assert all(
        (tmp_path / f"{module}.py").is_file() for module in re.findall(r"^(?:import|from) (training|names\w*)", text)
    )


def test_a_copied_claim_finds_its_arrays(tmp_path: Path) -> None:
    (claim, *_) = written(tmp_path / "mine.py", "names_rank")
    (own, *_) = collect([starts()["names_rank"]]).hypotheses
    mine, ours = scrub.check(claim).claim, scrub.check(own).claim
    assert mine
    assert ours
    assert mine.digest == ours.digest
    with pytest.raises(ClaimError, match=r"this start is a notebook: call it c\.ipynb"):
        write_new(tmp_path / "c.py", "from_proposal_to_comparison", None)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "claims.py"
    file.write_text("mine")
    with pytest.raises(ClaimError, match="exists already"):
        write_new(file, "induction", None)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "like", "model", "error", "sentence"),
    [
        ("c.py", "inductoin", None, ClaimError, "Did you mean 'induction'"),
        ("c.py", "model", None, ClaimError, "no such start"),
        ("c.txt", "induction", None, ClaimError, "call it c.py"),
        ("c", "induction", None, ClaimError, "call it c.py"),
        ("c.py", "induction", "nowhere", ModelError, "not here"),
        ("c.py", "induction", "zoo:brackets", ModelError, "too few"),
    ],
)
def test_what_cannot_be_written_is_said(
    tmp_path: Path, name: str, like: str, model: str | None, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        write_new(tmp_path / name, like, model)
    assert not list(tmp_path.iterdir())
