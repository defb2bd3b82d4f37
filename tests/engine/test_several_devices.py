"""A model whose layers lie on several devices: what meets lies on one, and numbers are those of the model on one.

The devices are fakes (`fake_device`): whatever is not moved where it meets another is an error. Real ones are used
where there are two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from fake_device import DEVICE, OTHER, OnDevice, fake_device, spread
from test_device import CLAIMS, bench_on, blocks_of
from test_invariance import MODEL, sites_of, small_claim
from torch import Tensor
from torch.utils._pytree import tree_map

import scrub
from model.tiny_models import bridged, hugging_face
from scrub import Hypothesis, directions, heads, mlps
from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.load import load
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.places import devices, layers_by_device
from scrub.model.resolve import sound
from scrub.model.source import find
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.score.sample import compile_claim
from scrub.storage.rows import RowFiles
from strategies_models import random_transformer


def equal_on_two(hypothesis: Hypothesis, model: Transformer) -> tuple[list[Tensor], Transformer]:
    """Asserts that two blocks of draws have the same numbers on two devices as on one; what crossed between them."""
    with fake_device():
        expected = blocks_of(bench_on(hypothesis, model.to(device=DEVICE)))
    with fake_device() as device:
        bench = bench_on(hypothesis, spread(model))
        device.crossed.clear()
        found = blocks_of(bench)
    assert np.allclose(found, expected, rtol=0, atol=1e-13)
    return device.crossed, bench.rows.model


def matrices_of(value: Any) -> Iterator[Tensor]:
    if isinstance(value, OnDevice) and value.ndim > 1:
        yield value.numbers
    elif attrs.has(type(value)):
        yield from (x for one in attrs.fields(type(value)) for x in matrices_of(getattr(value, one.name)))
    elif isinstance(value, tuple):
        yield from (x for part in value for x in matrices_of(part))


@pytest.mark.parametrize("kind", sorted({*CLAIMS} - {"mlps", "few tokens"}))  # which the others have in them
def test_numbers_are_those_of_one_device_and_matrices_stay(kind: str) -> None:
    crossed, model = equal_on_two(CLAIMS[kind](), MODEL)
    fixed = {matrix.untyped_storage().data_ptr() for matrix in matrices_of(model.blocks)}
    large = [array for array in crossed if array.numel() > model.shape.d_model]  # one row of W_out: a neuron's code
    assert large
    assert not fixed & {array.untyped_storage().data_ptr() for array in large}


def turning() -> Transformer:
    """Rotary angles, grouped keys, and norms of what layers write."""
    made = (random_transformer(Random(seed)) for seed in range(400))
    return next(m for m in made if m.shape.post_norms and m.shape.d_mlp and m.shape.positions == "rotary")


def boxed() -> Transformer:
    """MLPs that are known as functions alone, as mixtures of experts are."""
    width = MODEL.shape.d_model
    boxes = [BlackBox.of(torch.nn.Linear(width, width, dtype=torch.float64)) for _ in MODEL.blocks]
    return attrs.evolve(MODEL, blocks=tuple(map(lambda b, m: attrs.evolve(b, mlp=m), MODEL.blocks, boxes)))


FORMS: dict[str, Callable[[], Transformer]] = {"turning": turning, "boxed": boxed}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_layer_runs_on_two_devices(form: str) -> None:
    """Passed-through heads and MLPs on mean rows, which are made of what several layers write."""
    sites = {**sites_of(), "b": (mlps("0", at="END"), heads("0.1", at="END")), "c": heads("1.0 1.1", at="END")}
    sites["c"] = sites["c"].reads(q="b", k="b a", v="a")
    model = FORMS[form]()
    hypothesis = small_claim(sites=sites, through="all", rest="mean", within="length")
    equal_on_two(attrs.evolve(hypothesis, model=model), model)


@pytest.mark.parametrize("runs", [1, 2])
def test_what_rows_give_lies_with_its_layer(runs: int, tmp_path: Path) -> None:
    """Where passes are run, and where they are read, having been kept."""
    claim, _ = sound(small_claim(through="all"))
    with fake_device():
        model = attrs.evolve(spread(MODEL), passes=RowFiles(tmp_path))
        rows = [TransformerRows.run(claim, model, [compile_claim(claim)[1]]) for _ in range(runs)][-1]
    expected = {0: DEVICE, 1: OTHER, 2: DEVICE}  # the final stream of two layers lies where the model does
    assert {layer for _, layer in rows.store.arrays} == {*expected}
    assert all(array.device == expected[layer] for (_, layer), array in rows.store.arrays.items())


def numbers(value: Any) -> Iterator[float]:
    """All numbers of a result, but for what it took."""
    if isinstance(value, dict):
        yield from (x for key, part in value.items() if key not in ("cost", "seconds") for x in numbers(part))
    elif isinstance(value, list | tuple):
        yield from (x for part in value for x in numbers(part))
    elif isinstance(value, float):
        yield value


BASIS = directions(np.random.default_rng(0).normal(size=(2, MODEL.shape.d_model)))
PARTS = {**sites_of(), "b": heads("0.1", at="END").part(BASIS)}
F64: dict[str, Any] = {"dtype": "float64"}
SETTING: dict[str, Any] = {**F64, "rows": 6, "ablation": "resample", "group": "length", "draws": 1}
DIFF = "logit_diff(label, kind)"
QUICK: dict[str, Any] = {**F64, "draws": 2, "rows": 4, "controls": "none", "parts": "none", "explain": False}
VERBS: dict[str, Callable[[Transformer], Any]] = {
    "test": lambda m: scrub.test(small_claim(sites=PARTS), model=m, **QUICK),
    "explain": lambda m: scrub.explain(small_claim(), model=m, draws=1, rows=4, **F64),
    "criteria": lambda m: scrub.criteria(small_claim(sites=PARTS), model=m, random=0, tests=False, **SETTING),
    "run_circuit": lambda m: scrub.run_circuit(
        "embed -> 1.0.k; 0.1 -> 1.0.q; 1.0 -> logits", hypothesis=small_claim(), model=m, **SETTING
    ),
    "patch_paths": lambda m: scrub.patch_paths(
        "0.0 -> 1.0.k ~mlps~> logits", hypothesis=small_claim(), model=m, rows=6, **F64
    ),
    "sweep": lambda m: scrub.sweep("heads", hypothesis=small_claim(), model=m, rows=6, **F64),
    "views": lambda m: scrub.views(small_claim(), model=m, draws=1, rows=6, **F64),
    "propose exact": lambda m: scrub.propose(small_claim(), model=m, method="exact", rows=6, verify=1, **F64),
    "propose relp": lambda m: scrub.propose(
        small_claim(metric=DIFF), model=m, method="relp", edges=True, rows=4, verify=1, **F64
    ),
    "propose dla": lambda m: scrub.propose(small_claim(metric=DIFF), model=m, method="dla", rows=4, verify=1, **F64),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_runs_on_two_devices(verb: str) -> None:
    expected = list(numbers(VERBS[verb](MODEL).to_dict()))
    with fake_device():
        found = list(numbers(VERBS[verb](spread(MODEL)).to_dict()))
    assert expected
    assert np.allclose(found, expected, rtol=0, atol=1e-9, equal_nan=True)


def test_kept_rows_are_read_to_where_their_layers_lie(tmp_path: Path) -> None:
    found: list[list[float]] = []
    with fake_device():
        for model in (MODEL.to(device=DEVICE), spread(MODEL)):  # the second reads what the first has kept
            result = scrub.test(small_claim(), model=model, cache=tmp_path, **QUICK)
            found.append(list(numbers(result.to_dict())))
    assert np.array_equal(*found, equal_nan=True)


def carried(layer: torch.nn.Module, there: torch.device, back: torch.device) -> None:
    """Has a layer's inputs brought to where its weights lie, and what it gives back, as accelerate does."""

    def to(device: torch.device, value: Any) -> Any:
        return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, value)

    layer.register_forward_pre_hook(lambda _, *given: (to(there, given[0]), to(there, given[1])), with_kwargs=True)
    layer.register_forward_hook(lambda _, given, found: to(back, found))


def test_a_bridge_on_several_devices_is_taken_as_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second layer is on a fake device, which TransformerLens takes for one without numbers."""
    bridge, host = bridged("LlamaForCausalLM"), torch.device("cpu")
    for module in [module for name, module in sys.modules.items() if name.startswith("transformer_lens")]:
        if hasattr(module, "require_readable_weight"):
            monkeypatch.setattr(module, "require_readable_weight", lambda weight, *_, **__: weight)
    layer = bridge.original_model.model.layers[1]
    with fake_device():
        carried(layer.to(OTHER), OTHER, host)
        assert devices(adapt(bridge)) == (host, OTHER)
        assert devices(adapt(bridge, device=host)) == (host,)
        assert layers_by_device(bridge) == {"cpu": 1, "meta:1": 1}
        told = scrub.plan(attrs.evolve(small_claim(), model=bridge), rows=4, draws=1)
        assert "weights: 1 layers on cpu, 1 layers on meta:1; rows are kept where their layer lies" in str(told)


def test_one_device_is_named() -> None:
    with pytest.raises(ModelError, match=r"--device cuda:0,cuda:1: one device is named \(cuda:0\).*device_map="):
        open_weights(find("zoo:induction"), Backend("cuda:0,cuda:1"))


PLACES = {"embed_tokens": 0, "rotary_emb": 0, "layers.0": 0, "layers.1": 1, "norm": 1}


@pytest.mark.skipif(torch.accelerator.device_count() < 2, reason="takes two accelerators, on which layers lie")
def test_two_real_devices_give_the_numbers_of_one() -> None:
    from accelerate import dispatch_model

    kind = str(torch.accelerator.current_accelerator(check_available=True))
    one, module = (hugging_face("LlamaForCausalLM").double() for _ in range(2))
    places = {f"model.{name}": f"{kind}:{number}" for name, number in PLACES.items()} | {"lm_head": f"{kind}:1"}
    models = [load(one, dtype=torch.float64), load(dispatch_model(module, places), dtype=torch.float64)]
    assert [len(devices(model)) for model in models] == [1, 2]
    blocks = [blocks_of(bench_on(attrs.evolve(small_claim(through="all"), model=model), model)) for model in models]
    assert np.allclose(*blocks, rtol=0, atol=1e-10)
