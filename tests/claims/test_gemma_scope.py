"""Dictionaries as Gemma Scope's are written: the same activations, their cards, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from dictionary_cases import UNCENTRED, A, Case, D, Refused, Runs, read_as_the_package, refused_by_name

from scrub import latents


def gemma(save: Callable[..., None]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        inner = folder / "gemma-scope-2b-pt-transcoders" / "layer_5" / "width_16k" / "average_l0_71"
        inner.mkdir(parents=True)
        names = {"W_enc": "enc", "W_dec": "dec", "b_enc": "b", "b_dec": "c", "threshold": "theta"}
        save(inner / "params.npz", **{name: A[ours].numpy() for name, ours in names.items()})
        return inner

    return write


def pickled_npz(folder: Path) -> Path:
    np.savez(folder / "params.npz", W_enc=np.array([Runs()], dtype=object))
    return folder


def complex_npz(folder: Path) -> Path:
    held = {"W_enc": np.eye(D), "W_dec": np.eye(D), "threshold": np.ones(D)}
    np.savez(folder / "params.npz", b_enc=np.ones(D, np.complex64), **held)
    return folder


CASES: dict[str, Case] = {
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
}
REFUSED: dict[str, Refused] = {
    "pickled code in an npz": (pickled_npz, r"W_enc\.npy holds pickled objects, which could run anything: refused"),
    "complex numbers": (complex_npz, r"b_enc\.npy is of complex64, and no real numbers"),
}


test_latents_are_those_of_the_package = read_as_the_package(CASES)
test_what_is_not_understood_is_refused_by_name = refused_by_name(REFUSED)


def test_gemma_scope_says_in_its_path_what_it_is_of(tmp_path: Path) -> None:
    inner = gemma(np.savez)(tmp_path)
    for place, host in (("res", "resid 6"), ("mlp", "mlp 5")):
        there = tmp_path / f"gemma-scope-9b-it-{place}" / "layer_5" / "width_16k"
        there.mkdir(parents=True)
        (there / "params.npz").write_bytes((inner / "params.npz").read_bytes())
        part = latents(there, "1")
        assert (part.setting("of"), part.setting("model"), part.setting("reads")) == (host, "gemma-2-9b-it", "")
    assert latents(inner, "1").setting("reads") == "normalized"
