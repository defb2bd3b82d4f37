"""From judged rivals and their samples to a comparison: paired by row, since all saw the same rows and draws.

difference(a, b) = mean_x(L_b - L_a) / (L_random - L_model), which is recovered(a) - recovered(b). The denominator
has the sign of the metric, so that a positive difference speaks for a, whether lower or higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float

from scrub.anatomy.tolerances import FP32
from scrub.claims.text import Tokenizer
from scrub.score.comparison import (
    A_BETTER,
    B_BETTER,
    CANNOT_TELL,
    CLAIM,
    CONTROL,
    Compared,
    Comparison,
    DecidingRow,
    Difference,
    Fact,
    ParetoPoint,
    Refinement,
    labels,
)
from scrub.score.control import SHUFFLED
from scrub.score.design import KNOWN, SAMPLE
from scrub.score.paired import holm, p_of_mean, studentised
from scrub.score.population import drawn_of, wider_for_two
from scrub.score.refine import refines, swapped
from scrub.score.result import Result, gap
from scrub.score.sample import ClaimBench, Samples
from scrub.score.statistics import FEW_ROWS, UNDEFINED, interval
from scrub.score.stories import row_text
from scrub.score.structural import edges, facts
from scrub.score.verdict import nothing_to_recover

SIGNIFICANT = 0.05
DECIDING = 5  # rows of each pair
SHARED, MEAN = "shared", "mean of both"
KEEP_ALL, KEEP_NOTHING, CONSTANT = "keep everything", "keep nothing", "best constant"

Columns = Float[np.ndarray, "row k"]


@frozen(eq=False)
class Rival:
    """A claim that was sampled, under a name that no other has."""

    name: str
    bench: ClaimBench
    samples: Samples


def conclude(
    rivals: Sequence[Rival], results: Sequence[Result], draws: int | None, seed: int,
    tokenizer: Tokenizer | None,
) -> Comparison:  # fmt: skip
    """Compare claims that were sampled on the same rows with the same seed and draws, and judged as in a test.

    `draws` is None where every draw was enumerated.
    """
    first = rivals[0]
    names = [rival.name for rival in rivals]
    short = labels(names)
    compared = [_compared(rival, result, seed) for rival, result in zip(rivals, results, strict=True)]
    pairs = list(combinations(rivals, 2))
    differences = differences_of(rivals, draws, seed)
    unlike = any(d.random != SHARED for d in differences)
    return Comparison(
        hypotheses=tuple(compared), differences=tuple(differences),
        pareto=pareto(compared, results[0].constant, short),
        refines=tuple(
            Refinement(a.name, b.name) for a, b in permutations(rivals, 2) if refines(a.bench.claim, b.bench.claim)
        ),
        structural=tuple(
            Fact(a.name, b.name, text)
            for a, b in pairs for text in facts(a.bench.claim, b.bench.claim, short[a.name], short[b.name])
        ),
        deciding=tuple(row for a, b in pairs for row in deciding(a, b, tokenizer)),
        metric=str(first.bench.claim.metric), better=first.bench.claim.metric.better,
        model=float(first.samples.model.mean()),
        rows=len(first.samples.references), draws=draws, seed=seed,
        options={"random": "each claim has its own; a difference is on the mean of both"} if unlike else {},
        provenance=results[0].provenance, table=_table(rivals, short),
    )  # fmt: skip


def _compared(rival: Rival, r: Result, seed: int) -> Compared:
    """One claim by itself, as its test has it; nothing is judged where nothing is expected."""
    claim = rival.bench.claim
    expected = claim.hypothesis.expect is not None
    return Compared(
        hypothesis=rival.name, digest=r.digest, foil=r.foil,
        verdict=r.verdict if expected else None, reason=r.reason if expected else None,
        expect=r.expect if expected else None,
        recovered=r.recovered, explained=interval(rival.samples.columns, explained, seed, rival.samples.design),
        scrubbed=r.metric.scrubbed, random=r.metric.random, bits=r.bits,
        variables=len(swapped(claim)), edges=len(edges(claim)), options=r.options,
        controls=r.controls, adversary=r.adversary, story=r.story,
    )  # fmt: skip


def explained(columns: Columns) -> Float[np.ndarray, " n"]:
    """1 - AUE/ATE from means of (scrubbed, random, model, scrubbed distance, random distance)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - columns[:, 3] / columns[:, 4]


def differences_of(rivals: Sequence[Rival], draws: int | None, seed: int) -> list[Difference]:
    """Of every pair, for the population that the pool is a sample of, corrected for their number."""
    drawn = {r.name: drawn_of(r.bench, r.samples, draws, seed) for r in rivals}
    return adjusted([difference(a, b, seed, _wider(a, b, drawn, seed)) for a, b in combinations(rivals, 2)])


def _wider(a: Rival, b: Rival, drawn: Mapping[str, Samples], seed: int) -> float:
    """How many times wider their difference's interval is for the population: donors are a sample too."""
    if a.samples.design != SAMPLE:
        return 1.0
    ours, theirs = drawn[a.name], drawn[b.name]
    random, top = (ours.random + theirs.random) / 2, ours.top[:, None]
    gained = theirs.scrubbed - ours.scrubbed
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = random.mean() - top.mean()
        adds = (gained - gained.mean() / scale * (random - top)) / scale
    return wider_for_two([a.bench, b.bench], adds, ours, seed)


def difference(a: Rival, b: Rival, seed: int, wider: float = 1.0) -> Difference:
    """recovered(a) - recovered(b) with its paired interval and p; `adjusted` is p until other pairs are known.

    Both are `wider` times as far as given the pool.
    Where the two have their own L_random (other rests or strata), the scale is taken from the mean of both; where one
    of these is no scale, the difference is undefined.
    """
    first, second = a.samples.columns, b.samples.columns
    shared = bool(np.array_equal(a.samples.random, b.samples.random))
    random = first[:, 1] if shared else (first[:, 1] + second[:, 1]) / 2
    # as for `recovered`: scrubbed, random, model, and the other claim's scrubbed
    columns = np.stack([first[:, 0], random, first[:, 2], second[:, 0]], axis=1)
    scale = abs(float(gap(columns.mean(0)[None])[0]))
    nothing = _no_scale((first, second, columns), a, seed)
    share = interval(columns, _more, seed, a.samples.design) if nothing is None else UNDEFINED
    gained = columns[:, 3] - columns[:, 0]
    tested = np.where(np.abs(gained) <= FP32 * scale, 0.0, gained)
    tested = tested.mean() + wider * (tested - tested.mean())
    p = None if share.low is None else _p(tested, a.samples.design)
    found = Difference(
        a.name, b.name, share.widened(wider), studentised(tested), p, p, CANNOT_TELL, nothing or "",
        SHARED if shared else MEAN, wider,
    )  # fmt: skip
    return _judged(found)


def _p(tested: Float[np.ndarray, " row"], design: str) -> float:
    """Of a mean difference of 0; of a whole domain whose every draw is enumerated it is known whether it is 0."""
    return float(not tested.mean()) if design == KNOWN else p_of_mean(tested)


def _no_scale(tables: Iterable[np.ndarray], a: Rival, seed: int) -> str | None:
    """Why there is no scale for a difference: one of two claims, or their mean, has nothing to recover."""
    design = a.samples.design
    found = (
        nothing_to_recover(interval(columns, gap, seed, design), a.bench.claim.metric.better, len(columns), design)
        for columns in tables
    )
    return next((reason for reason in found if reason is not None), None)


def _more(columns: Columns) -> Float[np.ndarray, " n"]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (columns[:, 3] - columns[:, 0]) / (columns[:, 1] - columns[:, 2])


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with p-values corrected for their number (Holm), judged by these."""
    corrected = holm([d.p for d in differences])
    return [_judged(evolve(d, adjusted=p)) for d, p in zip(differences, corrected, strict=True)]


def _judged(d: Difference) -> Difference:
    """Better only where p says so, after correction, and the interval lies beyond 0 by more than rounding."""
    low, high = d.share.low, d.share.high
    if low is None or high is None or d.adjusted is None:
        return evolve(d, verdict=CANNOT_TELL, reason=d.reason or f"there is no interval: it takes {FEW_ROWS} rows.")
    if d.adjusted > SIGNIFICANT:
        return evolve(d, verdict=CANNOT_TELL, reason=f"p = {d.adjusted:.2g}: rows speak for both, or for neither.")
    if low <= FP32 and high >= -FP32:
        return evolve(d, verdict=CANNOT_TELL, reason="the interval of the difference contains 0.")
    word, side = (A_BETTER, "above") if low > 0 else (B_BETTER, "below")
    return evolve(d, verdict=word, reason=f"the whole interval lies {side} 0, p = {d.adjusted:.2g}.")


def pareto(compared: Sequence[Compared], constant: float | None, short: dict[str, str]) -> tuple[ParetoPoint, ...]:
    """Share against bits, claims and controls; marked where another keeps no more bits and recovers no less."""
    everything = compared[0].bits.everything
    points = [ParetoPoint(c.hypothesis, CLAIM, c.bits.kept, c.recovered.value) for c in compared]
    points += [ParetoPoint(KEEP_ALL, CONTROL, everything, 1.0), ParetoPoint(KEEP_NOTHING, CONTROL, 0.0, 0.0)]
    points += [ParetoPoint(CONSTANT, CONTROL, 0.0, constant)] if constant is not None else []
    points += [
        ParetoPoint(f"{SHUFFLED} of {short[c.hypothesis]}", CONTROL, control.bits, control.value)
        for c in compared for control in c.controls if control.name == SHUFFLED and control.bits is not None
    ]  # fmt: skip
    return tuple(evolve(p, dominated_by=_dominating(p, points)) for p in points)


def _dominating(point: ParetoPoint, points: Sequence[ParetoPoint]) -> str | None:
    """The best point that dominates this one, by more than rounding."""
    share = point.recovered
    if share is None:
        return None
    better = [
        (p.recovered, -p.bits, p.hypothesis)
        for p in points
        if p.recovered is not None and p.bits <= point.bits + FP32 and p.recovered >= share - FP32
        and (p.bits < point.bits - FP32 or p.recovered > share + FP32)
    ]  # fmt: skip
    return max(better)[2] if better else None


def deciding(a: Rival, b: Rival, tokenizer: Tokenizer | None) -> Iterator[DecidingRow]:
    """The rows with the largest paired differences, largest first; rows that do not differ decide nothing."""
    first, second = a.samples, b.samples
    ours, theirs = first.scrubbed.mean(1), second.scrubbed.mean(1)
    gained = (ours - theirs) * (1 if a.bench.claim.metric.better == "higher" else -1)
    scale = abs(float(first.random.mean() - first.model.mean()))
    for i in np.argsort(-np.abs(gained), kind="stable")[:DECIDING].tolist():
        if abs(gained[i]) > FP32 * scale:
            row = int(first.references[i])
            yield DecidingRow(
                a.name, b.name, row, row_text(a.bench.claim.data.rows[row], tokenizer), float(first.model[i]),
                float(ours[i]), float(theirs[i]), a.name if gained[i] > 0 else b.name,
            )  # fmt: skip


def _table(rivals: Sequence[Rival], short: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"row": rivals[0].samples.references, "model": rivals[0].samples.model}
    for rival in rivals:
        columns = rival.samples.columns
        found |= {f"{short[rival.name]} scrubbed": columns[:, 0], f"{short[rival.name]} random": columns[:, 1]}
    return found
