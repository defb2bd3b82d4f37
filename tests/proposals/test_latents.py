"""Latents of dictionaries as nodes, and their error: estimates and patching against hooks that add decoder rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from exact_nodes import LATER, batch_of, close, joint, metric_by_hand, model_of, scores
from safetensors.numpy import save_file
from test_propose import GALLERY, claim_in
from torch import Tensor

import scrub
from scrub.anatomy.names import Component
from scrub.claims.coded import Dictionary
from scrub.claims.collect import collect
from scrub.cli.group import main
from scrub.errors import ClaimError
from scrub.model.codes import PartCodes
from scrub.model.layers import norm
from scrub.proposals.forward import PatchBatch
from scrub.proposals.latents import LatentNodes
from scrub.proposals.nodes import kind_of
from scrub.proposals.patching import PlacedNode, effects
from scrub.zoo import words

D, M = 8, 12
HOSTS = {"embed": "embed", "resid 2": "resid_pre", "mlp 1": "mlp_out", "attn 1": "attn_out"}
STEP = 1e-6


def dictionary(seed: int = 0, **more: Any) -> Dictionary:
    draw = np.random.default_rng(seed)
    arrays = {name: draw.normal(size=size) * 0.5 for name, size in (("encoder", (D, M)), ("decoder", (M, D)))}
    return Dictionary(**arrays, bias=draw.normal(size=M) * 0.3, **more)


def host_of(name: str) -> Component:
    word, _, layer = name.partition(" ")
    return Component(word, int(layer) if layer else None)


def with_latents(batch: PatchBatch, hosts: Mapping[str, Dictionary]) -> PatchBatch:
    """A batch with some of the latents of a dictionary on each host as nodes; the others belong to its error."""
    codes, found = PartCodes(batch.model), dict[str, LatentNodes]()
    for name, one in hosts.items():
        component = attrs.evolve(host_of(name), part=one.stored.part((0, 2, 3, 7, 8, 11)))
        found[kind_of(component)] = LatentNodes(host_of(name), codes.of(component))
    return attrs.evolve(batch, dictionaries=found)


CASES = [(form, host) for form in ("gpt2", "llama", "neox") for host in HOSTS]
CASES += [(form, host) for form in LATER for host in HOSTS if host != "attn 1"]


@pytest.mark.parametrize(("form", "host"), CASES)
def test_latents_and_error_add_up_to_their_host(form: str, host: str) -> None:
    """Estimates sum to those of the host by every linear method; all patched together are the host patched."""
    batch = with_latents(batch_of(model_of(form), each=True), {host: dictionary(topk=4 if host == "mlp 1" else None)})
    (kind,) = batch.dictionaries
    for method in ("atp", "relp", "ig", "average", "dla", "eap-ig"):
        found = scores(batch, method, (host_of(host).kind, kind), steps=2) if method in ("ig", "eap-ig") else scores(
            batch, method, (host_of(host).kind, kind)
        )  # fmt: skip
        close(found[kind].sum(2)[:, 0], found[host_of(host).kind][:, host_of(host).layer or 0, 0], 1e-10)
    every = frozenset(PlacedNode(node, t) for node in batch.space.nodes(kind) for t in range(7))
    close(effects(batch, [every], lambda n: None), joint(batch, [batch.dictionaries[kind].place]), 1e-9)


@pytest.mark.parametrize(("form", "host"), CASES)
def test_scores_are_slopes_and_patches_are_what_a_hook_adds(form: str, host: str) -> None:
    """The hook adds `(new - old) row` of one latent; the error is moved by what all latents leave."""
    one = dictionary()
    batch = with_latents(batch_of(model_of(form)), {host: one})
    (kind,) = batch.dictionaries
    place = HOSTS[host], host_of(host).layer or 0
    values = [run[batch.dictionaries[kind].place] for run in (batch.base_values, batch.source_values)]
    ways = [after - before for before, after in zip(*(by_hand(one, x, batch, place) for x in values), strict=True)]
    plain = metric_by_hand(batch, lambda *_: None)
    estimates = scores(batch, "atp", (kind,))[kind][:, 0, :, 0]
    exact = effects(batch, [frozenset({PlacedNode(node)}) for node in batch.space.nodes(kind)], lambda n: None).T
    for unit, way in enumerate(ways):
        plus, minus, moved = (metric_by_hand(batch, added(place, way, step)) for step in (STEP, -STEP, 1.0))
        close(estimates[:, unit], (plus - minus) / (2 * STEP), 1e-5) if way.abs().max() > 0 else None
        torch.testing.assert_close(exact[:, unit], moved - plain, rtol=1e-9, atol=1e-10)
    assert str(batch.space.nodes(kind)[1]) == f"{host}[2]"
    assert str(batch.space.nodes(kind)[-1]) == f"{host}[error]"


def by_hand(one: Dictionary, x: Tensor, batch: PatchBatch, place: tuple[str, int]) -> list[Tensor]:
    """What latents 0, 2, 3, 7, 8, 11 write, each alone, and what they leave."""
    encoder, decoder, bias = (torch.from_numpy(one.stored.arrays[n].read()) for n in ("encoder", "decoder", "bias"))
    out = batch.model.blocks[place[1]].attn.b_O if place[0] == "attn_out" else None
    numbers = ((x if out is None else x + out) @ encoder + bias).relu()
    written = [numbers[..., [i]] * decoder[i] for i in (0, 2, 3, 7, 8, 11)]
    return [*written, x - sum(written, torch.zeros_like(x))]


def added(place: tuple[str, int], way: Tensor, step: float) -> Any:
    return lambda kind, layer, x: x + step * way if (kind, layer) == place else None


@pytest.mark.parametrize("reads", ["stream", "normed", "normalized"])
def test_latents_of_a_transcoder_are_read_before_the_mlp(reads: str) -> None:
    """A latent above another that is patched is set to the source's, read of the stream as it then is."""
    one, below = dictionary(reads=reads), dictionary(5)
    batch = with_latents(batch_of(model_of("gpt2")), {"mlp 1": one, "resid 1": below})
    upper, lower = batch.dictionaries.values()
    encoder, decoder, bias = (torch.from_numpy(one.stored.arrays[n].read()) for n in ("encoder", "decoder", "bias"))
    norms = batch.model.blocks[1].ln2
    assert norms is not None
    bare = attrs.evolve(norms, weight=None, bias=None)
    told = {"stream": lambda x: x, "normed": lambda x: norm(norms, x), "normalized": lambda x: norm(bare, x)}

    def third(x: Tensor) -> Tensor:
        return (told[reads](x) @ encoder[:, 3] + bias[3]).relu()[..., None]

    seen: list[Tensor] = []
    first = lower.split(batch.source_values)[0] - lower.split(batch.base_values)[0]

    def edit(kind: str, layer: int, x: Tensor) -> Tensor | None:
        if (kind, layer) == ("resid_pre", 1):
            return x + first[..., [0]] * lower.coded.code.rows[0]
        if (kind, layer) == ("mlp_input", 1):
            seen.append(x)
        if (kind, layer) != ("mlp_out", 1):
            return None
        return x + (third(batch.source_values["mlp_input", 1]) - third(seen[-1])) * decoder[3]

    both = frozenset({PlacedNode(upper.nodes[2]), PlacedNode(lower.nodes[0])})
    expected = metric_by_hand(batch, edit) - metric_by_hand(batch, lambda *_: None)
    close(effects(batch, [both], lambda n: None)[0], expected, 1e-9)


def coordinates(size: int) -> Dictionary:
    """Two latents for each coordinate of the stream: what is above 0 of it, and what is below."""
    both = np.concatenate([np.eye(size), -np.eye(size)])
    return Dictionary(encoder=both.T, decoder=both)


def test_the_known_directions_of_a_compiled_model_come_first() -> None:
    """Its stream behind layer 0 holds at the end which key is asked for, at a value its token and the key before."""
    keys, tokens = len(words.KEYS) + len(words.DECOYS), len(words.COMPILED_COMPOSE)
    before = tokens + 24  # of positions
    width = before + 2 * keys + len(words.VALUES)
    told = {"dictionary": {"resid 1": coordinates(width)}, "at": "END VALUE", "rows": 24, "draws": 0}
    found = scrub.propose(claim_in("compose"), method="ig", steps=10, **told)
    known = {
        "VALUE": {*range(tokens), *range(before, before + keys)},
        "END": {*range(before + keys, before + 2 * keys)},
    }
    strong = [node for node in found.nodes if node.exact and abs(node.exact) > 0.01]
    assert {node.position for node in strong} == {*known}
    for node in strong:
        assert node.kind == "latent"
        assert node.component.part is not None
        assert set(node.component.part.indices) <= known[str(node.position)], str(node.component)


WRONG: list[tuple[Any, str]] = [
    ({"resid 9": coordinates(64)}, r"resid 9: .* has resid 0 to 3; the nearest is resid 3"),
    ({"resid 2": coordinates(8)}, r"vectors of 8 numbers, and .* has 64"),
    ({"resid 2": coordinates(64), "mlp 1": coordinates(32)}, "vectors of 32 numbers"),
    ({"1.2": coordinates(64)}, "latents of 1.2 are not ranked"),
    ({"resid 2": Dictionary(np.zeros((64, 3)), np.zeros((3, 64)))}, "none of its 3 latents is active"),
    (coordinates(64), "nothing says which component it is of"),
    ("nowhere", "no such file or directory"),
    (
        {"resid 2": Dictionary(np.eye(64), np.eye(64), reads="normed")},
        r"is a transcoder \(normed\), and resid 2 is no MLP",
    ),
]


@pytest.mark.parametrize(("given", "words_of_it"), WRONG)
def test_a_dictionary_that_is_not_the_models(given: Any, words_of_it: str) -> None:
    with pytest.raises(ClaimError, match=words_of_it):
        scrub.propose(claim_in("names"), dictionary=given, rows=4)


def test_a_dictionary_on_disk(tmp_path: Path) -> None:
    """Its card places it; another model's is refused, and so are two of one component. Results name its latents."""
    folder = tmp_path / "made"
    draw = np.random.default_rng(0)
    arrays = {"W_enc": draw.normal(size=(64, 20)), "b_enc": np.zeros(20), "b_dec": np.zeros(64)}
    save(folder, {**arrays, "W_dec": draw.normal(size=(20, 64))}, "zoo:names")
    names, told = str(GALLERY / "names.py") + "::names", tmp_path / "told.json"
    usual = ["--rows", "6", "--verify", "4", "--draws", "0"]
    ran = CliRunner().invoke(main, ["propose", names, "--dictionary", str(folder), *usual, "--json", str(told)])
    assert ran.exit_code == 0, ran.output
    (result,) = json.loads(told.read_text())["results"]
    kinds = {node["node"]: node["kind"] for node in result["nodes"]}
    assert set(kinds.values()) == {"latent", "error"}
    assert kinds["mlp 1[error]"] == "error"
    assert all(name.startswith("mlp 1[") for name in kinds)
    assert not result["edges"]
    twice = ["--dictionary", str(folder), "--dictionary", f"mlp 1={folder}"]
    assert "two dictionaries of mlp 1" in CliRunner().invoke(main, ["propose", names, *twice, *usual]).output
    save(tmp_path / "other", {**arrays, "W_dec": draw.normal(size=(20, 64))}, "gpt2")
    ran = CliRunner().invoke(main, ["propose", names, "--dictionary", str(tmp_path / "other"), *usual])
    assert ran.exit_code == 2
    assert "is of gpt2, and the model is zoo:names: take one of this model." in " ".join(ran.output.split())
    ran = CliRunner().invoke(main, ["propose", names, "--dictionary", f"resid 2={folder}", *usual])
    assert ran.exit_code == 2
    assert f"dictionary {folder} is of mlp 1, and resid 2 is named: leave resid 2 out" in " ".join(ran.output.split())


def save(folder: Path, arrays: Mapping[str, np.ndarray], model: str) -> None:
    folder.mkdir()
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, folder / "sae_weights.safetensors")
    said = {"model_name": model, "hook_name": "blocks.1.hook_mlp_out"}
    config = {"architecture": "standard", "d_in": 64, "d_sae": 20, "dtype": "float32", "metadata": said}
    (folder / "cfg.json").write_text(json.dumps(config))


@pytest.mark.parametrize("of", ["neurons", "latents"])
def test_a_claim_over_parts_is_begun(of: str, tmp_path: Path) -> None:
    """Neurons or latents alone: a file that checks, with the strongest parts where they act."""
    folder, file, draw = tmp_path / "made", tmp_path / "begun.py", np.random.default_rng(0)
    arrays = {"W_enc": draw.normal(size=(64, 20)), "b_enc": np.zeros(20), "b_dec": np.zeros(64)}
    save(folder, {**arrays, "W_dec": draw.normal(size=(20, 64))}, "zoo:names")
    told: dict[str, Any] = {"nodes": "neurons"} if of == "neurons" else {"dictionary": folder}
    found = scrub.propose(claim_in("names"), rows=6, verify=4, draws=0, write=file, **told)
    (written,) = collect([str(file)]).hypotheses
    assert not scrub.check(written).problems
    components = [c for name, site in written.correspondence().items() if name != "answer" for c in site.components]  # type: ignore[union-attr]
    best = max((n for n in found.nodes if n.kind != "error"), key=lambda n: abs(n.best)).component
    named = {str(c.whole): {*(c.part.indices if c.part else ())} for c in components}
    assert set(best.part.indices if best.part else ()) <= named[str(best.whole)]
    with pytest.raises(ClaimError, match="is of arrays, which no file can name"):
        scrub.propose(
            claim_in("names"), rows=6, dictionary={"resid 2": coordinates(64)}, write=tmp_path / "other.py"
        )  # fmt: skip
