"""What `model=` may be, without weights; and shapes as the weights themselves have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import networkx as nx
import pytest
import torch
from torch.nn import Linear

from claim_cases import names_claim, names_rows
from model.tiny_models import bridged, hugging_face, native
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims import hub
from scrub.claims.dataset import Dataset
from scrub.claims.text import words
from scrub.errors import DataError, ModelError
from scrub.model import source
from scrub.model.computation import Computation
from scrub.model.known import shape_of_config, shapes
from scrub.model.layers import unembed
from scrub.model.load import load
from scrub.model.resolve import data_of
from scrub.model.source import find
from scrub.model.trace import trace
from scrub.model.transformer import adapt

CONFIG: dict[str, Any] = {
    "model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 3, "vocab_size": 20, "n_positions": 9
}  # fmt: skip


LLAMA: dict[str, Any] = {
    "model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "hidden_size": 16, "intermediate_size": 24, "vocab_size": 31, "max_position_embeddings": 24,
}  # fmt: skip


def graph() -> nx.DiGraph:
    made = nx.DiGraph()
    made.add_node("a")
    made.add_node("out", function=lambda a: a)
    made.add_edge("a", "out")
    return made


def directory(path: Path, config: Any = CONFIG) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def transformer(model: Any) -> TransformerGraph:
    found = find(model).graph
    assert isinstance(found, TransformerGraph)
    return found


def test_a_graph_and_what_makes_one() -> None:
    for model in (graph(), graph, lambda: graph, Computation.of(graph())):
        assert isinstance(find(model).graph, Computation)


def test_a_model_of_the_zoo_with_its_words() -> None:
    found = find("zoo:induction")
    assert transformer("zoo:induction").shape.n_layers == 2
    assert found.tokenizer is not None
    assert found.tokenizer.get_vocab_size() == 101


def test_a_directory_with_and_without_a_tokenizer(tmp_path: Path) -> None:
    folder = directory(tmp_path / "model")
    assert find(folder).tokenizer is None
    assert (transformer(str(folder)).name, transformer(folder).shape.n_layers) == ("model", 3)
    made: Any = words(["a", "b"])
    made.save(str(folder / "tokenizer.json"))
    tokenizer = find(folder).tokenizer
    assert tokenizer is not None
    assert tokenizer.get_vocab_size() == 2


def test_a_directory_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory(tmp_path / "model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert transformer("~/model").name == "model"


def test_a_well_known_name_needs_no_file() -> None:
    assert transformer("gpt2").shape == shapes()["gpt2"] == transformer("gpt2-small").shape
    assert find("gpt2").tokenizer is None


def test_a_loaded_bridge_and_what_was_taken_from_it() -> None:
    bridge = native()
    taken = adapt(bridge)
    assert transformer(bridge).shape == transformer(taken).shape == taken.shape
    assert find(bridge).loaded is bridge


@torch.no_grad()
@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "LlamaForCausalLM", "BertForMaskedLM"])
def test_a_model_of_hugging_faces_is_wrapped_and_stays_as_it_was(kind: str) -> None:
    module: Any = hugging_face(kind)
    before, tokens = {name: type(part) for name, part in module.named_modules()}, torch.tensor([[3, 1, 4]])
    logits = module(tokens).logits
    for _ in range(2):  # a claim about it is checked, and then tested
        found = find(module)
        assert (found.name, found.tokenizer, find(found.loaded).graph) == (kind, None, found.graph)
        weights = load(module)
        torch.testing.assert_close(unembed(weights, trace(weights, tokens, torch.tensor([3]))), logits)
    assert {name: type(part) for name, part in module.named_modules()} == before
    assert torch.equal(module(tokens).logits, logits)


def test_a_model_of_hugging_faces_brings_the_tokenizer_beside_it(tmp_path: Path) -> None:
    module: Any = hugging_face("GPT2LMHeadModel")
    module.save_pretrained(tmp_path / "mine")
    made: Any = words(["a", "b"])
    made.save(str(tmp_path / "mine" / "tokenizer.json"))
    found = find(type(module).from_pretrained(tmp_path / "mine"))
    assert found.name == "mine"
    assert found.tokenizer is not None
    assert found.tokenizer.get_vocab_size() == 2


class Own:
    """A tokenizer of a user's: ids, and no offsets."""

    def __init__(self, size: int = 31) -> None:
        self.size = size

    def get_vocab_size(self) -> int:
        return self.size

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [ord(letter) % self.size for letter in text]


@pytest.mark.parametrize("tokenizer", [Own(), Own(0), object()])
def test_a_bridge_whose_tokenizer_cannot_be_used_takes_token_ids(tokenizer: Any) -> None:
    bridge = native()
    bridge.tokenizer = tokenizer
    found = find(bridge)
    assert found.tokenizer is None
    with pytest.raises(DataError, match=r"native has none here \((Own|object|the tokenizer).*\): use a directory"):
        data_of(names_claim(data=lambda tokenizer: None), found)
    assert data_of(names_claim(data=lambda: Dataset.from_rows(names_rows())), found).has_tokens


KINDS = {
    "gpt2": "GPT2LMHeadModel",
    "gpt_neox": "GPTNeoXForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma": "GemmaForCausalLM",
}


@pytest.mark.parametrize("family", KINDS)
def test_a_config_says_what_the_weights_say(family: str) -> None:
    changes = {"head_dim": 4} if family in ("qwen3", "gemma") else {}
    config = hugging_face(KINDS[family], **changes).config
    found = shape_of_config(json.loads(json.dumps(config.to_dict(), default=str)), "tiny")  # pyright: ignore
    assert (found.family, found.gated) == (family, family not in ("gpt2", "gpt_neox"))
    wanted = adapt(bridged(KINDS[family], **changes)).shape
    assert attrs.evolve(found, family="") == attrs.evolve(wanted, family="")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("{", "cannot be read"),
        ("[]", "describes no model"),
        ("[" * 100_000, "nested too deeply"),
        (
            {"model_type": "gpt2", "n_layer": "2"},
            "'n_layer' is \"2\", no whole number .*; 'n_head' is missing; 'n_embd'",
        ),
        ({**CONFIG, "n_layer": None}, "'n_layer' is null, no whole number from 1 to 1,000"),
        ({**CONFIG, "n_layer": -1}, "'n_layer' is -1"),
        ({**CONFIG, "n_layer": 10**9}, "'n_layer' is 1000000000"),
        ({**CONFIG, "n_head": True}, "'n_head' is true"),
        ({**CONFIG, "n_head": 3}, "'n_embd', 8, is no multiple of 'n_head', 3"),
        ({**CONFIG, "n_inner": "32"}, "'n_inner' is \"32\""),
        ({**CONFIG, "vocab_size": 20.0}, r"'vocab_size' is 20\.0"),
        ({**LLAMA, "num_hidden_layers": 0}, "'num_hidden_layers' is 0"),
        ({**LLAMA, "num_key_value_heads": 3}, "'num_attention_heads', 4, is no multiple of 'num_key_value_heads', 3"),
        ({**LLAMA, "model_type": "gpt_neox", "use_parallel_residual": "no"}, 'is "no", neither true nor false'),
        ({"model_type": "nobody"}, "'nobody', which the installed transformers does not have: give the loaded"),
        ({"model_type": "nobody", "auto_map": {"A": "b"}}, "its code comes with the model, and is not run"),
        ({"model_type": "mamba", "vocab_size": 31, "hidden_size": 16}, r"\(MambaForCausalLM\) has a recurrent state"),
        ({"model_type": "vit"}, "'vit' gives no logits of tokens"),
        ({"model_type": "t5", "is_encoder_decoder": True}, r'an encoder with a decoder \("t5"\)'),
        ({}, "'model_type' is null"),
        ({"model_type": ["x" * 99]}, r"'model_type' is .{40}\.\.\.\.$"),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path: Path, config: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        find(directory(tmp_path, config))
    assert str(tmp_path / "config.json") in str(caught.value)
    assert "Did you mean" not in str(caught.value)  # a family is no typo


@pytest.mark.parametrize("key", ["num_key_value_heads", "head_dim"])
def test_a_number_that_follows_from_others_may_be_null(tmp_path: Path, key: str) -> None:
    without = {name: value for name, value in LLAMA.items() if name != key}
    shapes = [transformer(directory(tmp_path, config)).shape for config in ({**LLAMA, key: None}, without)]
    assert shapes[0] == shapes[1]
    assert shapes[0].n_heads * shapes[0].d_head == 16


def broken() -> None:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (3, "model=int is no model"),
        (nx.DiGraph, "model=type is no model"),
        (broken, r"model=: broken\(\) raised KeyError: 'x'"),
        (lambda: None, "model=NoneType is no model"),
        (Linear(2, 2), "model=Linear is no model: .* a language model of Hugging Face's, a TransformerBridge"),
        ("zoo:inductoin", "Did you mean 'induction'"),
        ("gpt2-smal", "Did you mean 'gpt2-small'"),
        ("induction", "Did you mean 'zoo:induction'"),
        ("EleutherAI/pythia-70", "Did you mean 'EleutherAI/pythia-70m'"),
        ("EleutherAI/gpt-neo-125m", r"reached\. A directory"),  # another model is no typo
        ("facebook/opt-125m", r"reached\. A directory"),
        ("a/b", "the Hugging Face hub cannot be reached.*--model DIR"),
        ("./a/b", "there is no such directory"),
    ],
)
def test_what_is_no_model(model: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        find(model)


def test_a_function_that_makes_the_model_is_called_once() -> None:
    made: list[nx.DiGraph] = []

    def model() -> nx.DiGraph:
        made.append(nx.DiGraph([("a", "b")]))
        made[-1].nodes["b"]["function"] = lambda a: a
        return made[-1]

    assert list(find(model).graph.nodes) == list(find(model).graph.nodes) == ["a", "b"]  # pyright: ignore
    assert len(made) == 1


def test_a_directory_without_config_or_with_a_bad_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        find(tmp_path)
    directory(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="no tokenizer that can be read"):
        find(tmp_path)


def test_a_name_of_the_hubs_is_read_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Any = words(["a", "b", "c"])
    made.save(str(directory(tmp_path) / "tokenizer.json"))
    asked: list[tuple[str, str]] = []

    def there(name: str, file: str) -> Path:
        asked.append((name, file))
        return tmp_path / file

    monkeypatch.setattr(source, "hub_file", there)
    found = find("some/model")
    assert (found.name, transformer("some/model").shape.n_layers) == ("some/model", 3)
    assert found.tokenizer is not None
    assert found.tokenizer.get_vocab_size() == 3
    asked.clear()
    assert transformer("gpt2-small").shape == shapes()["gpt2"]  # the table first, under the hub's own name
    assert asked == [("gpt2", "tokenizer.json")]


def test_the_hub_is_asked_only_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    opened: list[Any] = []

    def unreachable(request: Any, timeout: float) -> None:
        opened.append(request.full_url)
        raise OSError("no network")

    hub._answers.cache_clear()
    monkeypatch.setattr(hub.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.hub_file("some/model", "config.json") is None
    assert opened == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert hub.hub_file("some/model", "config.json") is None
    assert hub.hub_file("some/model", "tokenizer.json") is None
    assert hub.hub_file("./no/name", "config.json") is None
    assert opened == [constants.ENDPOINT]  # once
    monkeypatch.setattr(constants, "ENDPOINT", "https://elsewhere.test")
    assert not hub.reachable()
    monkeypatch.setattr(hub.time, "monotonic", lambda: hub.AGAIN)
    assert not hub.reachable()
    assert opened[1:] == ["https://elsewhere.test"] * 2  # another hub, and another minute


def test_the_hubs_cache_is_read_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    kept = tmp_path / "models--some--model" / "snapshots" / "abc"
    kept.mkdir(parents=True)
    (kept / "config.json").write_text("{}")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    lookup = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda name, file: lookup(name, file, cache_dir=tmp_path)
    )
    assert hub.hub_file("some/model", "config.json") == kept / "config.json"
    assert hub.hub_file("some/model", "tokenizer.json") is None
    (kept / "tokenizer.json").write_text("{}")  # it has come since
    assert hub.hub_file("some/model", "tokenizer.json") == kept / "tokenizer.json"
