"""What breaks a claim: every licensed swap alone, all but each, and the rows that suffer most.

A swap is one row that is drawn: the donor of an occurrence, or of a `together` group; the rest row of an occurrence,
with `rest_scope="input"` of an input, with "draw" of all. One that is not made uses the calling row itself. What
recovers much when it is undone is where the claim and the model disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Float, Int

from scrub.claims.plain import as_dict
from scrub.engine.draw import Calls, Drawn, Draws, Swap, all_swaps
from scrub.engine.unroll import Occurrence, rest_paths
from scrub.score.cost import Budget, with_all_below
from scrub.score.effect import SwapEffect, swapped_at
from scrub.score.left_out import LeftOut
from scrub.score.listener import Listener
from scrub.score.result import ratio
from scrub.score.sample import ClaimBench, Resampling, Samples, resample_each
from scrub.score.stories import RowStory, row_story
from scrub.score.trial import Trial
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd

TOP = 3
Done = Callable[[int], None]
WORST_ROWS = 3
WORTH_TELLING = 0.005  # of what is recovered


@frozen(eq=False)
class Explanation:
    """What `scrub.explain` returns; `swaps` are sorted by what undoing them would gain, `unfinished` more to come.

    `left_out` are senders that the claim leaves out where a rest costs something, by what reading them would gain;
    where none does, by what is lost when one of them does not come from the row of the others.
    """

    hypothesis: str
    recovered: float | None
    metric: str
    rest: str
    swaps: tuple[SwapEffect, ...]
    worst: tuple[RowStory, ...]
    rows: int
    draws: int
    seed: int
    tree: str = field(default="", repr=False)
    digest: str = ""
    options: dict[str, Any] = field(factory=dict[str, Any])
    provenance: dict[str, Any] = field(factory=dict[str, Any])
    unfinished: int = 0
    left_out: tuple[LeftOut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return as_dict(self)

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a swap."""
        return shown(self, "frame")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def swap_effects(
    bench: ClaimBench, samples: Samples, seed: int, listener: Listener, chosen: Collection[Swap] | None = None
) -> tuple[SwapEffect, ...]:
    """The effect of every swap on rows that were sampled, with the same draws, largest gain first.

    `chosen` are some of the swaps; the listener is ready for the effects so far.
    """
    everything = all_swaps(bench.tree, bench.claim)
    references, draws = samples.references, samples.scrubbed.shape[1]
    means = np.array([[0.0, samples.random.mean(), samples.top.mean()]])

    def share(table: Float[np.ndarray, "row draw"]) -> float | None:
        found = float(ratio(np.array([[table.mean(), means[0, 1], means[0, 2]]]))[0])
        return found if np.isfinite(found) else None

    full = share(samples.scrubbed)
    drawn = Draws(bench.claim, seed).tree(bench.tree, _calls(references, draws))
    routes, effects = _routes(bench.tree), list[SwapEffect]()
    asked = [swap for swap in everything if chosen is None or swap in chosen]
    runs = (set(made) for swap in asked for made in _made(swap, everything))
    tables = resample_each(bench, Resampling(references, draws, seed), runs, listener.done)
    for swap in asked:
        nodes = everything[swap]
        only, without, *more = (share(next(tables)) for _ in _made(swap, everything))
        with_all = None if nodes[0].is_root else more[0] if more else without
        readers = [routes[node.path] for node in nodes if swap[1] == "donor" or node is nodes[0]]
        effects.append(
            SwapEffect(
                *swapped_at(swap, nodes), swap[0], " & ".join(dict.fromkeys(readers)), swap[1], only, without,
                _more(without, full), _more(with_all, full), _own(bench, drawn, swap, nodes[0]),
                tuple(node.path for node in nodes),
            )
        )  # fmt: skip
        if listener.ready is not None:
            listener.ready(effects)
    return _sorted(effects)


def _made(swap: Swap, everything: Mapping[Swap, tuple[Occurrence, ...]]) -> list[Collection[Swap]]:
    """The swaps that are made in each run of an effect: it alone, all but it, and all but these and all below it."""
    below = with_all_below(swap, everything)
    branch = [] if everything[swap][0].is_root or len(below) == 1 else [set(everything) - below]
    return [{swap}, set(everything) - {swap}, *branch]


def _sorted(effects: Iterable[SwapEffect]) -> tuple[SwapEffect, ...]:
    return tuple(sorted(effects, key=lambda e: (-(e.gain if e.gain is not None else -np.inf), e.path, e.kind)))


def _more(share: float | None, full: float | None) -> float | None:
    return None if share is None or full is None else share - full


def _routes(tree: Occurrence) -> dict[str, str]:
    """By path: `name.v > answer`, who reads an occurrence, through which channels, up to the answer."""
    found = {tree.path: ""}
    for node in tree.walk():
        for child in node.children:
            channels = "" if child.channels == ("input",) else "." + "".join(child.channels)
            found[child.path] = " > ".join(filter(None, [f"{node.variable}{channels}", found[node.path]]))
    return found


def _calls(references: Int[np.ndarray, " row"], draws: int) -> Calls:
    return Calls(np.repeat(references, draws), np.tile(np.arange(draws), len(references)))


def _own(bench: ClaimBench, drawn: dict[str, Drawn], swap: Swap, node: Occurrence) -> float:
    """The share of draws in which a swap returned the calling row, that of the first who shares it."""
    path, kind = swap
    if kind == "rest":
        column = rest_paths(bench.claim, node).index(path)
        return float((drawn[node.path].rest[:, column] == drawn[node.path].own).mean())
    caller = next(n for n in bench.tree.walk() if any(child.path == node.path for child in n.children))
    return float((drawn[node.path].own == drawn[caller.path].own).mean())


def quick_effects(
    bench: ClaimBench, samples: Samples, budget: Budget, seed: int, done: Done = lambda _: None
) -> tuple[SwapEffect, ...]:
    """The effects of some swaps, from a small part of the sample."""
    few = _part(samples, budget.rows, budget.draws)
    return swap_effects(bench, few, seed, Listener(done=done), budget.chosen)


def top_lines(effects: Sequence[SwapEffect], budget: Budget) -> tuple[str, ...]:
    """The three swaps whose undoing gains most, as sentences; and how many were looked at, where not all were."""
    if len(budget.chosen) == budget.swaps:
        return _top(effects)
    if not budget.chosen:
        return (f"none of the {budget.swaps} swaps was undone, since that would cost more than so small a test",)
    words = f"of {budget.swaps} swaps only the {len(budget.chosen)} nearest the answer are undone"
    return (*_top(effects), f"{words}, to cost no more than the test")


def _top(effects: Sequence[SwapEffect]) -> tuple[str, ...]:
    lines = [_sentence(e) for e in effects[:TOP] if e.gain is not None and e.gain >= WORTH_TELLING]
    # swaps that do the harm together: undoing one of them gains little, undoing the branch much
    branches = [e for e in effects if e.branch is not None]
    widest = max(branches, key=lambda e: e.branch or 0.0, default=None)
    best = max((e.gain for e in effects if e.gain is not None), default=0.0)
    if widest is not None and (widest.branch or 0.0) > max(2 * best, WORTH_TELLING):
        branch = f"the {widest.what} and all swaps below it"
        lines = [f"undoing {branch} would recover {widest.branch:.2f} more: the claim fails there", *lines][:TOP]
    return tuple(lines)


def _sentence(effect: SwapEffect) -> str:
    return f"undoing the {effect.what} would recover {effect.gain:.2f} more: {effect.meaning}"


def _part(samples: Samples, rows: int, draws: int) -> Samples:
    return Samples(
        samples.references[:rows], samples.model[:rows],
        samples.scrubbed[:rows, :draws], samples.random[:rows, :draws],
        samples.scrubbed_distance[:rows, :draws], samples.random_distance[:rows, :draws],
        ceiling=None if samples.ceiling is None else samples.ceiling[:rows],
    )  # fmt: skip


def explain_claim(
    bench: ClaimBench, samples: Samples, trial: Trial, row: int | None, listener: Listener
) -> Explanation:
    """The effects of all swaps, and the worst rows (or one row) with where every value came from.

    The listener hears, after each swap, of what is known so far.
    """
    means = samples.columns.mean(0)[None]
    recovered = float(ratio(means)[0])
    sign = 1 if bench.claim.metric.better == "higher" else -1
    suffers = sign * (samples.model - samples.scrubbed.mean(1))
    order = np.argsort(-suffers, kind="stable")[:WORST_ROWS]
    chosen = order if row is None else np.flatnonzero(samples.references == row)
    worst = tuple(row_story(bench, samples, int(i), trial.seed) for i in chosen)
    found = Explanation(
        trial.name, recovered if np.isfinite(recovered) else None, str(bench.claim.metric), bench.claim.options.rest,
        (), worst, len(samples.references), trial.draws, trial.seed, str(bench.tree),
    )  # fmt: skip
    number = len(all_swaps(bench.tree, bench.claim))

    def words(effects: Sequence[SwapEffect]) -> None:
        if listener.ready is not None:
            listener.ready(evolve(found, swaps=_sorted(effects), unfinished=number - len(effects)))

    return evolve(found, swaps=swap_effects(bench, samples, trial.seed, evolve(listener, ready=words)))
