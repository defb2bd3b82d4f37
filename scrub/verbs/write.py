"""A proposal written down as a claim to start from: where to, in which setting, and its rows beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from scrub.anatomy.table import CHANNELS
from scrub.claims.edited import with_settings
from scrub.claims.metric import Metric
from scrub.claims.protocol import Protocol
from scrub.errors import ClaimError, ScrubError
from scrub.storage import files
from scrub.verbs.setup_circuits import GivenSetting

PILOT_DRAWS = 20

if TYPE_CHECKING:
    from scrub.model.source import Source
    from scrub.proposals.naming import ClaimSetting
    from scrub.proposals.proposal import Proposal
    from scrub.proposals.setup import Setup
    from scrub.proposals.wanted import Wanted


@frozen
class Target:
    """Where a claim is written; `rows` is the file that its rows come from, None where they are written beside it."""

    file: Path
    rows: Path | None

    @property
    def beside(self) -> Path:
        """The file of rows that is written beside a claim."""
        return self.file.with_suffix(".jsonl")


def target_of(file: Path, rows: Path | None, edges: bool | None) -> Target:
    """Where a claim is to be written. Raises ClaimError where it cannot be, before anything is run."""
    if edges is False:
        raise ClaimError(f"write={file}: what groups of heads read is told from edges: leave edges=False out.")
    if file.suffix != ".py":
        raise ClaimError(f"write={file}: claims are written in Python: call it {file.with_suffix('.py').name}.")
    target = Target(file, rows)
    for made in (file, target.beside) if rows is None else (file,):
        files.free(made, f"write={file}: ")
    return target


def claim_setting(given: GivenSetting, setup: Setup, wanted: Wanted, source: Source, target: Target) -> ClaimSetting:
    """The setting of the claim to be written. Raises ClaimError where it could not be tested."""
    from scrub.proposals.naming import ClaimSetting
    from scrub.proposals.write import model_name
    from scrub.proposals.write_parts import of_parts

    parts = of_parts(wanted.kinds)
    if not parts and not {"head", *CHANNELS}.intersection(wanted.kinds):
        raise ClaimError(
            f"write={target.file}: a claim is begun with heads, or with neurons or latents alone: leave nodes= out, "
            "or add 'heads'."
        )
    if lacking := [str(one.host) for one in setup.dictionaries.values() if not one.source]:
        raise ClaimError(f"write={target.file}: the dictionary of {lacking[0]} is of arrays, which no file can name.")
    if isinstance(setup.metric, Metric):
        raise ClaimError(
            f"write={target.file}: metric {setup.metric} is a function, which a file of a claim cannot take over: "
            "use a built-in metric, such as 'logit_diff(a, b)', or leave write= out."
        )
    hypothesis = given.hypothesis
    options = {} if hypothesis is None else hypothesis.options.deviations()
    seen = tuple(sorted({*options.pop("seen", ()), *setup.seen}))
    options.pop("together", None)  # it names variables of the other story
    options |= {} if given.scored is None else {"scored": given.scored}
    if parts:
        options["through"] = ("all",)
    elif setup.model.shape.d_mlp and "through" not in options:
        options["through"] = ("mlps",)
    model = given.model if given.model is not None or hypothesis is None else hypothesis.model
    name, loaded = model_name(model, source.name)
    criteria = Protocol() if hypothesis is None else hypothesis.criteria
    file = files.path_from(target.file, target.rows or target.beside)
    setting = ClaimSetting(name, loaded, setup.experiment.data.origin, file, setup.metric, options, criteria, seen)
    if setting.label is None:
        raise ClaimError(
            f"write={target.file}: metric {setup.metric} names no column of right answers, which a claim needs: "
            "write a claim with predicts='column', or use another metric, such as 'logit_diff(a, b)'."
        )
    if not setting.left:
        raise ClaimError(
            f"write={target.file}: all rows would be seen, with their partners, and none be left to test a claim on: "
            "look at fewer (rows=), or give more data."
        )
    return setting


def write_claim(
    target: Target, setting: ClaimSetting, setup: Setup, proposal: Proposal, done: Callable[[int], None]
) -> None:
    """The claim, and its rows where they are in no file yet: both or none. Raises ClaimError, DataError.

    It expects what it recovers on the rows that the proposal saw, on which it is not tested.
    """
    from scrub.proposals.write import rows_file

    text_of = _outlined(setting, setup, proposal, done)
    file, with_rows = target.file, target.rows is None
    text = text_of(file.name, None)
    if with_rows:
        files.write_text(target.beside, rows_file(setting.data))
    try:
        files.write_text(file, text)
    except ClaimError:
        if with_rows:
            target.beside.unlink(missing_ok=True)
        raise
    if (bar := _passes_up_to(file, setup, proposal.seed)) is not None:
        files.write_text(file, text_of(file.name, bar))


def _outlined(
    setting: ClaimSetting, setup: Setup, proposal: Proposal, done: Callable[[int], None]
) -> Callable[[str, float | None], str]:
    """The text of a file by its name and the bar that it states: of parts where nothing else was ranked."""
    from scrub.proposals.nodes import kind_of
    from scrub.proposals.sketch import sketch
    from scrub.proposals.write import hypothesis_file
    from scrub.proposals.write_parts import of_parts, parts_file, sketch_of_parts

    if of_parts([kind_of(node.component) for node in proposal.nodes]):
        parts = sketch_of_parts(setup, proposal, done)
        return lambda name, bar: parts_file(parts, proposal, setting, name, bar)
    passed = setup.experiment.graph.passed(setting.options.get("through", ()))
    outline = sketch(setup, proposal, passed, done)
    return lambda name, bar: hypothesis_file(outline, proposal, setting, name, bar)


def _passes_up_to(file: Path, setup: Setup, seed: int) -> float | None:
    """The highest bar at which a written claim passes on the rows of `seen=`; None where they are too few to say."""
    from scrub.claims.collect import collect
    from scrub.model.resolve import sound
    from scrub.score.bars import highest_bar
    from scrub.score.judge import conclude
    from scrub.score.trial import Trial
    from scrub.verbs.setup import bench_of, references, sampled

    (hypothesis,) = collect([str(file)]).hypotheses
    try:
        claim, _ = sound(hypothesis, setup.model)
        seen = [i for i, row in enumerate(claim.data.origin.rows) if row.input_digest in hypothesis.options.seen]
        pilot, source = sound(with_settings(hypothesis, data=claim.data.origin.taken(seen), seen=()), setup.model)
        bench = bench_of(pilot, source, setup.model)
        samples = sampled(bench, references(pilot, None, seed), PILOT_DRAWS, seed)
        found = conclude(bench, samples, Trial(hypothesis.title, PILOT_DRAWS, seed), {})
        return highest_bar((found.recovered, found.population), found.constant)
    except ScrubError:  # of so few rows a claim may ask what they do not have
        return None
