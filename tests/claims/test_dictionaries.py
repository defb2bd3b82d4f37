"""Dictionaries as their packages write them: the same activations, their cards, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from safetensors.torch import save_file
from torch import Tensor

import scrub
from scrub import Dictionary, latents, mlps, resid
from scrub.anatomy.part import HostPart, disjoint, what_is_left_by
from scrub.claims.dictionaries.layouts import read
from scrub.claims.dictionaries.lying import FileArray
from scrub.claims.dictionaries.stored import arrays_of
from scrub.errors import ClaimError
from scrub.model.codes import latent_activity
from scrub.model.latents import latent_code
from scrub.model.memory import Memory

D, M = 6, 14
TAKEN = [1, 5, 11]
X = torch.randn(4, 3, D, generator=torch.Generator().manual_seed(0))


class Numbers:
    """Random arrays by name, the same each time."""

    def __getitem__(self, name: str) -> Tensor:
        shapes = {"enc": (D, M), "dec": (M, D), "b": (M,), "c": (D,), "theta": (M,), "gate": (M,), "r": (M,)}
        made = torch.randn(shapes[name], generator=torch.Generator().manual_seed(len(name) * 7 + ord(name[0])))
        return 0.3 * made.abs() if name == "theta" else made


A = Numbers()
HOOK = {"model_name": "gpt2-small", "hook_name": "blocks.8.hook_resid_pre", "prepend_bos": True}
Made = tuple[Tensor, Tensor]  # the activations of all latents on X, and the rows that they are written as


def saelens(config: dict[str, Any], **arrays: Tensor) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        given = {"W_enc": A["enc"], "W_dec": A["dec"], "b_dec": A["c"], "b_enc": A["b"], **arrays}
        kept = {n: v.contiguous() for n, v in given.items() if v.numel()}
        save_file(kept, folder / "sae_weights.safetensors")
        (folder / "cfg.json").write_text(json.dumps({"d_in": D, "d_sae": M, **config}))
        return folder

    return write


def learned(kind: str, arrays: dict[str, Tensor], **config: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(arrays, folder / "ae.pt")
        trainer = {
            "dict_class": kind,
            "layer": 7,
            "lm_name": "gpt2",
            "submodule_name": "resid_post_layer_7",
            **config,
        }
        (folder / "config.json").write_text(json.dumps({"trainer": trainer}))
        return folder

    return write


def gemma(save: Callable[..., None]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        inner = folder / "gemma-scope-2b-pt-transcoders" / "layer_5" / "width_16k" / "average_l0_71"
        inner.mkdir(parents=True)
        names = {"W_enc": "enc", "W_dec": "dec", "b_enc": "b", "b_dec": "c", "threshold": "theta"}
        save(inner / "params.npz", **{name: A[ours].numpy() for name, ours in names.items()})
        return inner

    return write


def tracer(dtype: torch.dtype) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        arrays = {"W_enc": A["enc"].T, "W_dec": A["dec"].T, "b_enc": A["b"], "b_dec": A["c"], "W_skip": torch.eye(D)}
        save_file({n: v.contiguous().to(dtype) for n, v in arrays.items()}, folder / "layer_5.safetensors")
        (folder / "config.yaml").write_text(
            "model_name: meta-llama/Llama-3.2-1B\nfeature_input_hook: hook_resid_mid\n"
            "feature_output_hook: mlp.hook_out\ntranscoders:\n- {id: a, layer: 5, filepath: 'hf://x/y/layer_5.safetensors'}"
        )
        return folder / "layer_5.safetensors"

    return write


def before(x: Tensor = X) -> Tensor:
    return (x - A["c"]) @ A["enc"] + A["b"]


def largest(x: Tensor, k: int) -> Tensor:
    return torch.where(x >= x.sort(-1, descending=True).values[..., [k - 1]], x, 0 * x).relu()


def rms() -> Tensor:
    size = X.norm(dim=-1, keepdim=True) / D**0.5
    return before(X / size).relu() * size


def layered() -> Tensor:
    centred = X - X.mean(-1, keepdim=True)
    deviation = centred.std(-1, keepdim=True)
    return before(centred / (deviation + 1e-5)).relu() * deviation


def gated() -> Tensor:
    x = (X - A["c"]) @ A["enc"]
    return torch.where(x + A["gate"] > 0, (x * A["r"].exp() + A["b"]).relu(), 0 * x)


NONE = torch.zeros(0)
SIZE = A["dec"].norm(dim=1)
UNIT = A["dec"] / SIZE[:, None]
JUMP = torch.where(before() > A["theta"], before(), 0 * before()).relu()
UNCENTRED = X @ A["enc"] + A["b"]
NORMALIZED = {**HOOK, "hook_name": "blocks.5.ln2.hook_normalized", "hook_name_out": "blocks.5.hook_mlp_out"}
LINEAR = {"encoder.weight": A["enc"].T, "encoder.bias": A["b"], "decoder.weight": A["dec"].T}
TOP = {**LINEAR, "b_dec": A["c"], "k": torch.tensor(4), "threshold": torch.tensor(0.5)}
GATED = {
    "encoder.weight": A["enc"].T, "decoder.weight": A["dec"].T, "decoder_bias": A["c"], "r_mag": A["r"],
    "gate_bias": A["gate"], "mag_bias": A["b"],
}  # fmt: skip
PLAIN = {"W_enc": A["enc"], "W_dec": A["dec"], "b_enc": A["b"], "b_dec": A["c"]}
OLD = {
    **HOOK, "hook_layer": 8, "lr": 4e-4, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4},
    "normalize_activations": "none", "architecture": "standard",
}  # fmt: skip

CASES: dict[str, tuple[Callable[[Path], Path], Made, str]] = {
    "saelens, before 6": (saelens(HOOK), (before().relu(), A["dec"]), "resid 8"),
    "saelens, topk before 6": (saelens(OLD), (largest(before(), 4), A["dec"]), "resid 8"),
    "saelens": (
        saelens({"architecture": "standard", "metadata": HOOK, "apply_b_dec_to_input": False}),
        (UNCENTRED.relu(), A["dec"]),
        "resid 8",
    ),
    "saelens, of norm sqrt(d)": (
        saelens({"metadata": HOOK, "normalize_activations": "constant_norm_rescale"}),
        (rms(), A["dec"]),
        "resid 8",
    ),
    "saelens, layer norm": (
        saelens({"metadata": HOOK, "normalize_activations": "layer_norm"}),
        (layered(), A["dec"]),
        "resid 8",
    ),
    "saelens, jumprelu": (
        saelens({"architecture": "jumprelu", "metadata": HOOK}, threshold=A["theta"]),
        (JUMP, A["dec"]),
        "resid 8",
    ),
    "saelens, topk by norms": (
        saelens({"architecture": "topk", "metadata": HOOK, "k": 4, "rescale_acts_by_decoder_norm": True}),
        (largest(before() * SIZE, 4), UNIT),
        "resid 8",
    ),
    "saelens, gated": (
        saelens({"architecture": "gated", **HOOK}, b_enc=NONE, b_gate=A["gate"], b_mag=A["b"], r_mag=A["r"]),
        (gated(), A["dec"]),
        "resid 8",
    ),
    "saelens, scaled": (
        saelens({**HOOK, "finetuning_scaling_factor": True}, scaling_factor=A["theta"]),
        (before().relu(), A["dec"] * A["theta"][:, None]),
        "resid 8",
    ),
    "saelens, transcoder": (
        saelens({"architecture": "skip_transcoder", "d_out": D, "metadata": NORMALIZED}, W_skip=torch.eye(D)),
        (UNCENTRED.relu(), A["dec"]),
        "mlp 5",
    ),
    "AutoEncoder": (
        learned("AutoEncoder", {**LINEAR, "bias": A["c"]}),
        (before().relu() * SIZE, UNIT),
        "resid 8",
    ),
    "AutoEncoderNew": (
        learned("AutoEncoderNew", {**LINEAR, "decoder.bias": A["c"]}),
        (UNCENTRED.relu(), A["dec"]),
        "resid 8",
    ),
    "GatedAutoEncoder": (learned("GatedAutoEncoder", GATED), (gated(), A["dec"]), "resid 8"),
    "JumpReluAutoEncoder": (
        learned("JumpReluAutoEncoder", {**PLAIN, "threshold": A["theta"]}),
        (torch.where(A["theta"] < UNCENTRED, UNCENTRED, 0 * UNCENTRED), A["dec"]),
        "resid 8",
    ),
    "AutoEncoderTopK": (learned("AutoEncoderTopK", TOP, k=4), (largest(before(), 4), A["dec"]), "resid 8"),
    "BatchTopKSAE": (
        learned("BatchTopKSAE", TOP, k=4),
        (torch.where(before() > 0.5, before(), 0 * before()), A["dec"]),
        "resid 8",
    ),
    "gemma scope": (
        gemma(np.savez),
        (torch.where(A["theta"] < UNCENTRED, UNCENTRED, 0 * UNCENTRED), A["dec"]),
        "mlp 5",
    ),
    "gemma scope, compressed": (
        gemma(np.savez_compressed),
        (torch.where(A["theta"] < UNCENTRED, UNCENTRED, 0 * UNCENTRED), A["dec"]),
        "mlp 5",
    ),
    "circuit-tracer": (tracer(torch.float32), (UNCENTRED.relu(), A["dec"]), "mlp 5"),
}


def code_of(part: HostPart) -> Any:
    return latent_code(part, lambda array: torch.from_numpy(np.array(array, dtype=np.float64)))


@pytest.mark.parametrize("name", CASES)
def test_latents_are_those_of_the_package(name: str, tmp_path: Path) -> None:
    """Against a reference written by hand, on columns that were read alone."""
    write, (numbers, rows), host = CASES[name]
    part = latents(write(tmp_path), " ".join(map(str, TAKEN)))
    code = code_of(part)
    found = code.encode(X.double())
    assert 0.1 < float((numbers > 0).double().mean()) < 0.9
    torch.testing.assert_close(found, numbers[..., TAKEN].double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(code.write(found), found @ rows[TAKEN].double(), rtol=1e-5, atol=1e-5)
    assert part.setting("of") == host
    assert part.arrays["decoder"].shape == (3, D)
    assert part.arrays["encoder"].shape == (D, M if part.setting("topk") else 3)


def test_numbers_of_bfloat16_are_read(tmp_path: Path) -> None:
    part = latents(tracer(torch.bfloat16)(tmp_path), "3")
    np.testing.assert_array_equal(part.arrays["decoder"][0], A["dec"][3].bfloat16().float().numpy())


def test_a_state_dict_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    """Turned ones, slices that share their numbers, and parameters; without torch."""
    whole = torch.arange(24.0).reshape(4, 6)
    given = {
        "a": whole.T,
        "b": whole[1:, 2:4],
        "c": torch.nn.Parameter(whole),
        "d": torch.tensor(3),
        "e": whole.half(),
    }
    torch.save(given, tmp_path / "ae.pt")
    read = torch.load(tmp_path / "ae.pt", weights_only=True)
    for name, array in arrays_of(tmp_path / "ae.pt").items():
        np.testing.assert_array_equal(array.read(), read[name].detach().float().numpy())


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def pickled_pt(folder: Path) -> Path:
    learned("AutoEncoder", {"bias": Runs()})(folder)  # type: ignore[dict-item]
    return folder


def pickled_npz(folder: Path) -> Path:
    np.savez(folder / "params.npz", W_enc=np.array([Runs()], dtype=object))
    return folder


def old_pt(folder: Path) -> Path:
    learned("AutoEncoder", LINEAR)(folder)
    (folder / "ae.pt").write_bytes(pickle.dumps(Runs()))
    return folder


def two_files(folder: Path) -> Path:
    save_file({"a": torch.ones(1)}, tracer(torch.float32)(folder).with_name("layer_6.safetensors"))
    return folder


def complex_npz(folder: Path) -> Path:
    held = {"W_enc": np.eye(D), "W_dec": np.eye(D), "threshold": np.ones(D)}
    np.savez(folder / "params.npz", b_enc=np.ones(D, np.complex64), **held)
    return folder


def odd_tracer(more: str, **arrays: Tensor) -> Callable[[Path], Path]:
    """A transcoder of circuit-tracer with a line more in its yaml, or other arrays."""

    def write(folder: Path) -> Path:
        save_file({"W_enc": A["enc"], "W_dec": A["dec"], "b_enc": A["b"]} | arrays, folder / "layer_5.safetensors")
        hooks = "feature_input_hook: hook_resid_mid\nfeature_output_hook: hook_mlp_out\n"
        (folder / "config.yaml").write_text(hooks + more)
        return folder

    return write


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda folder: folder, r"no dictionary that is known lies there: cfg\.json \(SAELens\)"),
    "pickled code in a state dict": (pickled_pt, r"it holds (__builtin__|builtins)\.print, which is no tensor"),
    "pickled code in an npz": (pickled_npz, r"W_enc\.npy holds pickled objects, which could run anything: refused"),
    "an old state dict": (old_pt, r"it is no zip file, as torch writes them since 1\.6"),
    "a setting": (saelens({**HOOK, "whitening": True}), r"cfg\.json: 'whitening' is not understood here"),
    "an array": (saelens(HOOK, W_gate=torch.ones(1)), r"'W_gate' is not understood here"),
    "an architecture": (saelens({**HOOK, "architecture": "temporal"}), r"architecture 'temporal' is not known"),
    "an activation": (saelens({**HOOK, "activation_fn_str": "tanh-relu"}), r"the activation 'tanh-relu'"),
    "a scaling": (saelens({**HOOK, "normalize_activations": "whiten"}), r"normalize_activations 'whiten'"),
    "z": (saelens({**HOOK, "hook_name": "blocks.8.attn.hook_z"}), r"'blocks\.8\.attn\.hook_z', which is no vector"),
    "a class": (learned("CrossCoder", LINEAR), r"dict_class 'CrossCoder' is not known"),
    "another k": (learned("AutoEncoderTopK", TOP, k=5), r"says that k=5 .* and ae\.pt k=4"),
    "which transcoder": (
        two_files,
        r"one transcoder is one file; it holds layer_5\.safetensors, layer_6\.safetensors",
    ),
    "a threshold": (saelens({**HOOK, "architecture": "jumprelu"}), r"jumprelu: threshold is missing; found 'W_dec'"),
    "its size": (saelens({**HOOK, "d_sae": 99}), r"d_in and d_sae are \[6, 99\], and W_enc .* \[6, 14\]"),
    "metadata": (saelens({**HOOK, "metadata": 3}), r"metadata is a JSON object, found 3"),
    "a list": (saelens({**HOOK, "normalize_activations": [1]}), r"normalize_activations \[1\]"),
    "how many": (saelens({**HOOK, "architecture": "topk", "activation_fn_kwargs": 3}), r"found k=None"),
    "complex numbers": (complex_npz, r"b_enc\.npy is of complex64, and no real numbers"),
    "entries of a yaml": (
        odd_tracer("transcoders: 5"),
        r"transcoders are a list of entries .*: 5",
    ),
    "a vector": (odd_tracer("", W_enc=torch.ones(M)), r"encoder and decoder are matrices .*, found encoder \[14\]"),
    "its shape": (saelens(HOOK, b_enc=torch.ones(3)), r"bias has the shape \[3\], and is \[m\]"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_understood_is_refused_by_name(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, said = REFUSED[what]
    with pytest.raises(ClaimError, match=said):
        latents(write(tmp_path), "1")
    assert capsys.readouterr().out == ""  # nothing ran


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


def test_gemma_scope_says_in_its_path_what_it_is_of(tmp_path: Path) -> None:
    inner = gemma(np.savez)(tmp_path)
    for place, host in (("res", "resid 6"), ("mlp", "mlp 5")):
        there = tmp_path / f"gemma-scope-9b-it-{place}" / "layer_5" / "width_16k"
        there.mkdir(parents=True)
        (there / "params.npz").write_bytes((inner / "params.npz").read_bytes())
        part = latents(there, "1")
        assert (part.setting("of"), part.setting("model"), part.setting("reads")) == (host, "gemma-2-9b-it", "")
    assert latents(inner, "1").setting("reads") == "normalized"


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


def test_only_the_numbers_of_claimed_latents_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two columns of an encoder that lies row by row, and two rows of a decoder: no page around them."""
    rng, read_bytes, run = np.random.default_rng(0), list[int](), os.preadv
    whole = {"W_enc": rng.normal(size=(D, 3000)), "W_dec": rng.normal(size=(3000, D)), "b_enc": rng.normal(size=3000)}
    np.savez(tmp_path / "params.npz", threshold=np.zeros(3000), **whole)
    found = read(tmp_path)
    monkeypatch.setattr(os, "preadv", lambda *a: (read_bytes.append(got := run(*a)), got)[1])
    held = found.cut([7, 2998])
    np.testing.assert_array_equal(held["encoder"], whole["W_enc"][:, [7, 2998]])
    np.testing.assert_array_equal(held["decoder"], whole["W_dec"][[7, 2998]])
    assert sum(read_bytes) == 8 * (2 * D + 2 * D + 2 + 2)
    near, calls = [7, 9, 10, 2998], len(read_bytes)  # what lies between near ones is read with them
    np.testing.assert_array_equal(found.cut(near)["encoder"], whole["W_enc"][:, near])
    assert read_bytes[calls:][: 2 * D] == [8 * 4, 8] * D


@pytest.mark.parametrize("name", ["held", "topk"])
def test_of_latents_that_are_held_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Parts of them are the same; those of others are read."""
    config = {**HOOK, "architecture": "topk", "k": 3} if name == "topk" else HOOK
    found = read(saelens(config)(tmp_path))
    known, other = found.part((1, 4, 5)), found.part((0, 4))
    holding = found.holding([1, 3, 4, 5])
    assert holding.part((0, 4)) == other
    assert holding.digest == found.digest
    read_bytes, run = list[int](), os.preadv
    monkeypatch.setattr(os, "preadv", lambda *a: (read_bytes.append(got := run(*a)), got)[1])
    held = holding.part((1, 4, 5))
    assert held == known
    for array in known.arrays:
        np.testing.assert_array_equal(held.arrays[array], known.arrays[array])
    assert sum(read_bytes) <= 8 * 2 * D  # of what is no latent's alone


@pytest.mark.parametrize("seed", range(20))
def test_an_array_in_a_file_is_cut_as_one_in_memory(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    array = rng.normal(size=rng.integers(1, 7, rng.integers(0, 4)))
    order = str(rng.choice(["C", "F"]))
    (tmp_path / "array").write_bytes(b"before" + array.tobytes(order))  # type: ignore[arg-type]
    lies = FileArray.of(tmp_path / "array", array.dtype, 6, array.shape, order)
    if seed % 2:
        array, lies = array.T, lies.T
    take = [rng.integers(0, n, rng.integers(0, 4)).tolist() for n in array.shape[: rng.integers(0, 4)]]
    whole = [*take, *(range(n) for n in array.shape[len(take) :])]
    np.testing.assert_array_equal(lies[take], array[np.ix_(*(np.array(i, int) for i in whole))] if whole else array)
