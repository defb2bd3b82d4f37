"""A compiled model with the distilled dormant pathway of Makelov et al. (2023), and claims about parts of its MLPs.

A token tells three bits, each 1 or -1. MLP 0 writes all of them where nothing reads (`APART`), MLP 1 where the answer
may look (`READ`). The answer is the sum of what is read, and twice what stands at `DORMANT`, where nobody writes.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scrub import Dataset, Hypothesis, Interpretation, claim, logits, mlps, neurons, recovers
from scrub.anatomy.part import HostPart
from scrub.anatomy.shape import Shape
from scrub.claims.sites import Site
from scrub.model.weights import Attn, Block, Mlp, Norm, Transformer
from strategies_models import named

D, BITS, SURE = 10, 3, 3.0
APART, DORMANT, READ = 3, 6, 7  # where the first of three dimensions stands, one, three
TOKENS = list(product((1.0, -1.0), repeat=BITS))


def axis(*dimensions: int) -> np.ndarray:
    """The direction that lies between some dimensions."""
    found = np.zeros(D)
    found[list(dimensions)] = len(dimensions) ** -0.5
    return found


def _tensor(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)


def _copies(to: int) -> Block:
    """An MLP that copies the bits: of two neurons one is active where a bit is 1, and one where it is -1."""
    into, out = np.zeros((D, 2 * BITS)), np.zeros((2 * BITS, D))
    for bit, sign in product(range(BITS), (1, -1)):
        unit = 2 * bit + (sign < 0)
        into[bit, unit], out[unit, to + bit] = sign, sign
    nothing = torch.zeros(1, D, 1, dtype=torch.float64)
    attn = Attn(nothing, nothing, nothing, nothing.transpose(1, 2))
    return Block(Norm("none"), attn, Norm("none"), Mlp(_tensor(into), _tensor(out), "relu"))


def dormant(looked_at: tuple[int, ...] = (0,)) -> Transformer:
    """The answer looks at some of the bits that MLP 1 writes."""
    shape = Shape("compiled", 2, 1, 1, D, 1, 2 * BITS, len(TOKENS), 4, "none", False, True, False, False)
    embedded, answer = np.zeros((len(TOKENS), D)), np.zeros((D, len(TOKENS)))
    embedded[:, :BITS] = TOKENS
    answer[[READ + bit for bit in looked_at], 0] = SURE
    answer[DORMANT, 0] = 2 * SURE
    answer[:, 1] = -answer[:, 0]
    answer[0, 2:] = 0
    blocks = (_copies(APART), _copies(READ))
    return Transformer(shape, _tensor(embedded), None, blocks, Norm("none"), _tensor(answer), name="dormant")


def rows(looked_at: tuple[int, ...] = (0,), number: int = 48) -> Dataset:
    """Rows of one token, with its bits and the answer to give: token 0 where the sum is above 0, else token 1."""
    rng, made = np.random.default_rng(5), list[dict[str, Any]]()
    for token in [*range(len(TOKENS)), *rng.integers(0, len(TOKENS), number - len(TOKENS)).tolist()]:
        bits = [int(bit) for bit in TOKENS[token]]
        right = 0 if sum(bits[bit] for bit in looked_at) > 0 else 1
        columns = {"x": bits[0], "u": bits[1], "w": bits[2], "right": right, "wrong": 1 - right}
        made.append({"tokens": [token], "positions": {"END": 0}, "columns": columns})
    return Dataset.from_rows(made)


def claim_of(site: Site, looked_at: tuple[int, ...] = (0,), **options: Any) -> Hypothesis:
    """That the answer reads the bits that it looks at, one variable, from a site alone."""
    names = [("x", "u", "w")[bit] for bit in looked_at]
    story = Interpretation()
    story.variable(named("bits", names, tuple))
    story.variable(named("answer", ["bits"], lambda known: 0 if sum(known[0]) > 0 else 1))
    setting = {"metric": "logit_diff(right, wrong)", "expect": recovers(0.8), "predicts": "right"} | options
    asked = claim(story, model=dormant(looked_at), data=rows(looked_at), **setting)
    return asked({"bits": site, "answer": logits("END").reads(input="bits")})


def two(first: Site, second: Site) -> Hypothesis:
    """That the answer reads one bit at one site, and another at another."""
    story = Interpretation()
    story.variable(named("first", ["x"], lambda known: known[0]))
    story.variable(named("second", ["u"], lambda known: known[0]))
    story.variable(named("answer", ["first", "second"], lambda known: 0 if sum(known) > 0 else 1))
    setting: dict[str, Any] = {"metric": "logit_diff(right, wrong)", "expect": recovers(0.1)}
    asked = claim(story, model=dormant((0, 1)), data=rows((0, 1)), **setting)
    return asked({"first": first, "second": second, "answer": logits("END").reads(input="first second")})


def part(*parts: HostPart, layer: int = 1) -> Site:
    return mlps(layer, at="END").part(*parts)


def units(names: str) -> Site:
    return neurons(names, at="END")
