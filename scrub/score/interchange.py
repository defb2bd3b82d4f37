"""Interchange interventions (Geiger et al. 2021, causal abstraction), from the same hypothesis.

The model runs on a row x with the values of a variable's components, at their named positions, taken from a donor d
that differs in the variable, everything downstream recomputed; the story runs on x with the variable set to what it
is on d, and gives a*. The model should answer a*. Scrubbing asks whether rows that agree are interchangeable; this
asks whether rows that differ make the difference that the story says. A feature that is carried but not used passes
the first and fails the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen
from jaxtyping import Int

from scrub.claims.edited import unused_by
from scrub.claims.plain import as_dict
from scrub.claims.resolved import Claim
from scrub.claims.values import Value, equal, key
from scrub.engine.draw import Calls, Classes, words
from scrub.errors import ClaimError, some
from scrub.score.answers import Answers, Flags
from scrub.score.domain import design_of
from scrub.score.intervals import Columns, Statistic
from scrub.score.patched import Patch, Patched, PatchedGraph
from scrub.score.statistics import UNDEFINED, Interval, interval
from scrub.score.trial import Trial
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

JOINT = "jointly"
UNSAID = object()  # what a story answers that has nothing to say
Numbers = Int[np.ndarray, " call"]
Judged = Callable[[Columns, Statistic], Interval]  # the interval of a statistic of columns
OfRows = Int[np.ndarray, " row"]


@frozen
class Share:
    """How often the model answered a*, with an interval over rows, and how often by chance; on how many rows."""

    share: Interval
    chance: float | None
    rows: int

    def to_dict(self) -> dict[str, Any]:
        return {**as_dict(self, "share"), **as_dict(self.share, "level")}


NOBODY = Share(UNDEFINED, None, 0)


@frozen
class Exchange:
    """One variable, or all of them jointly.

    `moved`: where a* is another answer than the row's own, which is the score; `stayed`: where it is the same, and
    the model should not move; `moved_agreeing`: the score on rows where model and story agree unswapped. `unsaid` is
    the share of calls left out of these because the model could not be found to give a*: it is no candidate, or no
    value that an output could equal; `departed`: how often the model then leaves the row's own answer, on rows where
    it agrees with the story unswapped. `reason` says why there is no score.
    """

    variable: str
    moved: Share
    stayed: Share
    moved_agreeing: Share
    unsaid: float
    departed: Share
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        agreeing = self.moved_agreeing.to_dict()
        return {**as_dict(self, "moved", "moved_agreeing"), **self.moved.to_dict(), "agreeing": agreeing}


@frozen(eq=False)
class Interchange:
    """What `scrub.interchange` returns; `agreeing` is the share of rows where model and story agree unswapped."""

    hypothesis: str
    digest: str
    exchanges: tuple[Exchange, ...]
    agreeing: float
    rows: int
    draws: int
    seed: int
    options: dict[str, Any]
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"interchange": [exchange.to_dict() for exchange in self.exchanges], **as_dict(self, "exchanges")}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a variable."""
        return shown(self, "frame")

    def plot(self) -> Figure:
        """The shares of every variable beside chance as a plotly figure. Raises ScrubError without plotly."""
        return shown(self, "plot")

    def __str__(self) -> str:
        return shown(self, "text")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def interchange(
    model: Patched, answers: Answers, references: Int[np.ndarray, " reference"], trial: Trial,
    done: Callable[[int], None] = lambda _: None,
) -> Interchange:  # fmt: skip
    """Every variable that the answer reads, then all jointly, each with a donor of its own.

    The draws of a trial are donors for each row and variable. Raises ClaimError where the story's answers could never
    equal the model's outputs.
    """
    claim, draws = model.claim, trial.draws
    variables = [n for n in claim.placement.reached() if n != claim.placement.output]
    calls = Calls(np.repeat(references, draws), np.tile(np.arange(draws), len(references)))
    own = claim.values[claim.placement.output]
    if isinstance(model, PatchedGraph):
        outputs = model.outputs(references)
        answers = answers.beside(outputs)
        said = answers.read(outputs)
    else:
        said = _said(model, answers, references, ())
    agreeing = answers.same(said, [own[row] for row in references])
    asked = _Interventions(model, answers, calls, np.repeat(agreeing, draws), trial.seed)
    found = [_exchange(asked, n, [n], done) for n in sorted(variables)]
    if len(variables) > 1:
        found.append(_exchange(asked, JOINT, sorted(variables), done))
    return Interchange(
        trial.name, claim.digest, tuple(found), float(agreeing.mean()), len(references), draws, trial.seed,
        claim.options.shown(), {},
    )  # fmt: skip


@frozen(eq=False)
class _Interventions:
    """The calls in which variables are set; `agrees` says where model and story agree unswapped."""

    model: Patched
    answers: Answers
    calls: Calls
    agrees: Flags
    seed: int


def _said(model: Patched, answers: Answers, rows: Numbers, patches: Sequence[Patch]) -> list[Any]:
    """What is read of the output of every call; few of the outputs are held at once."""
    said: list[Any] = []
    for start in range(0, len(rows), model.together):
        part = slice(start, start + model.together)
        said += answers.read(model.outputs(rows[part], [Patch(p.sites, p.donors[part]) for p in patches]))
    return said


def donors(claim: Claim, name: str, calls: Calls, seed: int) -> Numbers:
    """A row for each call, uniform among those of the stratum that differ on a variable; -1 where there is none."""
    stratum, kind = _ranked(claim, ()), _ranked(claim, (name,))
    together = np.unique(stratum * len(kind) + kind, return_inverse=True)[1].reshape(-1)
    classes, strata = Classes.of(claim.data, together), Classes.of(claim.data, stratum)
    sites = " ".join(sorted(site.site.canonical for site in claim.placement.placed[name].sites))
    word = words(claim.data, calls, seed, sites, "interchange") >> np.uint64(32)
    own, inside = classes.code[calls.reference], strata.code[calls.reference]
    # members of a stratum are neighbours, as its number leads that of a class: the own class is stepped over
    first = np.full(int(strata.code.max()) + 1, len(claim.data))
    np.minimum.at(first, strata.code, classes.start[classes.code])
    others = strata.size[inside] - classes.size[own]
    rank = ((word * others.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
    before = classes.start[own] - first[inside]
    at = first[inside] + np.where(rank < before, rank, rank + classes.size[own])
    return np.where(others > 0, classes.members[np.minimum(at, len(claim.data) - 1)], -1)


def _ranked(claim: Claim, names: tuple[str, ...]) -> OfRows:
    """Classes numbered by their first row in digest order, so that donors do not depend on the order of rows."""
    code = claim.classes(names)
    first = np.full(int(code.max()) + 1, len(code))
    np.minimum.at(first, code[claim.data.order], np.arange(len(code)))
    return np.unique(first[code], return_inverse=True)[1].reshape(-1)


def _exchange(asked: _Interventions, title: str, variables: list[str], done: Callable[[int], None]) -> Exchange:
    model, answers, calls, seed = asked.model, asked.answers, asked.calls, asked.seed
    claim = model.claim
    drawn = {name: donors(claim, name, calls, seed) for name in variables}
    there = np.all([donor >= 0 for donor in drawn.values()], axis=0)
    rows, drawn = calls.reference[there], {name: donor[there] for name, donor in drawn.items()}
    if not len(rows):
        return Exchange(title, NOBODY, NOBODY, NOBODY, 0.0, NOBODY, f"{_alone(claim)}{_more(asked)}")
    story, design = SetStory(claim), design_of(claim, np.unique(calls.reference), drawn=True)
    wanted = story.answers(rows, drawn)
    turned = np.random.default_rng([seed, len(rows), 0x1C]).permutation(len(rows))
    other = story.answers(rows, {name: donor[turned] for name, donor in drawn.items()})
    patches = [Patch(tuple(s.site for s in claim.placement.placed[n].sites), d) for n, d in drawn.items()]
    said = _said(model, answers, rows, patches)
    done(len(rows))
    own = [claim.values[claim.placement.output][row] for row in rows]
    hit, chance = answers.same(said, wanted), answers.same(said, other)
    moves = np.array([a is UNSAID or not equal(a, b) for a, b in zip(wanted, own, strict=True)])
    sayable, known = (np.array([v is not UNSAID and answers.sayable(v) for v in some]) for some in (wanted, own))
    agrees, judged = asked.agrees[there], partial(interval, seed=seed, design=design)

    def share(some: Flags) -> Share:
        return _share(rows, hit, chance, sayable & some, judged)

    left = _share(rows, ~answers.same(said, own), None, ~sayable & agrees & known, judged)
    moved, unsaid = share(moves), float(1 - sayable.mean())
    reason = "" if moved.rows else f"{_reason(wanted, sayable, moves, answers.other)}{_more(asked)}"
    if not moves.any() and (readers := {r for name in variables for r in unused_by(claim.hypothesis.story, name)}):
        reason = f"the story computes {some(sorted(readers))} without it, so that it changes no answer."
    return Exchange(title, moved, share(~moves), share(moves & agrees), unsaid, left, reason)


def _alone(claim: Claim) -> str:
    """Why a row finds no donor, and what would give it one."""
    within = claim.options.within
    if within is None:
        return "no donor differs from any row in it: add rows that do."
    return f"no donor differs from any row in it within {within!r}: add rows that do, or leave within= out."


def _more(asked: _Interventions) -> str:
    """What may help where not all rows were asked."""
    rows, whole = len(np.unique(asked.calls.reference)), int(asked.model.claim.scored.sum())
    return f" {rows} of {whole} rows were asked: ask more, --rows {min(whole, 10 * rows)}." if rows < whole else ""


def _reason(wanted: list[Any], sayable: Flags, moves: Flags, other: str) -> str:
    """Why no call moves the story to another answer that the model could give."""
    if sayable.any():
        others = f", or one {other}" if moves.any() else ""
        return f"wherever it is set to a value that differs, the story gives the row's own answer{others}."
    text = [repr(value) for value in wanted if value is not UNSAID]
    return f"wherever it is set, the story gives {text[-1] if text else 'an error'}, {other}."


def _share(rows: Numbers, hit: Flags, chance: Flags | None, among: Flags, judged: Judged) -> Share:
    """The share of hits among some calls; the interval draws rows, each with all its calls."""
    if not among.any():
        return NOBODY
    number = np.unique(rows[among], return_inverse=True)[1].reshape(-1)
    columns = np.stack([np.bincount(number, weights=hit[among]), np.bincount(number)], axis=1).astype(float)
    share = judged(columns, lambda c: c[:, 0] / c[:, 1])
    if share.low is not None and share.high is not None:
        share = evolve(share, low=max(share.low, 0.0), high=min(share.high, 1.0))
    if share == UNDEFINED:  # too few rows for an interval, the share is still what it is
        share = Interval(float(hit[among].mean()), None, None)
    return Share(share, None if chance is None else float(chance[among].mean()), len(columns))


class SetStory:
    """The story run with variables set to what they are on other rows; equal settings run once."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.known: dict[Any, Any] = {}

    def answers(self, rows: Numbers, drawn: dict[str, Numbers]) -> list[Any]:
        """The answer a* of every call, UNSAID where the story has none."""
        found: list[Any] = []
        for call, row in enumerate(rows.tolist()):
            given = {name: int(donor[call]) for name, donor in drawn.items()}
            setting = (row, tuple(key(self.claim.values[name][d]) for name, d in given.items()))
            if setting not in self.known:
                self.known[setting] = self._run(row, given)
            found.append(self.known[setting])
        return found

    def _run(self, row: int, given: dict[str, int]) -> Any:
        story, data = self.claim.hypothesis.story, self.claim.data
        values: dict[str, Value] = {n: self.claim.values[n][d] for n, d in given.items() if n in story.variables}
        columns = {n: data.rows[d].columns[n] for n, d in given.items() if n not in story.variables}
        try:
            return story.run(data.rows[row].columns | columns, values)[self.claim.placement.output]
        except ClaimError:  # the story has nothing to say of a mixture that no row shows
            return UNSAID
