"""Transcoders as circuit-tracer writes them: the same activations, their cards, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from dictionary_cases import UNCENTRED, A, Case, D, M, Refused, read_as_the_package, refused_by_name
from safetensors.torch import save_file
from torch import Tensor

from scrub import latents


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


def two_files(folder: Path) -> Path:
    save_file({"a": torch.ones(1)}, tracer(torch.float32)(folder).with_name("layer_6.safetensors"))
    return folder


def odd_tracer(more: str, **arrays: Tensor) -> Callable[[Path], Path]:
    """A transcoder of circuit-tracer with a line more in its yaml, or other arrays."""

    def write(folder: Path) -> Path:
        save_file({"W_enc": A["enc"], "W_dec": A["dec"], "b_enc": A["b"]} | arrays, folder / "layer_5.safetensors")
        hooks = "feature_input_hook: hook_resid_mid\nfeature_output_hook: hook_mlp_out\n"
        (folder / "config.yaml").write_text(hooks + more)
        return folder

    return write


CASES: dict[str, Case] = {
    "circuit-tracer": (tracer(torch.float32), (UNCENTRED.relu(), A["dec"]), "mlp 5"),
}
REFUSED: dict[str, Refused] = {
    "which transcoder": (
        two_files,
        r"one transcoder is one file; it holds layer_5\.safetensors, layer_6\.safetensors",
    ),
    "entries of a yaml": (
        odd_tracer("transcoders: 5"),
        r"transcoders are a list of entries .*: 5",
    ),
    "a vector": (odd_tracer("", W_enc=torch.ones(M)), r"encoder and decoder are matrices .*, found encoder \[14\]"),
}


test_latents_are_those_of_the_package = read_as_the_package(CASES)
test_what_is_not_understood_is_refused_by_name = refused_by_name(REFUSED)


def test_numbers_of_bfloat16_are_read(tmp_path: Path) -> None:
    part = latents(tracer(torch.bfloat16)(tmp_path), "3")
    np.testing.assert_array_equal(part.arrays["decoder"][0], A["dec"][3].bfloat16().float().numpy())
