"""Dictionaries of the packages: numbers that are the same each time, and how a layout is tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from scrub import latents
from scrub.anatomy.part import HostPart
from scrub.errors import ClaimError
from scrub.model.latents import latent_code

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
Write = Callable[[Path], Path]
Case = tuple[Write, Made, str]  # what is written, what its latents are, the host that its card names
Refused = tuple[Write, str]  # what is written, and what is said of it


def saelens(config: dict[str, Any], **arrays: Tensor) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        given = {"W_enc": A["enc"], "W_dec": A["dec"], "b_dec": A["c"], "b_enc": A["b"], **arrays}
        kept = {n: v.contiguous() for n, v in given.items() if v.numel()}
        save_file(kept, folder / "sae_weights.safetensors")
        (folder / "cfg.json").write_text(json.dumps({"d_in": D, "d_sae": M, **config}))
        return folder

    return write


def before(x: Tensor = X) -> Tensor:
    return (x - A["c"]) @ A["enc"] + A["b"]


def largest(x: Tensor, k: int) -> Tensor:
    return torch.where(x >= x.sort(-1, descending=True).values[..., [k - 1]], x, 0 * x).relu()


def gated() -> Tensor:
    x = (X - A["c"]) @ A["enc"]
    return torch.where(x + A["gate"] > 0, (x * A["r"].exp() + A["b"]).relu(), 0 * x)


UNCENTRED = X @ A["enc"] + A["b"]


class Runs:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def code_of(part: HostPart) -> Any:
    return latent_code(part, lambda array: torch.from_numpy(np.array(array, dtype=np.float64)))


def read_as_the_package(cases: dict[str, Case]) -> Callable[..., None]:
    """The test of a layout's cases, against a reference written by hand, on columns that were read alone."""

    @pytest.mark.parametrize("name", cases)
    def test(name: str, tmp_path: Path) -> None:
        write, (numbers, rows), host = cases[name]
        part = latents(write(tmp_path), " ".join(map(str, TAKEN)))
        code = code_of(part)
        found = code.encode(X.double())
        assert 0.1 < float((numbers > 0).double().mean()) < 0.9
        torch.testing.assert_close(found, numbers[..., TAKEN].double(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(code.write(found), found @ rows[TAKEN].double(), rtol=1e-5, atol=1e-5)
        assert part.setting("of") == host
        assert part.arrays["decoder"].shape == (3, D)
        assert part.arrays["encoder"].shape == (D, M if part.setting("topk") else 3)

    return test


def refused_by_name(refused: dict[str, Refused]) -> Callable[..., None]:
    """The test of what a layout does not understand."""

    @pytest.mark.parametrize("what", refused)
    def test(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write, said = refused[what]
        with pytest.raises(ClaimError, match=said):
            latents(write(tmp_path), "1")
        assert capsys.readouterr().out == ""  # nothing ran

    return test
