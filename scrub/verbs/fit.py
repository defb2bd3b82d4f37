"""`scrub.fit`: directions from data, for a variable of a claim in what a component writes.

Every fit sees some of the claim's rows (half of the scored ones unless `rows` says how many), and returns a `Basis`
that names them: `directions(basis)`, and `directions(file)` of a saved one, are tested on the others. Only linear
maps are fitted: others fit any algorithm, on random models too (arXiv 2507.08802).

Each takes a claim, a variable (or a column), and by name: `site=heads("9.9", at="END")`, where to read (default: the
variable's own site, of one component; `rank` takes several); `rows`, `seed`, `model`, `device`, `dtype`, `memory`,
`stream` as in `test`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from scrub.claims.basis import Basis
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, path_of
from scrub.verbs.examples import Examples, column, examples_at, examples_of, numbered
from scrub.verbs.setup import countable, progress

if TYPE_CHECKING:
    from jaxtyping import Float

    from scrub.claims.dictionaries.learned import LearnedDictionary
    from scrub.proposals.subspace import HeldPlace, RankCurve

SHOWN = 200  # coordinates that are shown, at most
Fit = Callable[["Examples"], tuple["Float[np.ndarray, 'k d']", dict[str, Any]]]


def mean_difference(hypothesis: Hypothesis, variable: str, **setting: Any) -> Basis:
    """One direction: what the means of a variable's two values differ by.

    Raises ClaimError for a variable that has not two values; ClaimProblems, ModelError.
    """
    from scrub.score.spans import mean_difference as run

    return _fitted(_Asked("mean_difference", {}), hypothesis, variable, setting, lambda e: run(e.x, e.classes))


def class_means(hypothesis: Hypothesis, variable: str, *, rank: int | None = None, **setting: Any) -> Basis:
    """The span of what the means of a variable's values differ by, or its `rank` widest directions.

    Raises ClaimError where they do not differ; ClaimProblems, ModelError.
    """
    from scrub.score.spans import class_means as run

    _ranked(rank)
    asked = _Asked("class_means", {"rank": rank})
    return _fitted(asked, hypothesis, variable, setting, lambda found: run(found.x, found.classes, rank))


def pca(hypothesis: Hypothesis, variable: str, *, rank: int = 1, **setting: Any) -> Basis:
    """The `rank` widest directions of what is written where the variable is placed, whatever its values.

    Raises ClaimError for more directions than vary; ClaimProblems, ModelError.
    """
    from scrub.score.spans import pca as run

    _ranked(rank)
    return _fitted(_Asked("pca", {"rank": rank}), hypothesis, variable, setting, lambda found: run(found.x, rank))


def fourier(
    hypothesis: Hypothesis, variable: str, frequencies: Sequence[int], *, period: int, **setting: Any
) -> Basis:
    """Directions along which cosine and sine of a numeric variable go: two for each frequency, in turns a `period`.

    Raises ClaimError for a variable that is no number, and for frequencies that rows cannot tell apart.
    """
    from scrub.score.spans import fourier as run

    if type(period) is not int or period < 2:
        raise ClaimError(f"period={period!r}: after how many numbers a turn is full, a whole number from 2 on.")

    def found(examples: Examples) -> Any:
        values = examples.values
        if wrong := [v for v in values if isinstance(v, bool) or not isinstance(v, Real)]:
            raise ClaimError(
                f"fourier takes a variable that is a number on every row, and {variable!r} is {wrong[0]!r}."
            )
        return run(examples.x, np.array(values, dtype=float), list(frequencies), period)

    asked = _Asked("fourier", {"frequencies": list(frequencies), "period": period})
    return _fitted(asked, hypothesis, variable, setting, found)


def probe(
    hypothesis: Hypothesis, variable: str, *, rank: int | None = None, penalty: float = 0.01, **setting: Any
) -> Basis:
    """The span of the weights of a logistic probe of the variable, or its `rank` widest directions.

    A quarter of the rows is held out, on which `found["accuracy"]` is measured, beside chance. `penalty` is that on
    half the squared weights, of inputs over their mean deviation. Raises ClaimError where all rows have one value.
    """
    from scrub.score.probe import probe as run

    _ranked(rank)
    _penalised(penalty)
    return _fitted(
        _Asked("probe", {"rank": rank, "penalty": penalty}),
        hypothesis,
        variable,
        setting,
        lambda e: run(e.x, e.classes, e.held_out, float(penalty), rank),
    )


def concepts(
    hypothesis: Hypothesis, variable: str, *, rank: int | None = None, penalty: float = 0.01, **setting: Any
) -> Basis:
    """The span of a variable's concepts: bound vectors of a codebook, pulled back through a linear encoder.

    A value that is a tuple, such as (io, s1, s2), bundles what stands at each place; the encoder reads all from one
    vector. A quarter of the rows is held out, on which `found["accuracy"]` is measured. Raises ClaimError for tuples
    of different lengths, and where all rows have one value (scrub/score/concepts.py).
    """
    from scrub.score.concepts import Concepts
    from scrub.score.concepts import concepts as run

    _ranked(rank)
    _penalised(penalty)
    return _fitted(
        _Asked("concepts", {"rank": rank, "penalty": penalty}), hypothesis, variable, setting,
        lambda e: run(e.x, e.values, e.held_out, Concepts(float(penalty), rank, e.seed)),
    )  # fmt: skip


def das(
    hypothesis: Hypothesis, variable: str, *, rank: int = 1, steps: int = 400, draws: int = 8,
    **setting: Any,
) -> Basis:  # fmt: skip
    """A subspace trained so that swapping it moves the model's answer as setting the variable moves the story's.

    `draws` donors a row, `steps` of Adam. A quarter of the rows is held out: `found` tells how
    often swaps among these move the answer, beside chance and the whole component. Raises ClaimError where the
    story's answers are no tokens, or never move.
    """
    from scrub.score.das import Training

    _ranked(rank)
    countable(draws, None, 0)
    if type(steps) is not int or steps < 1:
        raise ClaimError(f"steps={steps!r}: how often the subspace is improved, a whole number from 1 on.")
    return _fitted(
        _Asked("das", {"rank": rank, "steps": steps, "draws": draws}), hypothesis, variable, setting,
        lambda found: _aligned(found, Training(rank, draws, steps, seed=found.seed)),
    )  # fmt: skip


def dictionary(
    hypothesis: Hypothesis, variable: str, folder: str | Path, *, latents: int, topk: int = 8, **setting: Any
) -> LearnedDictionary:
    """A small TopK dictionary of what is written where a variable is placed; `latents(folder, "3 17")` reads it.

    It is written into a new `folder` in SAELens' layout. A quarter of the rows is held out, on which `found` tells
    what share of the variance it explains. `setting` takes `steps` too, of Adam (default: 2000). Raises ClaimError
    for a folder that is there, and for a component that files could not name, such as a head.
    """
    from scrub.claims.dictionaries.learned import LearnedDictionary, hook_of, write
    from scrub.claims.dictionaries.saelens import SEEN
    from scrub.score.sparse import Sparse, train_dictionary

    target, steps = path_of(folder, "folder"), setting.pop("steps", 2000)
    for name, count in (("latents", latents), ("topk", topk), ("steps", steps)):
        if type(count) is not int or count < 1:
            raise ClaimError(f"{name}={count!r}: a whole number from 1 on.")
    if topk > latents or target.exists():
        found = f"topk={topk} of {latents} latents cannot be active at once: give fewer"
        found = f"{target} is there already: name a new directory" if topk <= latents else found
        raise ClaimError(f"fit.dictionary: {found}.")
    examples = examples_of("dictionary", hypothesis, variable, setting)
    hook = hook_of(examples.place.component.whole, examples.weights.shape.n_layers)
    asked = Sparse(latents, topk, steps, examples.seed)
    with progress(f"{hypothesis.title}: dictionary", steps) as done:
        arrays, found = train_dictionary(examples.x, examples.held_out, asked, done)
    write(target, arrays, topk, {"model_name": examples.source.name, "hook_name": hook, SEEN: list(examples.seen)})
    place = examples.place
    return LearnedDictionary(
        target, place.component.whole, str(place.slot), latents, topk, examples.seen, found, examples.record
    )


def rank(hypothesis: Hypothesis, variable: str, *, worth: float = 0.01, draws: int = 4, **setting: Any) -> RankCurve:
    """The smallest subspaces that hold a variable, as a curve over the number of directions in all.

    `site` may be a list of sites, and has any number of components and positions (default: all the variable's own).
    These are swapped together, and so are their directions ordered: not the same rank in each, but the directions of
    all by what each is worth, so that a component of which little is needed has few (scrub/proposals/subspace.py).
    Of the rows that are seen, one half orders the directions (the widest that rows differ by, as the metric reads
    them) and the other measures them: of each row, `draws` donors among these on which the variable differs. A rank
    keeps the variable where it and all larger ones lose less than `worth` of what taking all of the components does.
    `.basis` (`.bases` of several) has the directions, which are tested on other rows. Raises ClaimError where taking
    all of the components changes nothing, MetricError for a metric without derivative; ClaimProblems, ModelError.
    """
    from scrub.metrics import Arguments
    from scrub.proposals.subspace import RankCurve, RankSearch, smallest
    from scrub.proposals.swaps import DonorDraws, usable
    from scrub.score.das import SwapModel
    from scrub.score.measure import MetricOnData

    if not 0 < worth < 1:
        raise ClaimError(f"worth={worth!r}: the share that may be lost, between 0 and 1.")
    countable(draws, None, 0)
    every = examples_at("rank", hypothesis, variable, setting)
    found = every[0]
    claim, model = found.claim, found.weights
    arguments = Arguments.of(claim.metric, claim.data, found.source.tokenizer, model.device)
    measure = MetricOnData(claim.metric, claim.data, arguments)
    usable(measure, model.shape.d_vocab)
    swapped = SwapModel(claim, model, found.store, tuple(one.place.written for one in every))
    how = DonorDraws(numbered(column(claim, variable)), draws, found.seed)
    search = RankSearch.of(swapped, measure, found.used, how)
    with progress(f"{hypothesis.title}: ranks") as done:
        order, points, (own, whole) = search.run(worth, done)
    kept = smallest(points, worth)
    held = tuple(_held(some, rows, kept.recovered) for some, rows in zip(every, order.first(kept.rank), strict=True))
    return RankCurve(
        name_of(hypothesis), variable, held, str(claim.metric), found.seed, worth,
        points, (float(own), float(whole)), search.used, claim.digest,
    )  # fmt: skip


def _held(found: Examples, rows: Float[np.ndarray, "k d"], recovered: float) -> HeldPlace:
    from scrub.proposals.subspace import HeldPlace

    place, told = found.place, {"of": rows.shape[1], "recovered": recovered}
    basis = _basis(_Asked("rank", {}), place.variable, found, (rows, told)) if len(rows) else None
    return HeldPlace(place.component.whole, str(place.slot), rows.shape[1], basis)


def _aligned(found: Examples, training: Any) -> Any:
    from scrub.score.answers import ByTokens, Incomparable, answers_of
    from scrub.score.das import SwapModel, das, moved, swaps

    if found.place.variable not in found.claim.values:
        raise ClaimError(
            f"das sets a variable of the story, or a column that has a site: {found.place.variable!r} is none."
        )
    try:
        answers = answers_of(found.claim, found.source.tokenizer)
    except Incomparable as error:
        raise ClaimError(f"das: {error}") from None
    assert isinstance(answers, ByTokens)
    width = found.x.shape[1]
    variable, held_out = found.place.variable, found.held_out
    swapped = SwapModel(found.claim, found.weights, found.store, (found.place.written,))
    fitted, asked = (
        swaps(found.claim, variable, found.used[rows], answers, training) for rows in (~held_out, held_out)
    )
    with progress(f"{found.claim.hypothesis.title}: das", training.steps) as done:
        basis = das(swapped, answers, fitted, training, done)
    whole = moved(swapped, answers, asked, np.eye(width))["accuracy"]
    return basis, {
        **moved(swapped, answers, asked, basis),
        "accuracy_of_whole": whole,
        "held_out": int(held_out.sum()),
    }


def _ranked(rank: int | None) -> None:
    if rank is not None and (type(rank) is not int or rank < 1):
        raise ClaimError(f"rank={rank!r}: how many directions, a whole number from 1 on.")


def _penalised(penalty: object) -> None:
    if not isinstance(penalty, float | int) or not penalty >= 0:
        raise ClaimError(f"penalty={penalty!r}: a number from 0 on.")


@frozen
class _Asked:
    """A method with its own arguments, from which it can be asked again."""

    method: str
    arguments: dict[str, Any]


def _fitted(
    asked: _Asked, hypothesis: Hypothesis | Examples, variable: str, setting: dict[str, Any], fit: Fit
) -> Basis:
    """What a fit finds; on examples that are at hand where these are given in the place of a claim."""
    at_hand = isinstance(hypothesis, Examples)
    examples = hypothesis if at_hand else examples_of(asked.method, hypothesis, variable, setting)
    if (rank := asked.arguments.get("rank") or 0) > (width := examples.x.shape[1]):
        raise ClaimError(
            f"rank {rank}: {examples.place.component.whole} writes {width} numbers: give {width} at most."
        )
    array, found = fit(examples)
    return _basis(asked, variable, examples, (array, found))


def _basis(
    asked: _Asked, variable: str, examples: Examples, fitted: tuple[Float[np.ndarray, "k d"], dict[str, Any]]
) -> Basis:
    array, found = fitted
    place, x = examples.place, examples.x
    shown = (x - x.mean(0)) @ np.linalg.qr(array.T)[0][:, :2]
    points = [(float(p[0]), float(p[-1]), str(v)) for p, v in zip(shown[:SHOWN], examples.values, strict=False)]
    return Basis(
        array, asked.method, variable, place.component.whole, str(place.slot), examples.seen, found,
        examples.record, tuple(points), asked.arguments,
    )  # fmt: skip
