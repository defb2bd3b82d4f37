"""Dictionaries as dictionary_learning writes them: the same activations, their cards, and what is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dictionary_cases import (
    UNCENTRED,
    A,
    Case,
    Refused,
    Runs,
    before,
    gated,
    largest,
    read_as_the_package,
    refused_by_name,
)
from torch import Tensor

from scrub.claims.dictionaries.stored import arrays_of


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


SIZE = A["dec"].norm(dim=1)
UNIT = A["dec"] / SIZE[:, None]
LINEAR = {"encoder.weight": A["enc"].T, "encoder.bias": A["b"], "decoder.weight": A["dec"].T}
TOP = {**LINEAR, "b_dec": A["c"], "k": torch.tensor(4), "threshold": torch.tensor(0.5)}
GATED = {
    "encoder.weight": A["enc"].T, "decoder.weight": A["dec"].T, "decoder_bias": A["c"], "r_mag": A["r"],
    "gate_bias": A["gate"], "mag_bias": A["b"],
}  # fmt: skip
PLAIN = {"W_enc": A["enc"], "W_dec": A["dec"], "b_enc": A["b"], "b_dec": A["c"]}


def pickled_pt(folder: Path) -> Path:
    learned("AutoEncoder", {"bias": Runs()})(folder)  # type: ignore[dict-item]
    return folder


def old_pt(folder: Path) -> Path:
    learned("AutoEncoder", LINEAR)(folder)
    (folder / "ae.pt").write_bytes(pickle.dumps(Runs()))
    return folder


CASES: dict[str, Case] = {
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
}
REFUSED: dict[str, Refused] = {
    "pickled code in a state dict": (pickled_pt, r"it holds (__builtin__|builtins)\.print, which is no tensor"),
    "an old state dict": (old_pt, r"it is no zip file, as torch writes them since 1\.6"),
    "a class": (learned("CrossCoder", LINEAR), r"dict_class 'CrossCoder' is not known"),
    "another k": (learned("AutoEncoderTopK", TOP, k=5), r"says that k=5 .* and ae\.pt k=4"),
}


test_latents_are_those_of_the_package = read_as_the_package(CASES)
test_what_is_not_understood_is_refused_by_name = refused_by_name(REFUSED)


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
