"""Directories whose layers are run from their files: the numbers of the model in memory, and little held."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file

import scrub
from model.tiny_models import CAPPED, hugging_face
from scrub import Interpretation, claim, embed, heads, logits, recovers
from scrub.engine import cache as row_cache
from scrub.engine.cache import run_pool
from scrub.engine.cost import StreamedWeights
from scrub.engine.needs import Need
from scrub.errors import ClaimError, ModelError
from scrub.model import bridged, cluster, selfcheck, stream, workers
from scrub.model.later import Later
from scrub.model.load import load
from scrub.model.mapped import MappedTensors
from scrub.model.memory import Backend, Memory
from scrub.model.open import open_weights
from scrub.model.shards import INDEX
from scrub.model.source import Streamed, find
from scrub.model.weights import Attn, Mlp, Transformer
from scrub.score import sample
from scrub.storage.rows import weights_key
from verbs.test_memory import close

LAYERS = 4
KINDS: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": {"n_layer": LAYERS},
    "LlamaForCausalLM": {"num_hidden_layers": LAYERS},
    "Gemma2ForCausalLM": CAPPED | {"num_hidden_layers": LAYERS},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Directories of several shards, in bf16, as transformers writes them."""
    folder = tmp_path_factory.mktemp("streamed")

    @cache
    def of(kind: str) -> Path:
        hugging_face(kind, **KINDS[kind]).to(torch.bfloat16).save_pretrained(folder / kind, max_shard_size="6KB")
        return folder / kind

    return of


def copies(through: str | None) -> Any:
    story = Interpretation()

    @story.variable
    def found(a: str) -> str:
        return a

    @story.variable
    def answer(found: str) -> str:
        return found

    tokens = [[i % 30, 7 * i % 30, 3 * i % 30, i % 9, i % 7][: 4 + i % 2] for i in range(30)]
    rows = [{"tokens": t, "positions": {"A": 1, "END": -1}, "columns": {"a": t[1]}} for t in tokens]

    @claim(
        story, model="given", data=scrub.Dataset.from_rows(rows), metric="kl", through=through,
        expect=recovers(0.5), predicts="a",
    )  # fmt: skip
    def copying() -> Any:
        found = [heads("1.0 1.2", at="END").reads(v="a"), heads("3.1", at="END").reads(v="a")]
        return dict(a=embed("A"), found=found, answer=logits("END"))

    return copying


SMALL: dict[str, Any] = {"draws": 1, "controls": "none", "parts": "none", "explain": False}


@pytest.mark.parametrize(
    ("kind", "through", "dtype", "compared"),
    [
        ("GPT2LMHeadModel", "mlps", "auto", "float32 and in bfloat16"),
        ("LlamaForCausalLM", "all", "float32", "float32"),
        ("Gemma2ForCausalLM", "mlps", "float16", "float32 and in float16"),
    ],
)
def test_numbers_are_those_of_the_model_in_memory(
    kind: str, through: str, dtype: str, compared: str, written: Any
) -> None:
    given = SMALL | {"model": str(written(kind)), "dtype": dtype}
    there, streamed = (scrub.test(copies(through), stream=stream, **given).to_dict() for stream in (False, True))
    said = streamed["provenance"]["model"].pop("checked")
    assert said.startswith("layers run from files; logits compared")
    assert said.endswith(f"from the same files in {compared}")
    assert close(there, streamed)


def opened(folder: Path, dtype: str = "auto") -> Transformer:
    return open_weights(find(Streamed(folder)), Backend(dtype=dtype))


def test_half_precision_is_not_copied(written: Any) -> None:
    """Matrices are the files' own numbers, inside of layers and outside; streams are fp32."""
    folder = written("LlamaForCausalLM")
    model = opened(folder)
    matrices = [model.W_E, model.W_U, model.blocks[2].attn.W_Q, model.blocks[2].mlp.W_in]
    assert {matrix.dtype for matrix in matrices} == {torch.bfloat16}
    assert model.dtype == torch.float32
    mapped = MappedTensors.of(matrices, folder.glob("*.safetensors"))
    assert len(mapped.tensors) == len(matrices)


def test_half_precision_that_rounds_more_than_the_model_does_is_refused(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_opened", {})
    monkeypatch.setattr(selfcheck, "ROUNDINGS", 0.0)
    opened(written("LlamaForCausalLM"), "float32")
    with pytest.raises(ModelError, match=r"LlamaForCausalLM .* is not reproduced"):
        opened(written("LlamaForCausalLM"))


def test_layers_are_read_once_for_keys(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the model is called, and in however much memory it runs; in memory it has the same key."""
    model, made = opened(written("GPT2LMHeadModel")), list[type]()
    make = Later.__call__
    monkeypatch.setattr(Later, "__call__", lambda part: (made.append(part.kind), make(part))[1])
    key = weights_key(model)
    assert sorted(made, key=str) == [Attn] * LAYERS + [Mlp] * LAYERS
    assert weights_key(attrs.evolve(model, name="other", memory=Memory(1))) == key
    assert len(made) == 2 * LAYERS
    assert weights_key(load(written("GPT2LMHeadModel"), dtype=None)) == key
    assert weights_key(opened(written("GPT2LMHeadModel"), "float32")) != key


def test_workers_run_layers_from_the_same_files(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "START", 0.0)  # they begin at once
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 10)
    began, begin = list[Any](), workers._Pool.begin
    monkeypatch.setattr(workers._Pool, "begin", lambda pool, task: (began.append(task.run), begin(pool, task))[1])
    given = SMALL | {"model": str(written("LlamaForCausalLM")), "stream": True}
    one, two = (scrub.test(copies("mlps"), workers=number, **given).to_dict() for number in (1, 2))
    assert close(one, two)
    assert began
    assert row_cache._sent not in began  # each would read every layer
    with pytest.raises(ClaimError, match="with --stream they stay in files of this one: use --workers N"):
        cluster.Cluster("local", 2, dict[str, str]).on(torch.device("cpu"), 0, streamed=True)


def test_the_row_store_takes_every_layer_once(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many slices there are; and no more than two layers are held."""
    model, made = opened(written("LlamaForCausalLM")), list[type]()
    make = Later.__call__

    def counted(part: Later[Any]) -> Any:
        made.extend([part.kind] * (part not in part.lending.held))
        assert len(part.lending.held) <= 4
        return make(part)

    monkeypatch.setattr(Later, "__call__", counted)
    monkeypatch.setattr(row_cache, "ROWS_AT_ONCE", 3)
    need, told, rows = Need(), list[int](), list[int]()
    for layer in range(LAYERS + 1):
        need.add(("resid_pre", layer), None)
    data = copies(None).data
    run_pool(model, data, need, lambda kind, value, which: told.extend([kind[1]] * len(which)), rows.append)
    assert sorted(made, key=str) == [Attn] * LAYERS + [Mlp] * LAYERS
    assert sum(rows) == len(data)
    assert sorted(told) == sorted([*range(LAYERS + 1)] * len(data))  # what is between two layers is told once


def test_a_directory_is_opened_and_compared_once(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times = list[str]()
    for name in ("bridge_of", "compare_in_parts"):
        done = getattr(stream, name)
        monkeypatch.setattr(stream, name, lambda *given, d=done, n=name: (times.append(n), d(*given))[1])
    for _ in range(2):
        opened(written("GPT2LMHeadModel"))
    assert times == ["bridge_of", "compare_in_parts"]


def test_what_is_not_reproduced_is_refused(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_opened", {})
    monkeypatch.setitem(bridged._ACT_MODULES, "NewGELUActivation", "relu")
    with pytest.raises(ModelError, match=r"GPT2LMHeadModel .* is not reproduced"):
        opened(written("GPT2LMHeadModel"))


@pytest.fixture
def damaged(written: Any, tmp_path: Path) -> Path:
    """A directory of which one file lacks a tensor."""
    folder = shutil.copytree(written("LlamaForCausalLM"), tmp_path / "damaged")
    file = folder / listed(folder)[LACKING]
    save_file({k: v for k, v in load_file(file).items() if k != LACKING}, file, metadata={"format": "pt"})
    return folder


LACKING = "model.layers.2.mlp.up_proj.weight"


def listed(folder: Path) -> dict[str, str]:
    return json.loads((folder / INDEX).read_text())["weight_map"]


def test_what_files_lack_is_named(damaged: Path) -> None:
    file = listed(damaged)[LACKING]
    checked = scrub.check(copies(None), str(damaged), stream=True)
    assert f"lacks {LACKING} in {file}, which {INDEX} lists" in checked.problems[0].found
    (damaged / file).unlink()
    with pytest.raises(ModelError, match=f"lacks {file}, which {INDEX} lists"):
        scrub.load(damaged, stream=True)
    # one that no list speaks of is missed by the model
    index = json.loads((damaged / INDEX).read_text())
    kept = {name: where for name, where in listed(damaged).items() if where != file}
    (damaged / INDEX).write_text(json.dumps(index | {"weight_map": kept}))
    with pytest.raises(ModelError, match=r"do not fit its config.json: .* missing"):
        opened(damaged)


@pytest.mark.parametrize(
    ("model", "said"),
    [("zoo:induction", "zoo:induction is none: leave --stream out"), (3, "model=int is in memory already")],
)
def test_what_is_no_directory_is_not_run_from_files(model: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        scrub.load(model, stream=True)


def test_weights_of_another_form_are_not_mapped(written: Any, tmp_path: Path) -> None:
    shutil.copy(written("LlamaForCausalLM") / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"maps \*\.safetensors into memory, and .* holds none"):
        scrub.load(tmp_path, stream=True)


def test_weights_of_two_dtypes_are_not_mapped(written: Any, tmp_path: Path) -> None:
    """They would be cast as they are opened: rounded, or in memory."""
    folder = shutil.copytree(written("LlamaForCausalLM"), tmp_path / "two")
    file = folder / listed(folder)["model.norm.weight"]
    save_file(load_file(file) | {"model.norm.weight": torch.ones(16)}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"holds weights in BF16, F32, and --stream maps those of one dtype"):
        opened(folder)


def test_the_plan_says_what_is_held(written: Any) -> None:
    planned = scrub.plan(copies(None), str(written("LlamaForCausalLM")), stream=True)
    module = hugging_face("LlamaForCausalLM", **KINDS["LlamaForCausalLM"])
    layers = [sum(p.numel() for p in layer.parameters() if p.ndim > 1) for layer in module.model.layers]
    everything = sum(p.numel() for p in module.parameters())
    assert planned.streamed == StreamedWeights(2 * everything, 2 * (everything - sum(layers[2:])))
    assert "held at once (two layers, and what is outside of them)" in str(planned)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what is held of a file")
def test_what_was_read_of_a_file_is_given_back(tmp_path: Path) -> None:
    """And nothing that lies elsewhere is touched."""
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2**20)}, file)
    found = load_file(file)["a"]
    mapped = MappedTensors.of([found, torch.ones(2**20)], [file])
    assert mapped.tensors[0].data_ptr() == found.data_ptr()
    assert len(mapped.tensors) == 1
    assert float(found.sum()) == 2**20
    assert held_of(file) > 2**21
    mapped.let_go()
    assert held_of(file) == 0
    assert float(found.sum()) == 2**20


def held_of(file: Path) -> int:
    """Bytes of a mapped file that this process holds."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.endswith(str(file))]
    return sum(
        1024 * int(next(line for line in lines[start:] if line.startswith("Rss:")).split()[1]) for start in starts
    )
