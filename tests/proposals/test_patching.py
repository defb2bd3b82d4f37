"""Exact patching computes what a patch can change and the answer can see, and nothing else."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor

from proposals.exact_nodes import FORMS, LATER, batch_of, close, kinds_of, metric_by_hand, model_of, text
from scrub.anatomy.names import Component
from scrub.anatomy.table import TABLE
from scrub.proposals.bound import differences, largest
from scrub.proposals.forward import PatchBatch
from scrub.proposals.patching import Case, PlacedNode, effects

SHARED = 3  # tokens with which base and source begin


def batch(name: str, each: bool = True, back: int = 1, **form: Any) -> PatchBatch:
    given = text()
    source = tuple((*b[:SHARED], *s[SHARED:]) for b, s in zip(given.base, given.source, strict=True))
    return batch_of(model_of(name, **form), attrs.evolve(given, source=source), each=each, back=back)


def by_hand(found: PatchBatch, case: Case) -> Tensor:
    """The effect on every row, of a whole pass with all nodes of a case put in."""

    def put(traced: str, layer: int, value: Tensor) -> Tensor:
        for placed in case:
            kind, at = TABLE[placed.node.kind], found.columns[:, :, placed.column].bool()
            if kind.traced == traced and (placed.node.layer or 0) == layer:
                new, value = found.source_values[placed.node.kind, layer], value.clone()
                unit = () if placed.node.unit is None else (slice(None), slice(None), placed.node.unit)
                value[unit][at] = new[unit][at]
        return value

    return metric_by_hand(found, put) - metric_by_hand(found, lambda *_: None)


@pytest.mark.parametrize(("name", "form"), [*((name, {}) for name in (*FORMS, *LATER)), ("gpt2", {"causal": False})])
def test_sets_of_nodes_are_what_whole_passes_say(name: str, form: dict[str, Any]) -> None:
    """Some begin at one layer, some late in the row, some behind an MLP: run together, each has its effect."""
    found, rng = batch(name, **form), np.random.default_rng(0)
    nodes = [
        PlacedNode(node, column)
        for kind in kinds_of(found.model)
        for node in found.space.nodes(kind)
        for column in range(1, found.columns.shape[2])
    ]
    cases = [
        frozenset(nodes[i] for i in rng.choice(len(nodes), size, replace=False)) for size in (1, 1, 1, 2, 3, 5, 9)
    ]
    cases += [frozenset({PlacedNode(Component.for_mlp(layer), 4)}) for layer in range(3) if found.model.shape.d_mlp]
    cases += [frozenset({PlacedNode(Component("resid", layer), 5)}) for layer in range(4)]
    close(effects(found, cases, lambda n: None), torch.stack([by_hand(found, case) for case in cases]), 1e-10)


def test_only_what_a_patch_can_change_is_computed() -> None:
    """In passes over a row: later layers, from the first token that differs to the last that is read."""
    found = batch("gpt2", each=False, back=0)
    _ = found.base_values, found.source_values
    before, (n, t), share = found.passes.count["forward"], found.base.shape, 0.0
    for layer, entered in ((0, 0), (1, 1), (2, 2)):
        effects(found, [frozenset({PlacedNode(Component.for_head(layer, 1))})], lambda n: None)
        share += (3 - entered) / 3
        effects(found, [frozenset({PlacedNode(Component.for_mlp(layer))})], lambda n: None)
        share += (2 - entered) / 3  # what it writes is added to the stream behind it
    assert found.passes.count["forward"] - before == pytest.approx(n * share * (t - SHARED) / t)


def test_estimates_beside_subsets_tighten_the_bound_and_wrong_ones_do_not_break_it() -> None:
    """A control variate: however wrong estimates are, the level of 90 % is kept."""
    rng = np.random.default_rng(2)
    effect = rng.normal(size=20) * 0.1
    effect[3] = 1.0
    values: dict[str, list[float]] = {"good": [], "none": [], "wrong": []}
    for _ in range(150):
        chosen = rng.random((200, 20)) < 0.1
        found = chosen @ effect + rng.normal(size=200) * 0.02
        told = {"good": effect + rng.normal(size=20) * 0.02, "none": np.zeros(20), "wrong": rng.normal(size=20)}
        for name, known in told.items():
            bound = largest(differences(chosen, found - chosen @ known, known), 0.9)
            assert bound is not None
            values[name].append(bound)
    for bounds in values.values():
        assert 0.84 <= np.mean([bound >= 1.0 for bound in bounds]) <= 1.0
    assert np.mean(values["good"]) - 1 < 0.5 * (np.mean(values["none"]) - 1)
