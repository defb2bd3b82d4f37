"""Controls: what recovers as much by saying nothing, and whether the values of a claim matter at all.

*Shuffled values* gives every row the values that another row has: one permutation of the pool, within strata, for
all variables at once, so that the sizes of classes and all relations between variables stay, and only what they say
of the row is lost. Where a claim recovers no more than that, its paths were tested and its values were not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Float, Int

from scrub.anatomy.tolerances import ROUNDING
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Classes, Drawn, Draws, words
from scrub.errors import ClaimError, MetricError, ModelError, did_you_mean
from scrub.score.blocks import NumberBlock
from scrub.score.control import CONSTANT, KEEP, REPLACE, SHUFFLED, Control
from scrub.score.cost import PERMUTATIONS
from scrub.score.design import sampled_draws
from scrub.score.result import Result, ratio
from scrub.score.sample import ClaimBench, Samples, at_once, chunks
from scrub.score.statistics import UNDEFINED, Interval, interval
from scrub.score.verdict import INCONCLUSIVE, SUPPORTED
from scrub.score.verdict import UNDEFINED as NO_VERDICT

CONTROLS = ("shuffled", "all", "none")
PATHS = "tests paths, not values"
NO_VALUES = "swaps no values"


@frozen(eq=False, slots=False)
class ShuffledDraws(Draws):
    """Draws of a claim whose every variable has, at a row, its value at another row: `source[row]`.

    Permuted classes are all that differs: `source` stays in the stratum, so the class of a row is that of its source.
    """

    source: Int[np.ndarray, " row"] | None = None

    def classes(self, agree: tuple[str, ...]) -> Classes:
        if agree not in self._known:
            self._known[agree] = Classes.of(self.claim.data, self.claim.classes(agree)[self.source])
        return self._known[agree]


def known_controls(word: str) -> None:
    """Raises ClaimError for a word that names no controls."""
    if word not in CONTROLS:
        raise ClaimError(
            f"controls={word!r} is unknown.{did_you_mean(str(word), CONTROLS)} Known: {', '.join(CONTROLS)}."
        )


def permutation(claim: Claim, seed: int, number: int) -> Int[np.ndarray, " row"]:
    """A seeded permutation of the pool within strata; like a draw, it does not depend on the order of rows."""
    ranked = claim.data.order
    numbers = np.full(len(ranked), number, dtype=np.int64)
    word = words(claim.data, Calls(ranked, numbers), seed, "", "shuffle")
    source = np.arange(len(ranked))
    for stratum in np.unique(claim.stratum):
        inside = claim.stratum[ranked] == stratum
        source[ranked[inside]] = ranked[inside][np.argsort(word[inside], kind="stable")]
    return source


def shuffled(
    bench: ClaimBench, references: Int[np.ndarray, " row"], seed: int, number: int = PERMUTATIONS,
    done: Callable[[int], None] = lambda _: None,
) -> Float[np.ndarray, "row permutation"]:  # fmt: skip
    """The scrubbed metric with shuffled values: each permutation is one draw of every reference row."""
    made = [ShuffledDraws(bench.claim, seed, source=permutation(bench.claim, seed, k)) for k in range(number)]

    def blocks() -> Iterator[NumberBlock]:
        for calls in _by_permutation(references, number, at_once(bench)):
            drawn = [made[k].tree(bench.tree, _part(calls, k)) for k in np.unique(calls.draw).tolist()]
            yield bench.alone(calls, Drawn.joined(drawn))

    return bench.gathered(blocks(), done)["scrubbed"].reshape(number, len(references)).T


def _by_permutation(references: Int[np.ndarray, " row"], number: int, size: int) -> list[Calls]:
    """All calls, those of one permutation together, so that few permutations meet in one piece."""
    turned = chunks(np.arange(number), len(references), size)  # its rows are permutations, its draws rows
    return [Calls(references[piece.draw], piece.reference) for piece in turned]


def _part(calls: Calls, number: int) -> Calls:
    chosen = calls.draw == number
    return Calls(calls.reference[chosen], calls.draw[chosen])


def self_swapped(bench: ClaimBench, samples: Samples) -> float | None:
    """The share of all donors that are the calling row; None for a claim without donors."""
    weight = Counter(node.variable for node in bench.tree.walk() if not node.is_root)
    total = sum(weight[swaps.variable] for swaps in samples.swaps)
    same = sum(weight[swaps.variable] * swaps.self_swaps for swaps in samples.swaps)
    return same / total if total else None


def control(
    bench: ClaimBench, samples: Samples, result: Result, controls: str = "shuffled",
    done: Callable[[int], None] = lambda _: None,
) -> Result:  # fmt: skip
    """A result with its controls. A supported claim that recovers no more than its shuffles is inconclusive.

    Where more than half of all donors are the calling row itself, the claim says which paths matter and little of
    values: the shuffles are shown and do not touch the verdict. A claim without donors, that nothing but the answer
    matters, has no values to shuffle. `controls="none"` leaves the shuffles out, and says so.
    """
    if controls != "shuffled":
        result = evolve(result, options=result.options | {"controls": controls})
    known = (*_by_definition(bench, result),)
    if result.verdict == NO_VERDICT:
        return evolve(result, controls=known)
    same = self_swapped(bench, samples)
    if same is None:
        reason = f"{result.reason[:-1]}; it {NO_VALUES}: there is nothing to shuffle."
        idle = Control(SHUFFLED, None, None, None, result.bits.kept, f"the claim {NO_VALUES}")
        return evolve(result, controls=known if controls == "none" else (*known, idle), reason=reason)
    paths = same > 0.5
    reason = f"{result.reason[:-1]}; it {PATHS}: most donors are the row itself." if paths else result.reason
    if controls == "none":
        return evolve(result, controls=known, reason=reason)
    try:
        table = shuffled(bench, samples.references, result.seed, done=done)
    except (MetricError, ModelError) as error:  # values that never meet may be more than a model's functions take
        failed = Control(SHUFFLED, None, None, None, result.bits.kept, f"could not be run: {error}")
        return evolve(result, controls=(*known, failed), reason=reason)
    columns = np.column_stack([samples.columns[:, :3], table.mean(1)])
    design = sampled_draws(samples.design)
    share = interval(columns, of_shuffled, result.seed, design)
    found = Control(SHUFFLED, share.value, share.low, share.high, result.bits.kept)
    result = evolve(result, controls=(*known, found), reason=reason)
    more = interval(columns, beyond_shuffled, result.seed, design)
    return result if paths else _judged(result, more)


def of_shuffled(columns: np.ndarray) -> np.ndarray:
    """`recovered` of the shuffles, from means of (scrubbed, random, model, shuffled)."""
    return ratio(columns[:, [3, 1, 2]])


def beyond_shuffled(columns: np.ndarray) -> np.ndarray:
    """What a claim recovers beyond its shuffles, paired: from the same means."""
    return ratio(columns) - of_shuffled(columns)


def _judged(result: Result, more: Interval) -> Result:
    if result.verdict != SUPPORTED or (more.low is not None and more.low > ROUNDING):
        return result
    seen = "has no interval" if more == UNDEFINED else f"is {more}"
    reason = f"values do not matter: what is recovered beyond shuffled values {seen}, which does not lie above 0."
    return evolve(result, verdict=INCONCLUSIVE, reason=reason)


def _by_definition(bench: ClaimBench, result: Result) -> tuple[Control, ...]:
    """What keeping everything, replacing everything and a constant recover, where a share is defined."""
    if result.verdict == NO_VERDICT:
        return tuple(Control(name, None, None, None) for name in (KEEP, REPLACE, CONSTANT))
    everything = float(np.log2(len(bench.claim.data)))
    return (
        Control(KEEP, 1.0, 1.0, 1.0, everything),
        Control(REPLACE, 0.0, 0.0, 0.0, 0.0),
        Control(CONSTANT, result.constant, None, None, 0.0),
    )
