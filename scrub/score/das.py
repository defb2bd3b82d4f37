"""Distributed alignment search (Geiger et al. 2024, arXiv 2303.02536): a subspace trained by interchange.

The model runs on a row with the part of a component that lies in the subspace taken from a donor, all downstream
recomputed, and should answer what the story answers with the variable set to what it is on the donor. The subspace is
linear, and orthonormal by its parametrisation; nothing else is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import orthogonal

from scrub.claims.resolved import Claim
from scrub.claims.values import equal, key
from scrub.engine.cache import Store, tensors
from scrub.engine.written import Written
from scrub.errors import ClaimError
from scrub.model.codes import PartCode, PartCodes
from scrub.model.layers import unembed
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from scrub.score.answers import ByTokens, Flags
from scrub.score.interchange import UNSAID, SetStory
from scrub.score.patched_parts import PartPatch, PartPatches, allowed

Numbers = Int[np.ndarray, " call"]


@frozen
class Training:
    """`draws` donors a row, `steps` of Adam from `rate` down to 0 along a cosine, `batch` calls each."""

    rank: int
    draws: int = 8
    steps: int = 400
    batch: int = 64
    rate: float = 0.05
    seed: int = 0


@frozen(eq=False)
class Projection:
    """A code for training: it reads a whole vector, and writes what of it lies in the span of its rows."""

    rows: Float[Tensor, "k d"]

    def encode(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return x

    def write(self, numbers: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return numbers @ self.rows.T @ self.rows


@frozen(eq=False)
class SwapCalls:
    """Rows, each with a donor, and what the story answers then; `moves` where that is another answer than its own."""

    rows: Numbers
    donors: Numbers
    wanted: tuple[Any, ...]
    moves: Flags


@frozen(eq=False, slots=False)
class SwapModel:
    """A model in which components, all at once, take part of what they write on donors; `store` has what that is.

    Raises ModelError for a layer's attention where that is normed before it is added.
    """

    claim: Claim
    model: Transformer
    store: Store
    places: tuple[Written, ...]

    @cached_property
    def codes(self) -> PartCodes:
        return PartCodes(self.model)

    @cached_property
    def tokens(self) -> tuple[Int[Tensor, "row t"], Int[Tensor, " row"]]:
        return tensors(self.claim.data, self.model.device)

    def __attrs_post_init__(self) -> None:
        for component, _ in self.places:
            allowed(self.codes, component)

    def logits(self, rows: Numbers, donors: Numbers, basis: Float[Tensor, "k d"]) -> Float[Tensor, "call v"]:
        """At the answer's position, with what lies in the span of orthonormal rows taken from the donors."""
        return self.run(rows, donors, (Projection(basis),))

    def run(self, rows: Numbers, donors: Numbers, codes: Sequence[PartCode]) -> Float[Tensor, "call v"]:
        """The same with `write(new - old)` of a code for each place more than the row's own."""
        tokens, lengths = self.tokens
        index, lenders = (torch.from_numpy(some).to(self.model.device) for some in (rows, donors))
        own, patches = lengths[index], list[PartPatches]()
        for (component, slot), code in zip(self.places, codes, strict=True):
            patch = PartPatch(component, slot, lenders)
            patches.append(PartPatches(self.codes.using(component, code), self.store, index, (patch,)))

        kinds = {kind for parts in patches for kind in parts.kinds}

        def record(kind: str, layer: int, value: Tensor) -> Tensor | None:
            if (kind, layer) not in kinds:
                return None
            value = value.to(index.device)
            for parts in patches:
                value = parts.put((kind, layer), value)
            return value

        x = trace(self.model, tokens[index, : int(own.max())], own, record)
        at = self.store.positions[self.claim.answer.at[0]][index]
        return unembed(self.model, x[torch.arange(len(rows), device=index.device), at])


def swaps(claim: Claim, variable: str, rows: Numbers, answers: ByTokens, training: Training) -> SwapCalls:
    """Donors for each row among the rows of its stratum; calls whose answer by the story cannot be said are left out.

    Raises ClaimError where there are none.
    """
    rng, strata = np.random.default_rng([training.seed, len(rows), 0xDA5]), claim.stratum[rows]
    base, donors = list[Numbers](), list[Numbers]()
    for stratum in np.unique(strata):
        members = rows[strata == stratum]
        base.append(np.repeat(members, training.draws))
        donors.append(rng.choice(members, len(members) * training.draws))
    row, donor = np.concatenate(base), np.concatenate(donors)
    wanted = SetStory(claim).answers(row, {variable: donor})
    own = [claim.values[claim.placement.output][r] for r in row]
    kept = [i for i, value in enumerate(wanted) if value is not UNSAID and answers.sayable(value)]
    moves = np.array([not equal(wanted[i], own[i]) for i in kept], dtype=bool)
    if not moves.any():
        raise ClaimError(f"das: wherever {variable!r} is set to what it is on another row, the story's answer stays.")
    return SwapCalls(row[kept], donor[kept], tuple(wanted[i] for i in kept), moves)


def das(
    swapped: SwapModel, answers: ByTokens, fitted: SwapCalls, training: Training, done: Callable[[int], None]
) -> Float[np.ndarray, "k d"]:
    """Orthonormal rows `[rank, d]` of the subspace, trained on some swaps by the cross-entropy of their answers."""
    ((component, _),) = swapped.places
    model, width = swapped.model, swapped.store.arrays[component.array].shape[-1]
    turned = _start(width, training, model)
    optimiser = torch.optim.Adam(turned.parameters(), training.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, training.steps)
    candidates = list(dict.fromkeys(answers.tokens.values()))
    target = torch.tensor(
        [candidates.index(answers.tokens[key(value)]) for value in fitted.wanted], device=model.device
    )
    rng = np.random.default_rng([training.seed, 0xDA5])
    with torch.inference_mode(mode=False), torch.enable_grad():
        for _ in range(training.steps):
            some = rng.choice(len(target), min(training.batch, len(target)), replace=False)
            logits = swapped.logits(fitted.rows[some], fitted.donors[some], turned.weight)
            loss = cross_entropy(answers.likely(logits, candidates), target[some])
            optimiser.zero_grad()
            loss.backward()  # pyright: ignore[reportUnknownMemberType]
            optimiser.step()
            schedule.step()
            done(1)
    return turned.weight.detach().cpu().double().numpy()


def _start(width: int, training: Training, model: Transformer) -> torch.nn.Linear:
    """A random subspace, parametrised so that its rows stay orthonormal."""
    with torch.random.fork_rng(devices=[]):  # the complement, too, is drawn, by torch's own generator
        torch.default_generator.manual_seed(training.seed)
        made = torch.nn.Linear(width, training.rank, bias=False, dtype=torch.float64)
        with torch.no_grad():
            made.weight.copy_(torch.linalg.qr(torch.randn(width, training.rank, dtype=torch.float64)).Q.T)
        return orthogonal(made).to(model.device, model.dtype)  # pyright: ignore[reportReturnType]


def moved(
    swapped: SwapModel, answers: ByTokens, asked: SwapCalls, basis: Float[np.ndarray, "k d"]
) -> dict[str, float]:
    """How often the model gives the story's answer where that moves, and how often another swap's (`chance`)."""
    rows = torch.from_numpy(basis).to(swapped.model.device, swapped.model.dtype)
    said: list[Any] = []
    with torch.no_grad():
        for start in range(0, len(asked.rows), 64):
            part = slice(start, start + 64)
            said += answers.read(swapped.logits(asked.rows[part], asked.donors[part], rows))
    hit = answers.same(said, asked.wanted)[asked.moves]
    there = np.flatnonzero(asked.moves)
    other = np.random.default_rng(len(there)).permutation(there)
    chance = answers.same([said[i] for i in there], [asked.wanted[i] for i in other])
    return {"accuracy": float(hit.mean()), "chance": float(chance.mean()), "swaps": len(there)}
