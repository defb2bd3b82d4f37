"""`scrub.power`: how many rows a test needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import astuple, fields, frozen

from scrub.claims.hypothesis import Hypothesis
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, path_of, some
from scrub.model.memory import Asked, Backend
from scrub.model.resolve import given_model, sound
from scrub.storage import files, stored
from scrub.verbs.setup import bench_of, countable, holding, progress, references, weights_of
from scrub.verbs.setup_circuits import record_of

if TYPE_CHECKING:
    from scrub.score.power import Power, Spread
    from scrub.score.result import Result


def power(
    hypothesis: Hypothesis | Result, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    *, run: str | Path | None = None, device: str | None = None, dtype: str = "auto",
    memory: Asked = None, stream: bool = False,
) -> Power:  # fmt: skip
    """What a test of so many rows (all by default) and draws can tell, from a pilot of 32 rows x 2 draws.

    Whatever is foretold comes with an upper limit (90 %): so few rows and draws leave room for more spread.

    `run`, the directory of a stored run that has the claim, takes the place of the pilot, and nothing is computed. A
    result in place of the hypothesis is its own pilot; `rows` and `draws` then say what another test would tell
    (`rows` is the result's by default). Raises as `test`, and ClaimError where nothing can be recovered, or the run
    has no such claim.
    """
    from scrub.score.design import DOMAIN, SAMPLE
    from scrub.score.domain import whole_domain
    from scrub.score.noise import with_ceiling
    from scrub.score.population import as_donors
    from scrub.score.power import PILOT_DRAWS, PILOT_ROWS, Power
    from scrub.score.result import Result
    from scrub.score.sample import sample

    backend = Backend(device, dtype, memory)
    countable(draws, rows, seed)
    if isinstance(hypothesis, Result):
        if run is not None:
            raise ClaimError("power: a result is its own pilot: leave run= out, or give the hypothesis.")
        known = hypothesis
        found, name, total, design = known.spread, known.hypothesis, known.rows, known.design
        pilot = _Pilot(known.rows, known.draws, known.seed, known.digest, known.options, known.provenance)
    else:
        claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
        name, total = name_of(hypothesis), int(claim.scored.sum())
        design = DOMAIN if whole_domain(claim) else SAMPLE
        if run is not None:
            found, pilot = _stored(path_of(run, "run="), claim.digest, name)
        else:
            used, weights = references(claim, PILOT_ROWS, seed), weights_of(source, claim.data, backend)
            holding(weights, source, claim)
            bench = bench_of(claim, source, weights)
            with progress(f"{hypothesis.title}: pilot", len(used) * PILOT_DRAWS) as done:
                drawn = sample(bench, used, PILOT_DRAWS, seed, done)
            samples = with_ceiling(bench, drawn, PILOT_DRAWS, seed)
            found = as_donors(bench, samples, PILOT_DRAWS, seed)
            record = record_of(source, weights, claim.data)
            pilot = _Pilot(len(used), PILOT_DRAWS, seed, claim.digest, claim.options.shown(), record)
    if found is None:
        raise ClaimError(f"power: {name} has nothing to recover in the pilot of {pilot.rows} rows.")
    design = design if rows in (None, total) else SAMPLE
    return Power(name, total if rows is None else rows, draws, found, *astuple(pilot, recurse=False), design=design)


@frozen
class _Pilot:
    """What numbers were foretold from."""

    rows: int
    draws: int | None
    seed: int
    digest: str
    options: dict[str, Any]
    provenance: dict[str, Any]


def _stored(run: Path, digest: str, name: str) -> tuple[Spread | None, _Pilot]:
    """The spread of a claim in a stored run, and its rows and draws. Raises ClaimError where the run has none."""
    from scrub.score.power import Spread

    results = stored.read(run, files.RUN)["results"]
    try:
        there = {str(result["digest"]): result for result in results}
        if digest not in there:
            held = some([f"{known} ({result['hypothesis']})" for known, result in there.items()]) or "none"
            raise ClaimError(f"power: {run} has no run of {name}, digest {digest}; its digests are {held}.")
        result = there[digest]
        power, pilot = result["diagnostics"]["power"], _Pilot(*(result[field.name] for field in fields(_Pilot)))
        if power is None:
            return None, pilot
        known = [float(power[name]) for name in ("s2_rows", "s2_draws", "s2_rows_high", "s2_pool")]
        return Spread(*known, size=int(power["pool"]), unseen=float(power["unseen"])), pilot
    except (ValueError, TypeError, KeyError) as error:
        file = run / files.RUN
        raise ClaimError(f"power: {file} is no run of `scrub test` that this version can read ({error!r}).") from None
