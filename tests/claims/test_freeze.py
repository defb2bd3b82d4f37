"""Claims as data: freeze, thaw, freeze is the identity; whatever was changed is found, and named."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scrub
from claim_cases import names_claim, names_rows, names_sites, names_story
from scrub.claims.dataset import Dataset
from scrub.claims.facts import canonical_text, facts_of
from scrub.claims.freeze import Frozen, file_digest, freeze_claim
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.plain import from_plain, to_plain
from scrub.claims.resolved import Claim
from scrub.claims.thaw import read_frozen
from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.computation import Computation
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from strategies import random_graph_claim, random_transformer_claim

RANDOMS = st.randoms(use_true_random=False)
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
GPT2 = {"model": "gpt2", "data": Dataset.from_rows(names_rows())}
Change = Callable[[dict[str, Any]], None]


def frozen(hypothesis: Hypothesis, model: Any = None) -> tuple[Frozen, Claim]:
    claim, _ = sound(hypothesis, model, expecting=False)
    name = hypothesis.model if model is None else None
    return freeze_claim(claim, hypothesis.data, name), claim  # pyright: ignore[reportArgumentType]


def written(found: Frozen, folder: Path) -> Path:
    folder.mkdir()
    for name, text in found.files.items():
        (folder / name).write_text(text)
    return folder


def lines(hypothesis: Hypothesis) -> set[str]:
    claim, _ = sound(hypothesis)
    return set(canonical_text(facts_of(claim, "gpt2"), claim.values, claim.data))


def same_again(
    hypothesis: Hypothesis, model: Computation | Transformer | None, folder: Path
) -> tuple[Hypothesis, Claim]:
    first, before = frozen(hypothesis, model)
    thawed = scrub.thaw(written(first, folder))
    second, after = frozen(thawed, model)
    assert second.files == first.files
    assert (second.digest, second.title) == (first.digest, first.title)
    assert after.values == before.values
    assert [list(map(type, v)) for v in after.values.values()] == [list(map(type, v)) for v in before.values.values()]
    assert [row.digest for row in after.data.rows] == [row.digest for row in before.data.rows]
    return thawed, after


@FEW
@given(RANDOMS)
def test_freeze_thaw_freeze_is_the_identity_on_graphs(rng: Random) -> None:
    hypothesis, model, _ = random_graph_claim(rng)
    with_temporary(evolve(hypothesis, metric="loss(label)"), model)


@FEW
@given(RANDOMS)
def test_freeze_thaw_freeze_is_the_identity_on_transformers(rng: Random) -> None:
    hypothesis, model, _ = random_transformer_claim(rng)
    with_temporary(evolve(hypothesis, metric="loss(label)"), model)


def with_temporary(hypothesis: Hypothesis, model: Computation | Transformer) -> None:
    with tempfile.TemporaryDirectory() as folder:
        same_again(hypothesis, model, Path(folder) / "frozen")


def full_claim() -> Hypothesis:
    """With everything that a claim may say."""
    rows = names_rows(24)
    for number, row in enumerate(rows):
        row["columns"] |= {"share": Fraction(number, 3), "far": float("inf"), "near": 0.1, "both": (True, 1, (None,))}
        row["tokens"][2] = 20 + number  # no two rows are the same to the model
    seen = [row.input_digest for row in Dataset.from_rows(rows).rows[3:7]]
    made = names_claim(
        model="gpt2", data=Dataset.from_rows(rows), expect=scrub.recovers(0.7, any_swaps=True),
        rest_rows="even", within="length", seen=seen, through="mlps 0-2",
        together=[("s1", "s2")], spare="2.0 doubled", skills="even",
        criteria=scrub.protocol(group="length", published="0.9 | 0.8\nsome rows"),
    )  # fmt: skip
    return made.foil("only to be frozen")


def test_everything_that_a_claim_may_say_is_kept(tmp_path: Path) -> None:
    hypothesis = full_claim()
    thawed, claim = same_again(hypothesis, None, tmp_path / "frozen")
    assert thawed.options == hypothesis.options
    assert thawed.criteria == hypothesis.criteria
    assert thawed.expect == hypothesis.expect
    assert thawed.foil_reason == "only to be frozen"
    assert claim.seen.rows == 4
    assert claim.data.column("both")[0] == (True, 1, (None,))
    text = (tmp_path / "frozen/claim.txt").read_text().splitlines()
    assert text == sorted(text)
    assert 'option spare: ["2.0", "doubled"]' in text
    assert 'criteria published: "0.9 | 0.8\\nsome rows"' in text


def test_rounded_variables_and_rows_taken_from_others_are_kept(tmp_path: Path) -> None:
    story, rows = names_story(), names_rows(24)
    for number, row in enumerate(rows):
        row["columns"] |= {"mate": (number + 12) % 24, "heat": number / 7}
    story.variable(round=0.25)(heated)
    taken = Dataset.from_rows(rows).taken(n for n in range(24) if n % 12 != 5)

    def answer(name: int | None, heated: Fraction) -> int | None:
        return name

    story._variables.pop("answer")  # pyright: ignore[reportPrivateUsage]
    story.variable(answer)
    sites = names_sites(heated=scrub.inside)
    made = names_claim(story, sites, model="gpt2", data=taken, rest="paired", pair="mate")
    thawed, claim = same_again(made, None, tmp_path / "frozen")
    assert thawed.story.variables["heated"].step == 0.25
    assert claim.values["heated"][1] == Fraction(1, 4)
    assert claim.pair.tolist() == sound(made)[0].pair.tolist()


def heated(heat: float) -> float:
    return heat


def test_a_thawed_story_looks_values_up_and_says_where_it_has_none(tmp_path: Path) -> None:
    found, claim = frozen(names_claim(**GPT2))
    thawed = scrub.thaw(written(found, tmp_path / "frozen"))
    row = claim.data.rows[0].columns
    assert thawed.story.run(row)["doubled"] == row["s1"]
    with pytest.raises(ClaimError, match="stores no value for s1=3, s2=4"):
        thawed.story.run({**row, "s1": 3, "s2": 4})


def test_a_renamed_variable_changes_exactly_its_lines() -> None:
    story, sites = scrub.Interpretation(), names_sites()

    @story.variable
    def again(s1: int, s2: int) -> int | None:
        return s2 if s1 == s2 else None

    @story.variable
    def name(again: int | None, io: int) -> int | None:
        return io if io != again else None

    @story.variable
    def answer(name: int | None) -> int | None:
        return name

    sites["again"] = sites.pop("doubled")
    sites["name"] = scrub.heads("2.0 2.1", at="END").reads(k="again io", v="io again")
    before, after = lines(names_claim(**GPT2)), lines(names_claim(story, sites, **GPT2))
    assert before - after == {line for line in before if "doubled" in line}
    assert {line.replace("again", "doubled") for line in after} == before


def test_one_changed_fact_is_one_changed_line() -> None:
    claim = names_claim(**GPT2)
    assert lines(claim) ^ lines(claim.but(expect=scrub.recovers(0.5))) == {
        "expectation share: 0.8", "expectation share: 0.5",
    }  # fmt: skip
    other = claim.but(doubled=scrub.heads("0.1", at="S2").reads(q="s2", v="s1"))
    assert lines(claim) - lines(other) == {"site of doubled: 0.1 @ S2: k reads s1"}


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.fractions(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
))  # fmt: skip
def test_values_come_back_exactly(value: Any) -> None:
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert repr(back) == repr(value)  # True is not 1, 2 is not Fraction(2)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 0.1, -0.0])
def test_numbers_of_columns_come_back_exactly(value: float) -> None:
    plain = json.loads(json.dumps(to_plain((value,))))
    assert repr(from_plain(plain, floats=True)) == repr((value,))
    with pytest.raises(ValueError, match="is no value"):
        from_plain(plain)


@pytest.mark.parametrize("value", [np.int64(1), {1: 2}, b"x", type("Subclass", (int,), {})(3)])
def test_what_would_not_come_back_the_same_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be written as data"):
        to_plain((value,))


def test_what_is_more_than_data_is_refused() -> None:
    with pytest.raises(ClaimError, match="metric mine is a function"):
        frozen(names_claim(**GPT2 | {"metric": scrub.Metric(lambda o, r: 0.0, name="mine"), "predicts": "io"}))
    rows = [{**row, "columns": row["columns"] | {"odd": {1}}} for row in names_rows()]
    with pytest.raises(DataError, match=r"row 0 and 11 more: column 'odd': .*set"):
        frozen(names_claim(**GPT2 | {"data": Dataset.from_rows(rows)}))


def test_a_variable_that_is_no_function_of_its_parents_is_refused() -> None:
    story, calls = scrub.Interpretation(), list[int]()

    @story.variable
    def doubled(s1: int, s2: int) -> int:
        calls.append(s1)
        return len(calls)

    @story.variable
    def name(doubled: int, io: int) -> int:
        return io

    @story.variable
    def answer(name: int) -> int:
        return name

    with pytest.raises(ClaimError, match="'doubled' is no function of s1, s2: these agree in rows 0 and 3"):
        frozen(names_claim(story, **GPT2))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(frozen(full_claim())[0], tmp_path_factory.mktemp("frozen") / "claim")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "claim"))


def change(field: str, value: Any) -> Change:
    def changed(record: dict[str, Any]) -> None:
        *inner, last = field.split(".")
        for name in inner:
            record = record[int(name) if name.isdigit() else name]  # pyright: ignore[reportArgumentType]
        record[last] = value

    return changed


@pytest.mark.parametrize(("changed", "told"), [
    (change("format", 2), "field 'format' is 2, of a newer scrub: update it; this one reads 1"),
    (change("format", "1"), "no field 'format'"),
    (change("expects", None), "unknown field 'expects'. Did you mean 'expect'?"),
    (change("model.nam", "x"), "unknown field 'model.nam'. Did you mean 'name'?"),
    (change("variables.0.parent", []), "unknown field 'variables[0].parent'. Did you mean 'parents'?"),
    (change("sites.io.0.linkd", True), "unknown field 'sites.io[0].linkd'. Did you mean 'linked'?"),
    (change("options.rests", "keep"), "field 'options': unknown field 'rests'. Did you mean 'rest'?"),
    (change("criteria.groups", "x"), "field 'criteria': unknown field 'groups'. Did you mean 'group'?"),
    (change("expect.shares", 1), "field 'expect': unknown field 'shares'. Did you mean 'share'?"),
    (change("expect.share", 2), "field 'expect': recovers(2)"),
    (change("options.rest", "kep"), "field 'options': rest='kep' is unknown. Did you mean 'keep'?"),
    (change("metric", "los(io)"), "field 'metric': metric 'los(io)' is unknown. Did you mean 'loss'?"),
    (change("sites.io.0.components", ["wte"]), "field 'sites.io[0]': 'wte' names no component"),
    (change("sites.io", "outside"), "field 'sites.io' must be a list of sites, or 'inside'"),
    (change("sites.name.0.reads", {"v": ["who"]}), "field 'sites.name' reads 'who', which is no placed parent"),
    (change("sites.doubled.0.reads", {"v": ["name"]}), "'sites.doubled' reads 'name', which is no placed parent"),
    (change("sites.name.0.reads", {"v": "io"}), "field 'sites.name[0].reads.v' is no list of names"),
    (change("variables.0.parents", ["s1 "]), "field 'variables[0].parents' holds 's1 ', which is no name"),
    (change("variables.0.parents", ["s9"]), "claim.json: the data have no column 's9'; they have io, s1, s2, "),
    (change("variables.0.name", "name"), "values.json: unknown field 'values.doubled'"),
    (change("variables.0.round", -1), "claim.json: variable 'doubled': round=-1 must be a positive width"),
    (change("metric", 3), "field 'metric' is 3, of a wrong type"),
    (change("pool", [99]), "field 'pool' holds 99, which is none of the 24 rows"),
    (change("expect.share", 0.5), "claim.txt:"),
    (change("foil", None), "claim.txt:"),
    (change("digest", "00"), "field 'digest' is 00, and the claim's is "),
    (change("model.graph", "gpt3"), "and the claim's is "),
    (lambda record: record.pop("metric"), "field 'metric' is missing"),
    (lambda record: record["files"].pop("rows.jsonl"), "field 'files.rows.jsonl' is missing"),
])  # fmt: skip
def test_a_changed_field_is_named(changed: Change, told: str, folder: Path) -> None:
    record = json.loads((folder / "claim.json").read_text())
    changed(record)
    (folder / "claim.json").write_text(json.dumps(record))
    with pytest.raises(ClaimError) as error:
        scrub.thaw(folder)
    assert told in str(error.value)
    assert str(folder) in str(error.value)


def test_a_field_that_is_like_none_suggests_none(folder: Path) -> None:
    record = json.loads((folder / "claim.json").read_text())
    (folder / "claim.json").write_text(json.dumps(record | {"extra": 1}))
    with pytest.raises(ClaimError, match=r"unknown field 'extra'\.$"):
        scrub.thaw(folder)


def test_lines_may_end_as_on_windows(folder: Path) -> None:
    """As git checks them out there: none of the files holds the end of a line within a text."""
    unchanged = read_frozen(folder).text
    for file in (file for file in folder.iterdir() if file.suffix != ".safetensors"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_frozen(folder).text == unchanged


@pytest.mark.parametrize("name", ["rows.jsonl", "values.json", "claim.txt"])
def test_a_changed_or_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).write_text((folder / name).read_text().replace("1", "2", 1))
    with pytest.raises(ClaimError, match=rf"{name}.* changed"):
        scrub.thaw(folder)
    (folder / name).unlink()
    with pytest.raises(ClaimError, match=f"{name} cannot be read"):
        scrub.thaw(folder)


@pytest.mark.parametrize(("name", "old", "new", "told"), [
    ("values.json", '"rows": [', '"rows": [99, ', "field 'rows' names other rows"),
    ("values.json", '"doubled": [', '"doubled": [0.5, ', "field 'values.doubled[0]': 0.5 is no value"),
    ("values.json", '"doubled": [', '"doubled": [1, ', "holds 21 values of 'doubled', and the claim has 20"),
    ("values.json", '"doubled"', '"double"', "unknown field 'values.double'. Did you mean 'doubled'?"),
    ("rows.jsonl", '"positions"', '"position"', "unknown field 'line 1.position'. Did you mean 'positions'?"),
    ("rows.jsonl", "10", "11", "claim.txt:"),
    ("rows.jsonl", '"IO": 1', '"IO": 99', "claim.json: row 0: position 'IO' is 99"),
    ("rows.jsonl", '"0"', '"1/0"', "field 'line 1'"),
    ("rows.jsonl", "{", "[", "is no JSON"),
])  # fmt: skip
def test_a_changed_file_with_its_digest_changed_too_is_found(
    name: str, old: str, new: str, told: str, folder: Path
) -> None:
    """Who rewrites the digest as well meets the canonical text."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    record = json.loads((folder / "claim.json").read_text())
    record["files"][name] = file_digest((folder / name).read_text())
    (folder / "claim.json").write_text(json.dumps(record))
    with pytest.raises(ClaimError) as error:
        read_frozen(folder)
    assert told in str(error.value)


def cached(hub: Path, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local cache of the hub knows gpt2 at a revision; of its files it has none."""
    refs = hub / "models--gpt2" / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))


def test_the_revision_of_a_model_of_the_hub_is_recorded_and_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypothesis, hub = names_claim(**GPT2), tmp_path / "hub"
    cached(hub, "a" * 40, monkeypatch)
    scrub.freeze(hypothesis, tmp_path / "first")
    record = json.loads((tmp_path / "first" / "claim.json").read_text())
    assert record["model"]["revision"] == "a" * 40
    thawed = scrub.thaw(tmp_path / "first")
    assert thawed.model == "gpt2"
    assert scrub.check(thawed).problems == ()
    assert scrub.diff(hypothesis, tmp_path / "first").same
    scrub.freeze(thawed, tmp_path / "again")
    assert (tmp_path / "again" / "claim.json").read_text() == (tmp_path / "first" / "claim.json").read_text()
    cached(hub, "b" * 40, monkeypatch)
    with pytest.raises(
        ModelError, match=f"frozen with revision {'a' * 40} of gpt2, and the local cache holds b.*--mod"
    ):
        scrub.plan(thawed)
    assert scrub.plan(thawed, model="gpt2").rows == scrub.plan(hypothesis).rows  # asked for by name: mine will do
    assert scrub.plan(thawed.but(model="gpt2")).draws == 20
    (hub / "models--gpt2" / "refs" / "main").unlink()
    assert scrub.check(thawed).problems == ()  # nothing to compare it with
    scrub.freeze(hypothesis, tmp_path / "unknown")
    assert json.loads((tmp_path / "unknown" / "claim.json").read_text())["model"]["revision"] is None
