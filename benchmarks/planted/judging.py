"""What a changed claim deserves, and what it gets.

A claim predicts three things: that the answers survive its swaps, that what it names has a part in them, and what the
answers are. A changed claim is *false* where it predicts another thing than the true one:

    story       the story's answer differs from the true one's on more than `WORTH` of the rows.
    less        more than `WORTH` less survives. In computation graphs every draw is enumerated, also with rests of
                their own for every unclaimed input; in transformers more rows and draws are taken. The metric of the
                graphs is how far off answers are and the true claim recovers all of it, so that where as much is
                recovered all answers are right.
    idle part   as much survives, but a component, a position or a column is named that holds nothing of the variable,
                which the true claim does not name; in trained models, one that adds nothing to what is recovered.

Otherwise it is *equivalent*: other names for the same values, a spare left out, an edge that nobody needs, a value
that is finer than need be. The last two say less than the true claim, and nothing wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from inspect import signature
from typing import Any

from attrs import asdict, frozen

import scrub
from planted.changes import KINDS, Mutation, content, mutations
from planted.told import Planted, Spot, Told
from scrub.errors import ScrubError

WORTH = 0.01
MORE_DRAWS = 16  # of a second look at a transformer, on all rows
ENUMERATED = 16  # rows on which every draw of a graph's claim is enumerated
LOOSE = 0.8  # a bar that many would state
BARE: dict[str, Any] = {"controls": "none", "explain": False}
BARE |= {"parts": "none"} if "parts" in signature(scrub.test).parameters else {}
UNSOUND, EQUIVALENT = "unsound", "equivalent"


@frozen
class Judged:
    """One claim: the verdict and its reason, `recovered` in the test, `predicts` in the second look.

    `deserves` is "true", "equivalent", or why it is false; "unsound" where `check` finds a problem.
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
        return self.deserves not in ("true", EQUIVALENT, UNSOUND)

    @property
    def missed(self) -> bool:
        return self.is_false and self.verdict not in ("refuted", "inconclusive")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judged(case: Planted, each: int, seed: int) -> Iterator[Judged]:
    """The true claim of a case, and at most `each` sound claims of every kind of change, drawn from all of them."""
    bench = CaseBench(case)
    given = [Mutation("rival", name, rival) for name, rival in case.rivals.items()]
    yield from filter(None, [bench.judge(Mutation("true claim", "", case.told), true=True), *map(bench.judge, given)])
    found: dict[str, list[Mutation]] = {kind: [] for kind in KINDS}
    for mutation in mutations(case):
        found[mutation.kind].append(mutation)
    for kind, those in found.items():
        random.Random(f"{seed} {case.name} {kind}").shuffle(those)
        left = each
        while those and left:
            if (result := bench.judge(those.pop())) is not None:
                left -= result.deserves != UNSOUND
                yield result


class CaseBench:
    """A case under test. What a claim predicts is measured once for equal claims: kept by the claim's digest."""

    def __init__(self, case: Planted) -> None:
        self.case = case
        self.answers = [row[case.told.output] for row in case.told.table]
        self.seen: set[str] = set()
        self._predicted: dict[str, float] = {}
        self.predicts = 1.0

    def judge(self, mutation: Mutation, true: bool = False) -> Judged | None:
        """None where the same claim was judged before."""
        told, named = mutation.told, (self.case.name, self.case.family, mutation.kind, mutation.what)
        try:
            if (said := content(told)) in self.seen:
                return None
            self.seen.add(said)
            hypothesis = told.hypothesis(" ".join(named[::2]))
            result = self._tested(hypothesis)
            wrong = "" if true else self._tells(told)
            predicts = None if wrong or not self._unsure(result) else self._predicts(told, result)
        except (ScrubError, TypeError, ValueError) as error:  # the latter from steps that cannot take their values
            return Judged(*named, UNSOUND, str(error).splitlines()[-1].strip(), UNSOUND)
        if true:
            self.predicts = predicts or 0.0
        deserves = "true" if true else wrong or self._deserves(told, predicts)
        recovered = result.to_dict()["recovered"]
        return Judged(*named, result.verdict, result.reason, deserves, recovered["value"], recovered["low"], predicts)

    def _tested(self, hypothesis: scrub.Hypothesis) -> Any:
        """What `scrub test` makes of it: controls and parts may only turn what is supported without them."""
        sampled: dict[str, Any] = {"rows": self.case.rows, "draws": self.case.draws}
        first = scrub.test(hypothesis, **sampled, **BARE)
        return scrub.test(hypothesis, **sampled, explain=False) if first.verdict == "supported" else first

    def _unsure(self, result: Any) -> bool:
        """Whether a second look is worth its time: a transformer's refuted claim is not as good as the true one."""
        return self.case.exact or result.verdict != "refuted"

    def _tells(self, told: Told) -> str:
        """Whether the story has other answers than the true one's."""
        answers = [row[told.output] for row in told.table]
        differ = sum(a != b for a, b in zip(answers, self.answers, strict=True))
        return "story" if differ > WORTH * len(answers) else ""

    def _predicts(self, told: Told, result: Any) -> float:
        if result.digest not in self._predicted:
            self._predicted[result.digest] = min(self._looks(told))
        return self._predicted[result.digest]

    def _looks(self, told: Told) -> Iterator[float]:
        if not self.case.exact:
            yield _recovered(scrub.test(told.hypothesis(), draws=MORE_DRAWS, **BARE))
            return
        for scope in ("occurrence", "input"):
            yield _recovered(scrub.test(told.but(rest_scope=scope).hypothesis(), rows=ENUMERATED, exact=True, **BARE))

    def _deserves(self, told: Told, predicts: float | None) -> str:
        if predicts is None or predicts < self.predicts - WORTH:
            return "less"
        if not self.case.known and predicts > self.predicts + WORTH:
            return EQUIVALENT
        return "idle part" if any(self._idle(told)) else EQUIVALENT

    def _idle(self, told: Told) -> Iterator[bool]:
        """Whether each named component is one that the true claim does not name for the variable, there."""
        for name, spots in told.spots.items():
            held = set(_parts(self.case.told.spots.get(name, ())))
            yield from (part not in held for part in _parts(spots))


def _parts(spots: Iterable[Spot]) -> Iterator[tuple[str, str]]:
    return ((component, spot.at) for spot in spots for component in spot.names or (spot.kind,))


def _recovered(result: Any) -> float:
    """The ratio of means, on however few rows: no interval is asked for, since every draw counts."""
    means = result.to_dict()["metric"]
    return (means["random"] - means["scrubbed"]) / (means["random"] - means["model"])
