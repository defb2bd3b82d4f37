"""What is read of a dictionary's files: the numbers of claimed latents alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from dictionary_cases import HOOK, D, saelens

from scrub.claims.dictionaries.layouts import read
from scrub.claims.dictionaries.lying import FileArray


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
