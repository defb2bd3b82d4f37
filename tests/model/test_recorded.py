"""Models of the native form are opened by what their bridge said once, and are what it would be read as."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

import scrub
from model.tiny_models import native
from scrub.anatomy.tolerances import SAME_LOGITS
from scrub.model.load import load
from scrub.model.open import zoo_bridge
from scrub.model.recorded import LOGITS, RecordedLogits, native_of, record, recorded_checkpoint, recorded_zoo
from scrub.model.take import Take
from scrub.zoo import NAMES, info, rows
from scrub.zoo.cards import logits_path

FLOAT = Take(torch.float32, None)
FORMS: list[dict[str, Any]] = [
    {"gated_mlp": True, "positional_embedding_type": "rotary", "normalization_type": "RMS", "n_key_value_heads": 2},
    {"act_fn": "solu_ln", "attn_scores_soft_cap": 2.0, "output_logits_soft_cap": 3.0, "eps": 1e-2},
    {"normalization_type": "LNPre", "final_rms": True, "attention_dir": "bidirectional", "attn_scale": 3.0},
    {"normalization_type": "RMSPre", "act_fn": "gelu_new", "positional_embedding_type": "rotary", "rotary_dim": 2,
     "rotary_base": 50},
    {"normalization_type": None, "attn_only": True, "d_vocab_out": 7},
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_zoo_is_what_its_bridge_is_read_as(name: str) -> None:
    """What is stored is what `examples/record_logits.py` would write now."""
    bridge, found = zoo_bridge(name), recorded_zoo(name, FLOAT)
    assert found is not None
    read = load(bridge)
    assert (found.revision, found.shape) == (read.revision, read.shape)
    kept = RecordedLogits.read(logits_path(name))
    assert kept is not None
    now = record(bridge, native_of(info(name)), [row["tokens"] for row in rows(name, 4, 0)])
    assert (kept.told, kept.tokens.tolist()) == (now.told, now.tokens.tolist())
    assert_close(kept.logits, now.logits, atol=SAME_LOGITS, rtol=SAME_LOGITS)
    assert kept.lengths.max() == found.shape.n_ctx


@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(f"{k}={v}" for k, v in form.items()))
def test_every_form_that_is_saved_is_opened_by_its_record(form: dict[str, Any], tmp_path: Path) -> None:
    bridge = native(**form)
    folder = scrub.save(bridge, tmp_path / "model")
    for dtype in (torch.float32, torch.float64):
        found = recorded_checkpoint(folder / "model.safetensors", "model", Take(dtype, None))
        assert found is not None
        (folder / LOGITS).rename(folder / "away")
        read = load(folder, dtype=dtype)
        (folder / "away").rename(folder / LOGITS)
        assert (found.revision, found.shape, found.dtype) == (read.revision, read.shape, dtype)


def of_another_function(folder: Path) -> None:
    """So little, here and below, that no logit shows it."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eps": 1.1e-5}))


def with_other_weights(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({**state, "ln_final.bias": state["ln_final.bias"] + 1e-5}, folder / "model.safetensors")


def with_other_logits(folder: Path) -> None:
    kept = RecordedLogits.read(folder / LOGITS)
    assert kept is not None
    kept.logits[-1, 0, -1] += 0.01
    kept.write(folder / LOGITS)


def damaged(folder: Path) -> None:
    (folder / LOGITS).write_bytes((folder / LOGITS).read_bytes()[:50])


@pytest.mark.parametrize("change", [of_another_function, with_other_weights, with_other_logits, damaged])
def test_where_anything_differs_the_bridge_is_asked(change: Callable[[Path], None], tmp_path: Path) -> None:
    folder = scrub.save(native(), tmp_path / "model")
    file = folder / "model.safetensors"
    assert recorded_checkpoint(file, "model", Take(torch.bfloat16, None)) is None
    change(folder)
    assert recorded_checkpoint(file, "model", FLOAT) is None
    assert load(folder).name == "model"  # which the bridge allows


def test_neither_transformer_lens_nor_transformers_is_imported(tmp_path: Path) -> None:
    """A claim about the zoo, frozen and tested, and a model that was saved."""
    folder = scrub.save(native(), tmp_path / "model")
    code = f"""
import sys, scrub
from hypotheses.induction import induction
from scrub.model.load import load
scrub.freeze(induction, {str(tmp_path / "claim")!r})
asked = dict(rows=4, draws=1, controls="none", parts="none", explain=False)
scrub.test(scrub.thaw({str(tmp_path / "claim")!r}), **asked)
load({str(folder)!r})
print([name for name in ("transformer_lens", "transformers", "sympy", "datasets") if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
