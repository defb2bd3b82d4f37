"""Checkpoints of one's own: the logits that TransformerLens 2.18 had, nanoGPT's, saved directories, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

import scrub
from claim_cases import names_claim, names_rows
from hypotheses.induction import induction
from model.tiny_models import bridged, hugging_face, native
from scrub.claims.dataset import Dataset
from scrub.claims.hub import Pinned
from scrub.errors import ModelError
from scrub.model.load import load
from scrub.model.open import zoo_bridge
from scrub.model.source import find

WRITTEN = sorted((Path(__file__).parent / "checkpoints").glob("*.pt"))  # by checkpoints/write.py, with 2.18.0


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.stem)
def test_a_hooked_transformer_has_the_logits_that_it_had(file: Path, tmp_path: Path) -> None:
    """By its file, by a state dict with its configuration beside it, and saved again."""
    found = torch.load(file, weights_only=False)
    tokens, wanted = found["tokens"], found["logits"]
    models = [scrub.load(file), scrub.load(found["state_dict"], found["cfg"])]
    torch.save(found["state_dict"], tmp_path / "model.pt")
    (tmp_path / "model.json").write_text(json.dumps({k: v for k, v in found["cfg"].items() if plain(v)}))
    models += [scrub.load(tmp_path / "model.pt"), scrub.load(scrub.save(tmp_path / "model.pt", tmp_path / "saved"))]
    for model in models:
        assert torch.allclose(model(tokens), wanted, atol=1e-5)
    digests = {load(model).revision for model in (*models, tmp_path / "model.pt", tmp_path / "saved")}
    assert len(digests) == 1
    assert find(str(tmp_path / "model.pt")).graph.shape == find(str(tmp_path / "saved")).graph.shape  # pyright: ignore


def test_the_norms_of_solu_are_read_and_where_they_were_folded_away_ones() -> None:
    found = torch.load(WRITTEN[0].with_name("folded.pt"), weights_only=False)
    settings, tokens = {**found["cfg"], "act_fn": "solu_ln"}, found["tokens"]
    norms = {
        f"blocks.{n}.mlp.ln.{k}": v for n in range(2) for k, v in {"w": torch.ones(7), "b": torch.zeros(7)}.items()
    }
    first, second = (scrub.load({**found["state_dict"], **more}, settings)(tokens) for more in ({}, norms))
    third = scrub.load(found["state_dict"] | norms | {"blocks.1.mlp.ln.w": torch.arange(7.0)}, settings)(tokens)
    assert torch.equal(first, second)
    assert not torch.allclose(first, third, atol=1e-2)


def plain(value: Any) -> bool:
    return isinstance(value, str | int | float | list | None) and type(value).__module__ == "builtins"


class Nano(nn.Module):
    """nanoGPT's model as its names and shapes say, in one layer of two heads of width 4."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        block = nn.ModuleDict({
            "ln_1": nn.LayerNorm(4, bias=bias), "ln_2": nn.LayerNorm(4, bias=bias),
            "attn": nn.ModuleDict({"c_attn": nn.Linear(4, 12, bias), "c_proj": nn.Linear(4, 4, bias)}),
            "mlp": nn.ModuleDict({"c_fc": nn.Linear(4, 16, bias), "c_proj": nn.Linear(16, 4, bias)}),
        })  # fmt: skip
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(7, 4), "wpe": nn.Embedding(5, 4), "h": nn.ModuleList([block]),
            "ln_f": nn.LayerNorm(4, bias=bias),
        })  # fmt: skip
        self.lm_head = nn.Linear(4, 7, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        parts: Any = self.transformer
        block = parts["h"][0]
        x = parts["wte"](tokens) + parts["wpe"].weight[: tokens.shape[1]]
        q, k, v = (
            t.unflatten(-1, (2, 2)).transpose(1, 2) for t in block["attn"]["c_attn"](block["ln_1"](x)).split(4, -1)
        )
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + block["attn"]["c_proj"](z)
        x = x + block["mlp"]["c_proj"](F.gelu(block["mlp"]["c_fc"](block["ln_2"](x))))
        return self.lm_head(parts["ln_f"](x))


@pytest.mark.parametrize("bias", [True, False])
def test_nanogpt_is_read_as_its_training_stores_it(bias: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, tokens = Nano(bias), torch.randint(0, 7, (3, 5))
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5)
    state = {f"_orig_mod.{name}": tensor for name, tensor in model.state_dict().items()}
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 4, "block_size": 5, "bias": bias, "vocab_size": 7, "dropout": 0.1}
    torch.save({"model": state, "model_args": sizes, "config": {"learning_rate": 1e-3}}, tmp_path / "ckpt.pt")
    assert torch.allclose(scrub.load(tmp_path / "ckpt.pt")(tokens), model(tokens), atol=1e-5)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    assert torch.allclose(scrub.load(tmp_path / "model.safetensors", {"n_head": 2})(tokens), model(tokens), atol=1e-5)


@pytest.mark.parametrize("make", [
    lambda: hugging_face("GPT2LMHeadModel"), lambda: bridged("LlamaForCausalLM", torch.float32),
    lambda: bridged("GPT2LMHeadModel", torch.float32), lambda: native_module(),
])  # fmt: skip
def test_what_is_saved_is_the_model(make: Any, tmp_path: Path) -> None:
    model = make()
    saved = scrub.save(model, tmp_path / "model")
    assert load(saved).revision == load(model).revision
    with pytest.raises(ModelError, match="exists already"):
        scrub.save(model, saved)


def native_module() -> nn.Module:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources.native import NativeModel

    sizes = {"n_layers": 1, "n_heads": 2, "d_model": 6, "d_head": 3, "d_mlp": 7, "d_vocab": 8, "n_ctx": 5}
    return NativeModel(TransformerBridgeConfig(**sizes, act_fn="gelu"))


SCORES = WRITTEN[[file.stem for file in WRITTEN].index("layernorm")]


def state() -> dict[str, Tensor]:
    return torch.load(SCORES, weights_only=False)["state_dict"]


@pytest.mark.parametrize(("config", "told"), [
    ({}, r'does not say act_fn.*add it, \{"act_fn": "gelu"\}'),
    ({"act_fn": "gleu"}, 'act_fn is "gleu", none of "relu"'),
    ({"act_fn": "gelu", "n_heads": 4}, "n_heads is 4, and the weights have 2"),
    ({"act_fn": "gelu", "use_local_attn": True, "n_layers": "2", "d_modle": 6},
     "use_local_attn is true: a window.*n_layers is \"2\", not a whole.*'d_modle'.*nearest is 'd_model'"),
    ({"act_fn": "gelu", "positional_embedding_type": "alibi"}, 'is "alibi", none of "standard", "rotary"'),
])  # fmt: skip
def test_a_configuration_that_does_not_do_is_told(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        scrub.load(state(), config)


@pytest.mark.parametrize(("change", "told"), [
    (lambda s: s.pop("blocks.1.attn.W_O"), "do not fit its configuration: blocks.1.attn.o.weight missing"),
    (lambda s: s.update({"blocks.0.attn.extra.w": torch.zeros(2)}), "blocks.0.attn.extra.weight would not be used"),
    (lambda s: s.update({"probe.weight": torch.zeros(2)}), "'probe.weight', which is no part of a HookedTransformer"),
    (lambda s: s.update({"ln_final.w": torch.zeros(2)}), r"ln_final.weight is of shape \(2,\), not \(6,\)"),
    (lambda s: s.update({"blocks.1.attn.W_Q": torch.zeros(3, 6, 2)}), r"W_Q' has shape \(3, 6, 2\)"),
    (lambda s: [s.pop(name) for name in list(s)[1:]], "names of no layout that is read: embed.W_E.*directory"),
    (lambda s: s.clear(), "holds no tensors by name"),
])  # fmt: skip
def test_weights_that_do_not_do_are_told(change: Any, told: str) -> None:
    found = state()
    change(found)
    with pytest.raises(ModelError, match=told):
        scrub.load(found, {"act_fn": "gelu"})


def test_files_that_are_no_weights_are_told(tmp_path: Path) -> None:
    torch.save({"state_dict": state(), "model": Nano(True)}, tmp_path / "objects.pt")
    (tmp_path / "damaged.pt").write_bytes(b"no zip")
    (tmp_path / "junk.pt").write_bytes(b"hello")  # a pickle may begin so
    (tmp_path / "damaged.safetensors").write_bytes(b"none")
    for name, told in (
        ("objects.pt", "Python objects beside tensors"), ("damaged.pt", "damaged|cannot be read"),
        ("junk.pt", "junk.pt is damaged"), ("damaged.safetensors", "no safetensors file"),
        ("none.pt", "no checkpoint that is there"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=told):
            scrub.load(tmp_path / name)
    with pytest.raises(ModelError, match=r"load\(GPT2LMHeadModel\): give .* is given to model= as it is\.$"):
        scrub.load(hugging_face("GPT2LMHeadModel"))
    layout = hugging_face("GPT2LMHeadModel").state_dict()
    with pytest.raises(ModelError, match="Hugging Face's GPT-2, no nanoGPT"):
        scrub.load(layout, {"n_head": 4})


def test_a_frozen_claim_knows_its_weights(tmp_path: Path) -> None:
    """Tested again from a saved directory; other weights are told, or refused where nobody asked for them."""
    model = native(n_layers=4, n_heads=2, n_ctx=16, d_vocab=50).to(torch.float32)
    folder = scrub.save(model, tmp_path / "model")
    rows = Dataset.from_rows(names_rows(24))
    hypothesis = names_claim(model=str(folder), data=rows)
    scrub.freeze(hypothesis, tmp_path / "claim")
    digest = load(folder).revision
    assert json.loads((tmp_path / "claim" / "claim.json").read_text())["model"]["revision"] == digest
    thawed = scrub.thaw(tmp_path / "claim")
    asked: dict[str, Any] = {"draws": 1, "controls": "none", "parts": "none", "explain": False}
    assert not told(scrub.test(thawed, **asked).warnings)
    other = scrub.save(native(1, n_layers=4, n_heads=2, n_ctx=16, d_vocab=50).to(torch.float32), tmp_path / "other")
    found = scrub.test(thawed, model=str(other), **asked)
    assert told(found.warnings) == [
        f"the claim was frozen with weights {digest[:12]}, and it was tested on others, {load(other).revision[:12]}: "
        "what was found is of these."
    ]
    folder.rename(tmp_path / "moved")
    other.rename(folder)
    with pytest.raises(ModelError, match=f"frozen with weights {digest[:12]} of .*model.*--model"):
        scrub.test(thawed, **asked)
    scrub.freeze(names_claim(model=model, data=rows), tmp_path / "loaded")  # without a name, and yet of these weights
    assert not told(scrub.test(scrub.thaw(tmp_path / "loaded"), model=str(tmp_path / "moved"), **asked).warnings)
    assert told(scrub.test(scrub.thaw(tmp_path / "loaded"), model=str(folder), **asked).warnings)


def told(warnings: tuple[str, ...]) -> list[str]:
    return [text for text in warnings if "was frozen with weights" in text]


def test_a_model_of_the_zoo_is_saved_by_its_name_and_known_by_its_weights(tmp_path: Path) -> None:
    """With its words, so that the claim is the same on the directory; frozen, it is told apart from other weights."""
    folder = scrub.save("zoo:induction", tmp_path / "model")
    asked: dict[str, Any] = {"rows": 40, "draws": 1, "controls": "none", "parts": "none", "explain": False}
    scrub.freeze(induction, tmp_path / "claim")
    thawed, digest = scrub.thaw(tmp_path / "claim"), load(folder).revision
    assert json.loads((tmp_path / "claim" / "claim.json").read_text())["model"]["revision"] == digest
    found = [scrub.test(thawed, model=model, **asked) for model in (None, str(folder))]
    assert found[0].recovered == found[1].recovered
    assert not [told(one.warnings) for one in found if told(one.warnings)]
    other = scrub.load({name: 2 * tensor for name, tensor in zoo_bridge("induction").state_dict().items()},
                       json.loads((folder / "config.json").read_text()))  # fmt: skip
    assert told(scrub.test(thawed, model=other, **asked).warnings)
    with pytest.raises(ModelError, match=r"frozen with weights 000000000000 of zoo:induction.*--model zoo:induction"):
        scrub.test(induction, model=Pinned("zoo:induction", "0" * 32), **asked)
