"""Circuits of models whose matrices are in half precision, against fp32 on the same weights."""

from __future__ import annotations

import pytest
import torch

from circuit.test_equals_oracle import experiment_on, model_of
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.model.layers import unembed

ROUNDED = 0.1  # share of the spread of the logits: two layers, their circuits and means, each time by eight bits


@pytest.mark.parametrize(
    "names", ["0.1, 1.2 @ END, mlp 0", "embed -> 0.1.v, 0.1 -> 1.2.k, 1.2 -> logits, mlp 0 -> 1.2.v"]
)
@pytest.mark.parametrize("kind", ["norms after", "attention only"])
def test_circuits_round(kind: str, names: str) -> None:
    names = names if kind == "norms after" else names.replace(", mlp 0 -> 1.2.v", "").replace(", mlp 0", "")
    half, circuit = model_of(kind).to(torch.bfloat16), Circuit.parse(names)
    found, wanted = (
        unembed(model, CircuitBench.of(experiment_on(model, "mean", "noising"), model, circuit, 0).outputs([circuit]))
        for model in (half, half.to(torch.float32))
    )
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() <= ROUNDED * wanted.std()
