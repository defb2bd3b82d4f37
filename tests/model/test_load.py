"""Loading: a directory is enough, nothing is invented silently, and every failure is one sentence."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import scrub
from model.tiny_models import hugging_face, native
from scrub.errors import ModelError
from scrub.model import load as loading
from scrub.model import transformer
from scrub.model.layers import unembed
from scrub.model.load import load
from scrub.model.trace import trace

DATA = Path(os.environ.get("SCRUB_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
WEIGHT = "transformer.h.0.attn.c_proj.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    hugging_face("GPT2LMHeadModel").save_pretrained(path)
    return path


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@torch.no_grad()
def test_a_directory_without_tokenizer_loads(saved: Path) -> None:
    model = load(str(saved), dtype=torch.float64)
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    wanted = hugging_face("GPT2LMHeadModel").double()(tokens).logits
    torch.testing.assert_close(unembed(model, trace(model, tokens, torch.tensor([5]))), wanted)
    assert (model.name, model.processing, len(model.revision)) == ("tiny", "raw", 32)
    assert model.revision == load(saved, dtype=torch.float32).revision


def test_a_directory_is_opened_once_as_long_as_its_files_stay(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, opened = loading.from_directory, list[Path]()
    monkeypatch.setattr(loading, "from_directory", lambda path, dtype: opened.append(path) or own(path, dtype))
    before = load(copied)
    assert load(str(copied)).W_E.data_ptr() == before.W_E.data_ptr()
    assert len(opened) == 1
    file = copied / "model.safetensors"
    save_file({name: -tensor for name, tensor in load_file(file).items()}, file, {"format": "pt"})
    after = load(copied)
    assert after.revision != before.revision
    load(copied, dtype=torch.float64)
    assert len(opened) == 3


def test_claims_about_one_directory_take_and_check_it_once(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("_taken", "self_check", "digest"):
        own = getattr(transformer, name)
        monkeypatch.setattr(transformer, name, lambda *given, n=name, f=own: calls.append(n) or f(*given))
    story = scrub.Interpretation()

    @story.variable
    def answer(last: int) -> int:
        return last

    rows = [{"tokens": [3, n, 5], "positions": {"END": 2}, "columns": {"last": n}} for n in range(12)]
    setting = {"model": str(copied), "data": scrub.Dataset.from_rows(rows), "metric": "kl", "predicts": "last"}

    @scrub.claim(story, **setting, expect=scrub.recovers(0.5))
    def last() -> dict[str, Any]:
        return {"last": scrub.embed("END"), "answer": scrub.logits("END")}

    assert not scrub.check(last).problems
    scrub.plan(last)
    for _ in range(2):
        scrub.test(last, draws=1, controls="none", parts="none", explain=False)
    scrub.compare(last, last.but(expect=scrub.recovers(0.6)), draws=1, controls="none")
    assert calls == ["_taken", "self_check", "digest"]


def test_fp64_weights_are_read_in_fp64(tmp_path: Path) -> None:
    module = hugging_face("GPT2LMHeadModel").double()
    with torch.no_grad():
        module.transformer.wte.weight.add_(1e-12)
    module.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path, dtype=torch.float64).W_E, module.transformer.wte.weight)


def test_a_loaded_bridge_and_a_loaded_model_are_taken_as_they_are() -> None:
    model = load(native(), dtype=torch.float64)
    assert model.shape.family == "TransformerLensNative"
    assert load(model, dtype=torch.float32).dtype == torch.float32


def damage(path: Path, what: str) -> None:
    file = path / "model.safetensors"
    match what:
        case "no config":
            (path / "config.json").unlink()
        case "no weights":
            file.unlink()
        case "cut weights":
            file.write_bytes(file.read_bytes()[:500])
        case "broken config":
            (path / "config.json").write_text("{")
        case "unknown kind":
            (path / "config.json").write_text('{"model_type": "florp"}')
        case _:
            tensors = load_file(file)
            tensors[WEIGHT] = torch.zeros(3)
            if what == "missing":
                del tensors[WEIGHT]
            save_file(tensors, file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("no config", "holds no config.json, so it is no model; give a directory"),
        ("no weights", r"holds a config.json but no weights \(\*.safetensors\); give a directory"),
        ("cut weights", r"cannot be read \(Error while deserializing header.*\): it is damaged"),
        ("broken config", "cannot be read .*not a valid JSON file"),
        ("unknown kind", "cannot be read .*florp"),
        ("missing", f"do not fit its config.json: {WEIGHT} missing or misshapen"),
        ("misshapen", f"do not fit its config.json: {WEIGHT} missing or misshapen"),
    ],
)
def test_damaged_directories_are_refused_in_one_sentence(copied: Path, what: str, sentence: str) -> None:
    damage(copied, what)
    with pytest.raises(ModelError, match=sentence) as caught:
        load(copied)
    assert str(copied) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layer_less_than_the_file_has_is_told_with_the_tensors_of_that_layer(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"n_layer": 1}))
    names = r"transformer\.h\.1\.attn\.c_attn\.weight, .* and 8 more would not be used. Does it say fewer layers"
    with pytest.raises(ModelError, match=names):
        load(copied)


def test_masks_angles_and_tied_heads_in_a_file_are_harmless(copied: Path) -> None:
    tensors = load_file(copied / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    masks = {
        f"h.{layer}.attn.{name}": torch.ones(1, 1, 24, 24) for layer in (0, 1) for name in ("bias", "masked_bias")
    }
    head = {"lm_head.weight": tensors["transformer.wte.weight"].clone()}
    wanted = load(copied).revision
    for more in (masks, head, {"h.0.attn.rotary_emb.inv_freq": torch.ones(2)}):
        save_file(bare | more, copied / "model.safetensors", metadata={"format": "pt"})
        assert load(copied).revision == wanted


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("./nowhere", r"there is no directory './nowhere'; .*--model DIR"),
        (Path("nowhere"), r"there is no directory 'nowhere'"),
        (
            "nobody/nothing",
            r"'nobody/nothing' is not in the local cache and .* cannot be reached; .*--model DIR",
        ),
        ("not a name", r"'not a name' cannot be loaded from the Hugging Face hub \(.*\); .*--model DIR"),
        (3, "an object of type int is no model"),
    ],
)
def test_sources_that_are_no_model(source: object, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        load(source)


@pytest.mark.skipif(not (DATA / "stories260K").is_dir(), reason="stories260K is not in $SCRUB_TEST_DATA")
@torch.no_grad()
def test_a_real_language_model_tells_a_story() -> None:
    model = load(DATA / "stories260K")
    assert (model.shape.n_layers, model.shape.n_heads, model.shape.n_kv_heads) == (5, 8, 4)
    pieces = json.loads((DATA / "stories260K" / "pieces.json").read_text())
    tokens = [1]
    for _ in range(12):
        row = torch.tensor([tokens])
        tokens.append(int(unembed(model, trace(model, row, torch.tensor([len(tokens)])))[0, -1].argmax()))
    assert "".join(pieces[token] for token in tokens[1:]).strip().startswith("Once upon a time")
