"""The same claim asked again in other ways, each on the draws that a test of its own would have."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from scrub.claims.edited import with_settings
from scrub.claims.problems import ClaimProblems
from scrub.claims.variations import HALF, SEED, Variation, variations
from scrub.errors import ScrubError
from scrub.model.resolve import sound
from scrub.verbs.setup import OpenedModel, references, sampled

if TYPE_CHECKING:
    from scrub.score.constant import Constant
    from scrub.score.result import Result
    from scrub.score.sample import ClaimBench, Samples
    from scrub.score.stability import StabilityLine
    from scrub.score.trial import Trial


@frozen(slots=False, eq=False)
class Tested:
    """A claim that was tested, and all that it takes to ask it again. `rows` is how many it was asked for."""

    bench: ClaimBench
    samples: Samples
    opened: OpenedModel
    trial: Trial
    rows: int | None

    @cached_property
    def constant(self) -> Constant | None:
        """The best constant answer on the rows of the test."""
        from scrub.score.constant import best_constant

        return best_constant(self.bench.claim, self.bench.measured, self.samples.references)


def with_stability(tested: Tested, result: Result) -> Result:
    """A result with a line for the claim as it is, and one for every other way to ask it."""
    from scrub.score.stability import CLAIMED, StabilityLine

    own = _line(tested, StabilityLine("", CLAIMED), tested.bench, tested.samples)
    lines = [_asked(tested, one) for one in variations(tested.bench.claim, tested.trial.exact)]
    return evolve(result, stability=(own, *lines), options=result.options | {"stability": True})


def _asked(tested: Tested, one: Variation) -> StabilityLine:
    """One variation; what cannot be asked on these data, or by this model, is a line that says why."""
    from scrub.score.stability import StabilityLine

    trial = evolve(tested.trial, seed=tested.trial.seed + one.seed)
    name = f"seed {trial.seed}" if one.kind == SEED else one.name
    line = StabilityLine(one.kind, name, note=one.lacking)
    if one.lacking:
        return line
    try:
        bench = tested.bench if one.kind == SEED else _bench(tested, one)
        used = references(bench.claim, tested.rows, trial.seed)
        samples = sampled(bench, used, trial.draws, trial.seed, trial.exact)
        return _line(tested, line, bench, samples)
    except ClaimProblems as error:
        return evolve(line, note=error.problems[0].found)
    except ScrubError as error:
        return evolve(line, note=str(error).splitlines()[0])


def _bench(tested: Tested, one: Variation) -> ClaimBench:
    claim, _ = sound(
        with_settings(tested.bench.claim.hypothesis, **one.changes), tested.opened.given, expecting=False
    )
    return tested.opened.bench(claim)


def _line(tested: Tested, line: StabilityLine, bench: ClaimBench, samples: Samples) -> StabilityLine:
    """The share that is recovered, and what its interval says: a constant is known where the rows are the same."""
    from scrub.score.judge import conclude

    same = line.kind != HALF and samples.references.tolist() == tested.samples.references.tolist()
    trial = evolve(tested.trial, name=line.name, constant=(lambda: tested.constant) if same else None)
    found = conclude(bench, samples, trial, {})
    return evolve(line, recovered=found.recovered, bar=found.bar, verdict=found.verdict, rows=found.rows)
