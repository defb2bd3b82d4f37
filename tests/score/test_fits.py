"""Bases from data: found where they are known, by hand or by construction."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from scrub import Interpretation, attn, claim, embed, heads, logits, mlps, queries, recovers, resid
from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.engine.written import in_full, width_of, written, written_store
from scrub.errors import ClaimError
from scrub.model.layers import write
from scrub.model.trace import trace
from scrub.model.weights import Attn, Block, Norm, Transformer
from scrub.score.answers import ByTokens, answers_of
from scrub.score.concepts import Concepts, concepts
from scrub.score.das import SwapCalls, SwapModel, Training, das, moved, swaps
from scrub.score.patched import Patch, PatchedTransformer
from scrub.score.probe import fit_probe, probe
from scrub.score.spans import class_means, fourier, mean_difference, pca
from strategies import checked
from strategies_models import random_rows, random_transformer

D, KINDS, OTHERS, JUNK = 8, 3, 4, 10
TURNED = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
PLANE = TURNED[:2]  # in which the model holds what kind a word is
ANGLES = 2 * np.pi * np.arange(KINDS) / KINDS
CORNERS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1) @ PLANE
SPEAKING = KINDS * OTHERS + JUNK  # the first of the tokens that are answers


def known_model() -> Transformer:
    """Words are a kind, in a plane, and something else, outside it; the answer is the kind. Its head is silent."""
    others = np.random.default_rng(6).normal(size=(OTHERS, 3)) @ TURNED[2:5]
    words = (CORNERS[:, None] + others[None]).reshape(-1, D)
    embedding = torch.tensor(np.concatenate([words, np.zeros((JUNK + KINDS, D))]))
    nothing = torch.zeros(1, D, 4, dtype=torch.float64)
    block = Block(Norm("none"), Attn(nothing, nothing, nothing, nothing.transpose(1, 2), scale=1.0))
    unembedding = torch.tensor(np.concatenate([np.zeros((SPEAKING, D)), 1.5 * CORNERS])).T
    shape = Shape("known", 1, 1, 1, D, 4, 0, SPEAKING + KINDS, 4)
    return Transformer(
        shape=shape, W_E=embedding, blocks=(block,), ln_final=Norm("none"), W_U=unembedding, W_pos=None
    )


def known_rows() -> Dataset:
    rng, rows = np.random.default_rng(7), []
    for word in range(KINDS * OTHERS):
        for junk in range(JUNK):
            kind = word // OTHERS
            columns = {"kind": kind, "chance": int(rng.integers(KINDS)), "label": SPEAKING + kind}
            rows.append({"tokens": [KINDS * OTHERS + junk, word], "positions": {"W": 1}, "columns": columns})
    return Dataset.from_rows(rows)


def known_claim(model: Transformer, column: str) -> Claim:
    story, scope = Interpretation(), {"SPEAKING": SPEAKING}
    exec(f"def value({column}): return {column}\ndef answer(value): return SPEAKING + value", scope)
    for name in ("value", "answer"):
        story.variable(scope[name])  # type: ignore[arg-type]
    setting = {"model": "known", "metric": "loss(label)", "expect": recovers(0.5), "data": known_rows()}
    made = claim(story, **setting)({"value": embed("W"), "answer": logits("W").reads(input="value")})  # type: ignore[arg-type]
    found = checked(made, model, known_rows())
    assert found is not None
    return found


def swap_model(found: Claim, model: Transformer, site: Site) -> SwapModel:
    (component,), (slot,) = site.components, site.at
    full = in_full(component, width_of(component, found.graph))  # type: ignore[arg-type]
    store = written_store(model, found, [(full, slot)], lambda _: None)
    return SwapModel(found, model, store, ((full, slot),))


def known(column: str) -> tuple[Claim, SwapModel, ByTokens]:
    model = known_model()
    found = known_claim(model, column)
    answers = answers_of(found, None)
    assert isinstance(answers, ByTokens)
    return found, swap_model(found, model, embed("W")), answers


def test_das_finds_the_plane_that_the_model_uses() -> None:
    """On every pair of words once, so that what else they are tells nothing of their kind."""
    found, swapped, answers = known("kind")
    words = np.arange(0, len(found.data), JUNK)
    rows, donors = (side.reshape(-1) for side in np.meshgrid(words, words, indexing="ij"))
    kinds = np.array([found.values["value"][row] for row in range(len(found.data))])
    wanted = tuple(SPEAKING + int(kind) for kind in kinds[donors])
    every = SwapCalls(rows, donors, wanted, kinds[rows] != kinds[donors])
    training = Training(rank=2, steps=400, batch=len(rows))
    basis = das(swapped, answers, every, training, lambda _: None)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-9)
    assert subspace_angles(basis.T, PLANE.T).max() < 1e-3
    others = swaps(found, "value", np.arange(1, len(found.data), JUNK), answers, training)
    assert moved(swapped, answers, others, basis)["accuracy"] == 1
    assert moved(swapped, answers, others, TURNED[2:4])["accuracy"] == 0


def test_das_of_a_random_variable_is_no_better_than_chance_on_other_rows() -> None:
    found, swapped, answers = known("chance")
    order, training = np.random.default_rng(0).permutation(len(found.data)), Training(rank=2, steps=100)
    fitted, asked = (swaps(found, "value", rows, answers, training) for rows in (order[30:], order[:30]))
    basis = das(swapped, answers, fitted, training, lambda _: None)
    told = moved(swapped, answers, asked, basis)
    error = (0.25 / 30) ** 0.5  # rows are what is independent, not swaps
    assert told["accuracy"] < told["chance"] + 2 * error


SITES = [heads("1.1", at="END"), attn(1, at="END"), mlps(1, at="END"), resid(1, at="END"), queries("1.1", at="END")]


def of_random_model(site: Site) -> tuple[Claim, Transformer]:
    models = (random_transformer(Random(seed)) for seed in range(2000))
    model = next(m for m in models if m.shape.d_mlp and not m.shape.post_norms and m.shape.n_layers == 3)
    story = Interpretation()
    scope: dict[str, Callable[..., object]] = {}
    exec("def x(c0): return c0\ndef h(x): return x\ndef answer(h): return h", scope)
    for name in ("x", "h", "answer"):
        story.variable(scope[name])
    data = random_rows(Random(4), (), tokens=True)
    channel = site.components[0].traits.is_channel
    where = {"x": site, "h": heads("1.1", at="END").reads(q="x") if channel else resid(3, at="END").reads(input="x")}
    setting = {"model": "random", "data": data, "metric": "loss(label)", "expect": recovers(0.5), "through": "all"}
    made = claim(story, **setting)({**where, "answer": logits("END").reads(input="h")})  # type: ignore[arg-type]
    found = checked(made, model, data)
    assert found is not None
    return found, model


@pytest.mark.parametrize("site", SITES, ids=str)
def test_swapping_all_directions_is_the_interchange_of_the_whole(site: Site) -> None:
    found, model = of_random_model(site)
    swapped, rows, donors = swap_model(found, model, site), np.arange(5), np.arange(5, 10) % len(found.data)
    width = width_of(site.components[0], found.graph)  # type: ignore[arg-type]
    got = swapped.logits(rows, donors, torch.eye(width, dtype=torch.float64))
    whole = PatchedTransformer(found, model).outputs(rows, [Patch((site,), donors)])
    torch.testing.assert_close(got, whole, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(got, PatchedTransformer(found, model).outputs(rows))


def test_what_a_head_writes_is_its_z_through_its_output() -> None:
    found, model = of_random_model(SITES[0])
    got = written(swap_model(found, model, SITES[0]).store, *_placed(found))
    row = 3
    tokens, kept = torch.tensor([found.data.rows[row].tokens]), dict[str, torch.Tensor]()

    def record(kind: str, layer: int, value: torch.Tensor) -> None:
        if (kind, layer) == ("z", 1):
            kept["z"] = value

    trace(model, tokens, torch.tensor([tokens.shape[1]]), record)
    at = found.data.rows[row].positions["END"]
    torch.testing.assert_close(got[row], write(model.blocks[1].attn, kept["z"][0, at, [1]], [1]))


def _placed(found: Claim) -> tuple[object, object]:
    return in_full(SITES[0].components[0], found.graph.shape.d_model), SITES[0].at[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(90, 5), (24, 40)], ids=["more rows than numbers", "fewer"])
def test_a_probe_is_the_minimum_of_its_loss(size: tuple[int, int]) -> None:
    """At which the gradient of the loss, written another way, is nothing."""
    draw = np.random.default_rng(0)
    classes = draw.integers(3, size=size[0])
    x = draw.normal(size=size) * 3 + 4 + np.eye(size[1])[classes] * 4
    found = fit_probe(x, classes, penalty=0.05)
    scale = x.std(0).mean()
    weights = torch.tensor(found.weights * scale, requires_grad=True)
    bias = torch.tensor(found.bias + x.mean(0) @ found.weights, requires_grad=True)
    z = torch.tensor((x - x.mean(0)) / scale)
    loss = (
        torch.nn.functional.cross_entropy(z @ weights + bias, torch.tensor(classes)) + 0.025 * weights.square().sum()
    )
    loss.backward()
    for gradient in (weights.grad, bias.grad):
        assert gradient is not None
        assert gradient.abs().max() < 1e-4


def test_a_probe_is_judged_on_rows_that_it_did_not_see() -> None:
    draw = np.random.default_rng(1)
    direction = TURNED[0]
    classes = np.arange(80) % 2
    x = 0.5 * draw.normal(size=(80, D)) + 6 * classes[:, None] * direction
    held_out = np.arange(80) < 20
    basis, found = probe(x, classes, held_out)
    assert found["accuracy"] == found["accuracy_of_rank"] == 1
    assert found["chance"] == 0.5
    assert abs(basis[0] @ direction) > 0.95
    flipped = np.where(held_out, 1 - classes, classes)
    assert probe(x, flipped, held_out)[1]["accuracy"] == 0


def test_concepts_are_found_place_by_place() -> None:
    """Two things are written at once, each along two directions of its own, and noise beside them."""
    draw = np.random.default_rng(8)
    first, second = draw.integers(3, size=(2, 200))
    noise = 0.05 * draw.normal(size=(200, D))
    x = CORNERS[first] + 0.5 * CORNERS[second] @ TURNED[:2].T @ TURNED[2:4] + noise + 4
    values, held_out = (
        [(("Mary", "John", "Tom")[a], int(b)) for a, b in zip(first, second, strict=True)],
        np.arange(200) < 50,
    )
    basis, found = concepts(x, values, held_out, Concepts(rank=4))
    assert subspace_angles(basis.T, TURNED[:4].T).max() < 0.2
    assert (found["accuracy"], found["places"]) == (1, [1, 1])
    assert found["chance"] < 0.3
    junk = [(value, int(draw.integers(3))) for value, _ in values]
    told = concepts(x, junk, held_out, Concepts())[1]
    assert told["places"][0] == 1 > 0.6 > told["places"][1]
    one = concepts(x, [value for value, _ in values], held_out, Concepts(rank=2))[0]
    assert subspace_angles(one.T, PLANE.T).max() < 0.1
    with pytest.raises(ClaimError, match=r"a tuple of as many things on every row, found \[1, 2\]"):
        concepts(x, [values[0], "Mary", *values[2:]], held_out, Concepts())
    with pytest.raises(ClaimError, match="these rows have one value"):
        concepts(x, ["Mary"] * 200, held_out, Concepts())


def test_class_means_and_mean_difference_span_what_values_differ_by() -> None:
    draw = np.random.default_rng(2)
    classes = np.arange(60) % 3
    noise = draw.normal(size=(60, D)) @ TURNED[4:].T @ TURNED[4:]
    x = CORNERS[classes] + 0.1 * (noise - np.stack([noise[classes == c].mean(0) for c in range(3)])[classes])
    basis, found = class_means(x, classes)
    assert subspace_angles(basis.T, PLANE.T).max() < 1e-9
    assert found["shares"] == pytest.approx([0.5, 0.5])
    some = x[classes < 2]
    one, told = mean_difference(some, classes[classes < 2])
    assert abs(one[0] @ (CORNERS[1] - CORNERS[0])) == pytest.approx(told["distance"])
    with pytest.raises(ClaimError, match="a mean difference is of two values, found 3: take class_means"):
        mean_difference(x, classes)
    with pytest.raises(ClaimError, match="does not differ between the values"):
        class_means(np.ones((6, 2)), np.arange(6) % 2)


def test_principal_components_are_the_widest() -> None:
    x = np.random.default_rng(3).normal(size=(50, D)) * np.array([9, 3, 1, 1, 0, 0, 0, 0]) @ TURNED
    basis, found = pca(x, 2)
    assert subspace_angles(basis.T, TURNED[:2].T).max() < 0.4
    assert found["shares"][0] > 0.7
    with pytest.raises(ClaimError, match="rank 5: what is written varies along 4 directions"):
        pca(x, 5)


def test_fourier_finds_the_waves_of_a_number() -> None:
    numbers = np.arange(60.0) % 12
    turn = 2 * np.pi * numbers / 12
    x = np.stack([np.cos(2 * turn), 3 * np.sin(2 * turn), np.cos(5 * turn), np.cos(6 * turn)], 1) @ TURNED[:4] + 7
    basis, found = fourier(x, numbers, [2], period=12)
    assert subspace_angles(basis.T, TURNED[:2].T).max() < 1e-9
    assert found["shares"]["2"] == pytest.approx(5 / 6.5)
    assert len(fourier(x, numbers, [6], period=12)[0]) == 1
    for frequencies, said in (([7], "whole numbers from 1 to 6"), ([2, 2], "whole numbers from 1 to 6")):
        with pytest.raises(ClaimError, match=said):
            fourier(x, numbers, frequencies, period=12)
    with pytest.raises(ClaimError, match="2 different numbers cannot tell 2 waves apart"):
        fourier(x, numbers % 2, [2], period=12)
