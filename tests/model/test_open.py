"""Weights must have the shape that the claim was checked against."""

from __future__ import annotations

import pytest
from attrs import evolve

from scrub.anatomy.transformer import TransformerGraph
from scrub.errors import ModelError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.source import find


def test_zoo_weights_have_the_shape_of_their_card() -> None:
    for name in ("induction", "brackets", "names", "compiled-induction", "compiled-compose"):
        source = find(f"zoo:{name}")
        assert open_weights(source, Backend()).shape.n_layers == source.graph.shape.n_layers


def test_weights_of_another_shape_are_refused() -> None:
    source = find("zoo:induction")
    assert isinstance(source.graph, TransformerGraph)
    other = evolve(source, graph=evolve(source.graph, shape=evolve(source.graph.shape, n_heads=8, d_mlp=64)))
    with pytest.raises(ModelError, match=r"n_heads 4 instead of 8, d_mlp 0 instead of 64\. Give the loaded"):
        open_weights(other, Backend())


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ModelError, match=r"dtype 'bfloat6' is unknown\. Did you mean 'bfloat16'\? There are auto"):
        open_weights(find("zoo:induction"), Backend(dtype="bfloat6"))
