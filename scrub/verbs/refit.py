"""The controls of directions that `scrub.fit` found: the same fits on permuted values, and on untrained models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.part import FitRecipe, orthonormal
from scrub.anatomy.positions import parse_slots
from scrub.anatomy.tolerances import ORTHOGONAL
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.holds import Where
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.errors import ClaimError, DataError, ModelError
from scrub.model.resolve import sound
from scrub.verbs import fit
from scrub.verbs.examples import FEWEST, Examples, Place, column
from scrub.verbs.setup import OpenedModel, progress

if TYPE_CHECKING:
    from scrub.model.weights import Transformer
    from scrub.score.result import Result
    from scrub.score.sample import ClaimBench, Samples

BLIND = ("pca",)  # methods that look at no values


def refitted(bench: ClaimBench, samples: Samples, result: Result, opened: OpenedModel) -> Result:
    """A result with these controls; as it is where no directions say how they were found."""
    from scrub.score.control import PERMUTED_FIT, UNTRAINED_FIT, Control
    from scrub.score.cost import MODELS, REFITS
    from scrub.score.refits import permuted_fits
    from scrub.score.untrained import untrained_models

    if opened.weights is None or not (recipes := _recipes(bench.claim)):
        return result
    refits = Refits(bench, opened, opened.weights, recipes)
    title = bench.claim.hypothesis.title
    if all(recipe.method in BLIND for recipe in recipes.values()):
        blind = Control(PERMUTED_FIT, None, None, None, None, "the method looks at no values")
        result = evolve(result, controls=(*result.controls, blind))
    else:
        try:
            found = [refits.again(refits.weights, number) for number in range(REFITS)]
            others = [refits.bench_with(again, refits.weights) for again in found]
            same = all(_same(c, again[c]) for again in found for c in again)
            with progress(f"{title}: permuted fits", 0) as done:
                result = permuted_fits(samples, result, others, same, done)
        except (ClaimError, DataError, ModelError) as error:
            failed = Control(PERMUTED_FIT, None, None, None, None, f"could not be run: {error}")
            result = evolve(result, controls=(*result.controls, failed))
    with progress(f"{title}: fits on untrained models", MODELS) as done:
        result = untrained_models(bench, samples, result, refits.bench, done)
    *others, last = result.controls
    return evolve(result, controls=(*others, evolve(last, name=UNTRAINED_FIT)))


def _recipes(claim: Claim) -> dict[Component, FitRecipe]:
    """The parts of sites that say how they were found."""
    from scrub.score.replaced import sites_with_parts

    every = (c for placed in sites_with_parts(claim).values() for c in placed.site.components)
    return {c: c.part.recipe for c in every if c.part is not None and c.part.recipe is not None}


@frozen(eq=False, slots=False)
class Refits:
    """A claim whose directions are found again."""

    claimed: ClaimBench
    opened: OpenedModel
    weights: Transformer
    recipes: dict[Component, FitRecipe]

    @cached_property
    def everything(self) -> Claim:
        """The claim on all its rows, those that the fits saw among them."""
        hypothesis = self.claimed.claim.hypothesis
        seen = {digest for recipe in self.recipes.values() for digest in recipe.seen}
        left = tuple(sorted({*hypothesis.options.seen} - seen))
        sites = {name: _forgetting(value) for name, value in hypothesis.entries().items()}
        told = evolve(hypothesis, options=evolve(hypothesis.options, seen=left), changes=tuple(sites.items()))
        return sound(told, self.opened.given, expecting=False)[0]

    def bench(self, weights: Transformer) -> ClaimBench:
        """The claim on other weights, with directions found in these."""
        return self.bench_with(self.again(weights), weights)

    def again(self, weights: Transformer, permuted: int | None = None) -> dict[Component, Component]:
        """Each part as it is found again, in some weights or for the values of other rows."""
        return {c: self._again(c, recipe, weights, permuted) for c, recipe in self.recipes.items()}

    def bench_with(self, again: Mapping[Component, Component], weights: Transformer) -> ClaimBench:
        """The claim with other parts in the place of its own."""
        from scrub.score.replaced import replaced, retold, sites_with_parts

        claim = self.claimed.claim
        change: dict[Where, tuple[Component, ...]] = {
            where: tuple(sorted({again.get(c, c) for c in placed.site.components}))
            for where, placed in sites_with_parts(claim).items()
        }
        other = replaced(claim, change)
        if weights is not self.weights:
            return self.opened.untrained(other, weights)
        return self.opened.alike(self.claimed, [(other, retold(self.claimed.tree, claim, other))])[0]

    def _again(self, c: Component, recipe: FitRecipe, weights: Transformer, permuted: int | None) -> Component:
        """A part found again; of no more directions than it had."""
        from scrub.score.replaced import subspace

        assert c.part is not None
        examples = self._examples(recipe, weights)
        if permuted is not None and recipe.method not in BLIND:
            examples = _permuted(examples, permuted)
        method: Any = getattr(fit, recipe.method, None)
        if method is None:
            raise ClaimError(f"{c} was found by {recipe.method!r}, which is no method of scrub.fit.")
        found = method(examples, recipe.variable, **recipe.asked)
        return evolve(c, part=subspace(found.array[: c.part.size], "refitted"))

    def _examples(self, recipe: FitRecipe, weights: Transformer) -> Examples:
        from scrub.engine.written import in_full, width_of, written_store

        claim, seen = self.everything, set(recipe.seen)
        assert isinstance(claim.graph, TransformerGraph)
        component = parse_component(recipe.component, parts=True)
        place = Place(
            recipe.variable, in_full(component, width_of(component, claim.graph)), parse_slots(recipe.at)[0]
        )
        used = np.array([i for i, row in enumerate(claim.data.rows) if row.input_digest in seen], dtype=np.int64)
        if len(used) < FEWEST:
            within = f" in {recipe.model}" if recipe.model else ""
            raise ClaimError(
                f"of the rows that {recipe.method} saw{within} {len(used)} are in the data: it cannot be repeated."
            )
        store = written_store(weights, claim, [place.written], lambda _: None)
        return Examples(claim, self.opened.source, weights, place, used, store, recipe.seed)


def _same(c: Component, other: Component) -> bool:
    """Whether two parts span the same directions."""
    assert c.part is not None
    assert other.part is not None
    first, second = (orthonormal(part.arrays["basis"]) for part in (c.part, other.part))
    return len(first) == len(second) and bool(np.abs(second - second @ first.T @ first).max() < ORTHOGONAL)


def _permuted(examples: Examples, number: int) -> Examples:
    """Examples whose variable has, on the rows that are seen, its values on others of them."""
    name, used = examples.place.variable, examples.used
    values = list(column(examples.claim, name))
    order = np.random.default_rng([examples.seed, number, 0x9E7]).permutation(used)
    taken = [values[row] for row in order]
    for row, value in zip(used, taken, strict=True):
        values[row] = value
    known = {**examples.claim.values, name: tuple(values)}
    return evolve(examples, claim=evolve(examples.claim, values=known))


def _forgetting(value: Any) -> Any:
    """A place in which parts do not say which rows were seen when they were found."""
    if isinstance(value, list | tuple):
        return [_forgetting(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, Site):
        return value
    told = (c if c.part is None else evolve(c, part=evolve(c.part, seen=())) for c in value.components)
    return evolve(value, components=tuple(told))
