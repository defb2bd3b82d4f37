"""What a changed claim deserves, and what it gets.

A claim predicts three things: that the answers survive its swaps, that what it names has a part in them, and what the
answers are. A changed claim is *false* where it predicts another thing than the true one:

    less        by more than `WORTH` less survives. In computation graphs every draw is enumerated, also with rests of
                their own for every unclaimed input; in transformers more rows and draws are taken. The metric of the
                graphs is the share of right answers and the true claim recovers all of it, so that where as much is
                recovered the answers have the same distribution, row by row.
    story       the story's answer differs from the true one's on more than `WORTH` of the rows.
    idle part   as much survives, but a component, a position or a column is named that holds nothing of the variable,
                by the construction of the model.

Otherwise it is *equivalent*: other names for the same values, a spare left out, an edge that nobody needs, a value
that is finer than need be. The last two say less than the true claim, and nothing wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from inspect import signature
from typing import Any

from attrs import asdict, frozen

import scrub
from planted.changes import KINDS, Mutation, mutations
from planted.told import Planted, Told
from scrub.errors import ScrubError

WORTH = 0.01
MORE_DRAWS = 16  # of a second look, on all rows
LOOSE = 0.8  # a bar that many would state
BARE: dict[str, Any] = {"controls": "none", "explain": False}
BARE |= {"parts": "none"} if "parts" in signature(scrub.test).parameters else {}
REFUSED, EQUIVALENT = "refused", "equivalent"


@frozen
class Judged:
    """One claim: the verdict and its reason, `recovered` in the test, `predicts` in the second look.

    `deserves` is "true", "equivalent", or why it is false; "refused" where `check` finds a problem.
    """

    case: str
    family: str
    kind: str
    what: str
    verdict: str
    reason: str
    deserves: str
    recovered: float | None = None
    low: float | None = None
    predicts: float | None = None

    @property
    def is_false(self) -> bool:
        return self.deserves not in ("true", EQUIVALENT, REFUSED)

    @property
    def missed(self) -> bool:
        return self.is_false and self.verdict not in ("refuted", "inconclusive")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judged(case: Planted, each: int, seed: int) -> Iterator[Judged]:
    """The true claim of a case, and at most `each` sound claims of every kind of change, drawn from all of them."""
    bench = CaseBench(case)
    yield bench.judge("true claim", "", case.told, true=True)
    for name, rival in case.rivals.items():
        yield bench.judge("rival", name, rival)
    found: dict[str, list[Mutation]] = {kind: [] for kind in KINDS}
    for mutation in mutations(case):
        found[mutation.kind].append(mutation)
    for kind, those in found.items():
        random.Random(f"{seed} {case.name} {kind}").shuffle(those)
        sound = 0
        for mutation in those:
            if sound < each:
                result = bench.judge(kind, mutation.what, mutation.told)
                sound += result.deserves != REFUSED
                yield result


class CaseBench:
    """A case under test. What a claim predicts is measured once for equal claims: kept by the claim's digest."""

    def __init__(self, case: Planted) -> None:
        self.case = case
        self.answers = [row[case.told.output] for row in case.told.table()]
        self._predicted: dict[str, float] = {}
        self.true: Any = None
        self.predicts = 1.0

    def judge(self, kind: str, what: str, told: Told, true: bool = False) -> Judged:
        named = self.case.name, self.case.family, kind, what
        try:
            hypothesis = told.hypothesis(f"{self.case.name}: {kind}: {what}")
            result = scrub.test(hypothesis, rows=self.case.rows, draws=self.case.draws, explain=False)
            predicts = self._predicts(told, result) if true or self._unsure(result) else None
        except ScrubError as error:
            return Judged(*named, REFUSED, str(error).splitlines()[-1].strip(), REFUSED)
        if true:
            self.true, self.predicts = result, predicts or 0.0
        deserves = "true" if true else self._deserves(told, result, predicts)
        recovered = result.to_dict()["recovered"]
        return Judged(*named, result.verdict, result.reason, deserves, recovered["value"], recovered["low"], predicts)

    def _unsure(self, result: Any) -> bool:
        """Whether a second look is worth its time: a transformer's refuted claim is not as good as the true one."""
        return self.case.exact or result.verdict != "refuted"

    def _predicts(self, told: Told, result: Any) -> float:
        if result.digest not in self._predicted:
            self._predicted[result.digest] = min(self._looks(told))
        return self._predicted[result.digest]

    def _looks(self, told: Told) -> Iterator[float]:
        if not self.case.exact:
            yield _recovered(scrub.test(told.hypothesis(), draws=MORE_DRAWS, **BARE))
            return
        for scope in ("occurrence", "input"):
            yield _recovered(scrub.test(told.but(rest_scope=scope).hypothesis(), exact=True, **BARE))

    def _deserves(self, told: Told, result: Any, predicts: float | None) -> str:
        if predicts is None or predicts < self.predicts - WORTH:
            return "less"
        answers = [row[told.output] for row in told.table()]
        if sum(a != b for a, b in zip(answers, self.answers, strict=True)) > WORTH * len(answers):
            return "story"
        return "idle part" if any(self._idle(told)) else EQUIVALENT

    def _idle(self, told: Told) -> Iterator[bool]:
        """Whether each named component holds something of its variable, there where it is named."""
        for name, spots in told.spots.items():
            for spot in spots:
                for component in spot.names or (spot.kind,):
                    yield (component, spot.at) not in self._carriers(name)

    def _carriers(self, name: str) -> frozenset[tuple[str, str]]:
        if self.case.carriers is not None:
            return self.case.carriers.get(name, frozenset())
        true = self.case.told.spots.get(name, ())
        return frozenset((component, spot.at) for spot in true for component in spot.names or (spot.kind,))


def _recovered(result: Any) -> float:
    return result.recovered.value if result.recovered.value is not None else 0.0
