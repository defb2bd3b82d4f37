"""What `shrink` and `grow` do around their search: rows in halves, the claim found measured and written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from scrub.claims.code import Changes, ImportedClaim, claim_file
from scrub.claims.edited import changed, with_settings
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.claims.seen import MORE_DATA, VERDICT_ROWS
from scrub.claims.titles import name_of
from scrub.errors import ClaimError
from scrub.model.memory import Backend
from scrub.model.resolve import sound
from scrub.storage import files
from scrub.verbs.setup import OpenedModel, countable, holding, model_record, references, sampled, weights_of

if TYPE_CHECKING:
    from scrub.score.revision import Revision, RevisionStep
    from scrub.score.sample import Samples
    from scrub.score.searched import Rows, Searched
    from scrub.score.statistics import Interval


@frozen
class Sample:
    """The numbers of a search, as users give them: `worth` may be anything yet."""

    rows: int | None
    draws: int
    seed: int
    exact: bool
    worth: Any


@frozen(eq=False)
class Prepared:
    """A claim whose rows are in halves: the search, the rows that measure, and its numbers on all of them."""

    search: Searched
    measuring: Rows
    whole: Samples
    opened: OpenedModel
    asked: Sample
    write: Path | None

    @property
    def name(self) -> str:
        return name_of(self.search.hypothesis)


def prepared(
    hypothesis: Hypothesis, model: Any, asked: Sample, backend: Backend, write: str | Path | None
) -> Prepared:
    """What it expects a claim need not say.

    Raises as `test` does, and ClaimError for a worth that is none and for a file that cannot be written.
    """
    from scrub.score.searched import Searched, halves

    countable(asked.draws, asked.rows, asked.seed)
    if isinstance(asked.worth, bool) or not isinstance(asked.worth, int | float) or not 0 < asked.worth < 1:
        raise ClaimError(f"worth={asked.worth!r}: say what may be lost, a share such as 0.01.")
    target = None if write is None else beside_claim(hypothesis, Path(write))
    claim, source = sound(hypothesis, model, expecting=False)
    weights = weights_of(source, claim.data, backend, asked.exact)
    holding(weights, source, claim)
    opened = OpenedModel(source, weights, workers=backend.workers)
    bench = opened.bench(claim)
    used = references(claim, asked.rows, asked.seed)
    searching, measuring = halves(claim, used)
    if not (len(searching) and len(measuring)):
        raise ClaimError(
            f"{hypothesis.title}: {len(used)} row{'s' * (len(used) > 1)} to search on, and others to measure on, are "
            "too few: give more rows; a verdict takes 30 of each."
        )

    def numbers(bench: Any, used: Any) -> Samples:
        return sampled(bench, used, asked.draws, asked.seed, asked.exact)

    whole = numbers(bench, used)
    search = Searched(
        hypothesis, bench, whole.of(searching), asked.worth, asked.seed, asked.exact,
        lambda other: sound(other, model, expecting=False)[0],
        opened.bench, numbers,
    )  # fmt: skip
    return Prepared(search, measuring, whole, opened, asked, target)


def beside_claim(hypothesis: Hypothesis, file: Path) -> Path:
    """Where the new claim is written: beside the file of the claim, whose story it imports."""
    if file.suffix != ".py":
        raise ClaimError(f"write={file}: claims are written in Python: call it {file.with_suffix('.py').name}.")
    own = Path(hypothesis.file) if hypothesis.file else None
    if own is None or own.suffix != ".py" or not own.is_file() or hypothesis.name not in _at_the_top(own):
        raise ClaimError(
            f"write={file}: {hypothesis.title} is imported from its file, and that has no such name at its top: "
            "collect it from there, or put what `.text` says in yours."
        )
    if not own.stem.isidentifier() or iskeyword(own.stem):
        good = re.sub(r"\W", "_", own.stem)
        raise ClaimError(
            f"write={file}: the new claim imports {own.name}, and {own.stem!r} is no name of a module: call it "
            f"{good if good.isidentifier() else f'claim_{good}'}.py."
        )
    if file.resolve().parent != own.resolve().parent:
        raise ClaimError(f"write={file}: the new claim imports {own.name}: write it beside it, in {own.parent}.")
    files.free(file, "write=")
    return file


def _at_the_top(file: Path) -> set[str]:
    """The names that a file binds by functions and assignments at its top."""
    found: set[str] = set()
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def revised(
    ready: Prepared, verb: str, changes: Changes, steps: tuple[RevisionStep, ...], notes: tuple[str, ...]
) -> Revision:
    """The claim with its changes, measured on rows that chose nothing, and written where that is asked for."""
    from scrub.score.judge import provenance
    from scrub.score.revision import Revision
    from scrub.score.searched import paired_gain, share

    search, hypothesis, asked = ready.search, ready.search.hypothesis, ready.asked
    called = f"{hypothesis.name.partition('.')[0]}_{'smaller' if verb == 'shrink' else 'larger'}"
    before = ready.whole.of(ready.measuring)
    found, after, seen = hypothesis, before, ()
    if not changes.empty:
        seen = _digests(search)
        made = evolve(changed(hypothesis, changes), name=called)
        after = search.sampled(search.bench_of(search.resolve(made)), ready.measuring)
        found = with_settings(made, seen=seen)
    record = provenance(
        search.bench.claim.data, model_record(ready.opened.source, ready.opened.weights, search.bench)
    )
    difference = paired_gain(before, after, asked.seed)
    result = Revision(
        ready.name, verb, found, steps, share(before), share(after), difference,
        "" if changes.empty else changes.code(hypothesis.title, called, True, _taken(hypothesis)), asked.worth,
        len(search.samples.references), len(ready.measuring), None if asked.exact else asked.draws, asked.seed,
        (*_not_shown(verb, changes, difference, asked.worth), *_too_few(search.bench.claim, seen), *notes),
        search.bench.claim.digest, options=search.bench.claim.options.shown(), provenance=record,
    )  # fmt: skip
    return _written(ready, result, changes, called, seen)


def _not_shown(verb: str, changes: Changes, difference: Interval, worth: float) -> Iterator[str]:
    """What the rows that were searched promised, where those that chose nothing do not show it."""
    low, other = difference.low, "on rows that chose nothing"
    if changes.empty or low is None:
        return
    if verb == "grow" and low <= 0:
        yield f"{other} the larger claim does not clearly recover more: try more rows, or keep the first."
    if verb == "shrink" and low < -worth:
        yield f"{other} the smaller claim may lose more than {worth:g}: try more rows."


def _too_few(claim: Claim, seen: tuple[str, ...]) -> Iterator[str]:
    """Where the rows that were not searched are fewer than a verdict takes."""
    rows = (row for row, scored in zip(claim.data.rows, claim.scored, strict=True) if scored)
    left = sum(row.input_digest not in seen for row in rows)
    if seen and left < VERDICT_ROWS:
        yield f"{left} scored rows are left to test it on, and a verdict takes {VERDICT_ROWS}. {MORE_DATA}"


def _taken(hypothesis: Hypothesis) -> frozenset[str]:
    return frozenset([*hypothesis.story.variables, *hypothesis.story.columns])


def _digests(search: Searched) -> tuple[str, ...]:
    """The inputs of the rows that were searched, and those that the claim had seen before."""
    rows = search.bench.claim.data.rows
    new = {rows[row].input_digest for row in search.samples.references.tolist()}
    return tuple(sorted(new | set(search.hypothesis.options.seen)))


def _written(ready: Prepared, result: Revision, changes: Changes, called: str, seen: tuple[str, ...]) -> Revision:
    if ready.write is None or changes.empty:
        return result
    hypothesis = ready.search.hypothesis
    gained = f"what is recovered changes by {result.difference} on {result.rows} rows that chose nothing."
    steps = (f"- {step.what}: {step.effect:+.3f}" for step in result.steps)
    told = [f"{hypothesis.title} after scrub {result.verb}: {gained}", *steps]
    text = claim_file(changes, ImportedClaim(imported(hypothesis), _taken(hypothesis)), called, "\n".join(told), seen)
    files.write_text(ready.write, text)
    return evolve(result, file=ready.write)


def imported(hypothesis: Hypothesis) -> str:
    """The line that imports a claim from the file beside it, as `_claim`."""
    assert hypothesis.file is not None
    own = f"from {Path(hypothesis.file).stem} import {hypothesis.name}"
    given = ", ".join(f"{key}={value!r}" for key, value in hypothesis.variant)
    return f"{own}\n\n_claim = {hypothesis.name}({given})" if given else f"{own} as _claim"
