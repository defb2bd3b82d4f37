"""Untrained models: the same architecture with fresh weights, whatever it is."""

from __future__ import annotations

from random import Random

import attrs
import pytest
import torch
from attrs import evolve

from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.layers import unembed
from scrub.model.trace import trace
from scrub.model.untrained import untrained
from scrub.model.weights import Transformer
from strategies_models import random_transformer


def tensors(value: object, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of a model by where it is."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    parts: dict[str, object] = {}
    if isinstance(value, tuple):
        parts = {str(i): part for i, part in enumerate(value)}
    elif attrs.has(type(value)):
        parts = {f.name: getattr(value, f.name) for f in attrs.fields(type(value))}
    return {k: t for part, inner in parts.items() for k, t in tensors(inner, f"{name}.{part}").items()}


@pytest.mark.parametrize("seed", range(8))
def test_all_that_is_learnt_is_drawn_anew(seed: int) -> None:
    model = random_transformer(Random(seed))
    fresh = untrained(model, 0)
    assert (fresh.shape, fresh.dtype, fresh.name) == (model.shape, model.dtype, "random, untrained")
    old, new = tensors(model), tensors(fresh)
    assert old.keys() == new.keys()
    for name, tensor in new.items():
        assert tensor.shape == old[name].shape
        last = name.rsplit(".", 1)[-1]
        if last in ("cos", "sin", "slopes"):
            assert tensor is old[name]
        elif last.startswith("b"):
            assert not tensor.any()
        elif last == "weight":
            assert (tensor == 1).all()
        else:
            assert not (tensor == old[name]).any()
    tokens = torch.zeros(1, 5, dtype=torch.int64)
    with torch.no_grad():
        assert unembed(fresh, trace(fresh, tokens, torch.tensor([5]))[:, -1]).isfinite().all()


def wide(seed: int) -> Transformer:
    model = random_transformer(Random(seed))
    return evolve(model, W_E=torch.zeros(400, 8, dtype=torch.float64), W_U=torch.zeros(8, 400, dtype=torch.float64))


def test_sizes_of_weights() -> None:
    fresh = untrained(wide(0), 0)
    assert fresh.W_E.std().item() == pytest.approx(0.02, rel=0.05)
    assert fresh.W_U.std().item() == pytest.approx(8**-0.5, rel=0.05)
    model = random_transformer(Random(1))
    attn = untrained(model, 0).blocks[0].attn
    heads, d, e = attn.W_Q.shape
    assert attn.W_Q.std().item() == pytest.approx(d**-0.5, rel=0.35)
    assert attn.W_O.std().item() == pytest.approx((heads * e) ** -0.5, rel=0.35)


def test_one_seed_is_one_model() -> None:
    model = random_transformer(Random(1))
    first, same, other = (untrained(model, seed) for seed in (3, 3, 4))
    assert torch.equal(first.blocks[1].attn.W_V, same.blocks[1].attn.W_V)
    assert not torch.equal(first.W_E, other.W_E)


def test_shared_embeddings_stay_shared() -> None:
    model = random_transformer(Random(1))
    tied = untrained(evolve(model, W_U=model.W_E.T), 0)
    assert tied.tied
    assert not untrained(model, 0).tied


def test_a_function_has_no_weights_to_draw() -> None:
    model = random_transformer(Random(1))
    boxed = evolve(model, blocks=(evolve(model.blocks[0], mlp=BlackBox(lambda x: x)), *model.blocks[1:]))
    with pytest.raises(ModelError, match="known as a function alone"):
        untrained(boxed, 0)
