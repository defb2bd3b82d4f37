"""A frozen claim read back: a hypothesis whose variables look their values up instead of computing them.

Everything is checked before anything is believed: fields, the digests of the files, the canonical text, and the
digest of the claim. Needs no model.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.claims.check import run_story
from scrub.claims.dataset import Dataset
from scrub.claims.facts import Facts, canonical_text
from scrub.claims.freeze import given
from scrub.claims.frozen import Record, numbered, read_record
from scrub.claims.frozen_files import TEXT, VALUES
from scrub.claims.holds import stored
from scrub.claims.hub import Pinned
from scrub.claims.hypothesis import Hypothesis, claim
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import parse_metric
from scrub.claims.placement import PlacedSite, PlacedVariable, Placement, placed_parents, sites_of
from scrub.claims.resolved import Claim
from scrub.claims.seen import leave_out
from scrub.claims.sites import inside
from scrub.claims.strangers import content
from scrub.claims.values import Value
from scrub.errors import ClaimError, ModelError, ScrubError, path_of, unread


@frozen
class Thawed:
    """A frozen claim: the hypothesis, its facts, and its canonical text."""

    hypothesis: Hypothesis
    facts: Facts
    text: tuple[str, ...]


@frozen
class Stored:
    """A variable's function: the value that the author's had where the parents' values were these."""

    name: str
    parents: tuple[str, ...]
    table: dict[str, Value]

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(name, kind) for name in self.parents])

    def __call__(self, **known: Any) -> Value:
        found = given(known[parent] for parent in self.parents)
        if found not in self.table:
            shown = ", ".join(f"{parent}={known[parent]!r}" for parent in self.parents)
            raise ClaimError(f"the frozen claim stores no value for {shown}")
        return self.table[found]


@frozen
class Absent:
    """The model of a claim about a thing in Python, which no file can hold; `computed` is a graph of functions.

    `revision` is the digest of its weights, where the claim was frozen with them.
    """

    title: str
    graph: str
    folder: str
    computed: bool
    revision: str | None = None

    @property
    def __name__(self) -> str:
        return self.graph

    def __call__(self) -> NoReturn:
        absent = f"{self.title} is frozen without its model, {self.graph}, which is no data: give it"
        if self.computed:
            raise ModelError(f'{absent} in Python, scrub.test(scrub.thaw("{self.folder}"), model=graph).')
        raise ModelError(f"{absent}, in Python scrub.test(claim, model=...), or on the command line --model DIR.")


@frozen
class _Named:
    """Of a model's graph, what a digest takes: its name."""

    name: str


def thaw(directory: str | Path) -> Hypothesis:
    """The claim that `scrub freeze` wrote into a directory; no code of its author's is run.

    Raises ClaimError naming file and field: files that are missing or were changed, unknown fields, a format of a
    newer scrub, a digest that is not the claim's.
    """
    return read_frozen(path_of(directory, "thaw(directory)")).hypothesis


def read_frozen(directory: Path) -> Thawed:
    """The claim of a directory and its facts. Raises ClaimError as `thaw` does."""
    record = read_record(directory)
    try:
        return _thawed(record)
    except ScrubError as error:
        said = str(error)
        raise ClaimError(said if str(directory) in said else f"{record.file}: {said}") from None


def _thawed(record: Record) -> Thawed:
    whole = Dataset.from_rows(record.rows, vocab=record.vocab)
    data = whole if record.pool is None else whole.taken(numbered(record, "pool", record.pool, len(whole)))
    kept, _ = leave_out(data, record.options)
    story = _story(record, kept)
    hypothesis = _hypothesis(record, story, data)
    resolved = _resolved(hypothesis, record, kept)
    text = canonical_text(record.facts, resolved.values, kept)
    _same_text(record.folder / TEXT, text)
    if resolved.digest != record.digest:
        raise ClaimError(f"{record.file}: field 'digest' is {record.digest}, and the claim's is {resolved.digest}.")
    return Thawed(hypothesis, record.facts, text)


def _story(record: Record, kept: Dataset) -> Interpretation:
    """The story, its values being those of the rows that are left."""
    rows = None if record.rows_of_values is None else list(record.rows_of_values)
    numbers = None if kept.whole is None or kept.numbers is None else kept.numbers.tolist()
    file = record.folder / VALUES
    if rows != numbers:
        raise ClaimError(f"{file}: field 'rows' names other rows than the claim is tested on.")
    story, names = Interpretation(), {variable.name for variable in record.variables}
    for variable in record.variables:
        column = record.values[variable.name]
        if len(column) != len(kept):
            found = f"{len(column)} values of {variable.name!r}, and the claim has {len(kept)} rows"
            raise ClaimError(f"{file}: field 'values' holds {found}.")
        read = [record.values[p] if p in names else kept.column(p) for p in variable.parents]
        parts = (given(part[row] for part in read) for row in range(len(kept)))
        stored = Stored(variable.name, variable.parents, dict(zip(parts, column, strict=True)))
        story.variable(round=variable.step)(stored) if variable.step else story.variable(stored)
    return story


def _hypothesis(record: Record, story: Interpretation, data: Dataset) -> Hypothesis:
    made = claim(
        story, model=_model(record), data=data, metric=record.metric,
        expect=record.expect, criteria=record.criteria,
    )(record.places)  # fmt: skip
    return evolve(
        made, options=record.options, name=record.title, foil_reason=record.foil, file=str(record.folder), line=None
    )


def _model(record: Record) -> str | Absent:
    if record.model is None:
        sites = [site for place in record.places.values() if place is not inside for site in sites_of(place)]
        computed = any(component.traits.is_node for site in sites for component in site.components)
        return Absent(record.title, record.graph, str(record.folder), computed, record.revision)
    return record.model if record.revision is None else Pinned(record.model, record.revision)


def _resolved(hypothesis: Hypothesis, record: Record, kept: Dataset) -> Claim:
    """The claim as far as digest and text need it: placed without the model, each channel's reads being spelt out."""
    story, places = hypothesis.story, hypothesis.correspondence()
    outputs = story.outputs()
    if len(outputs) != 1 or places.get(outputs[0], inside) is inside or story.cycle():
        raise ClaimError(f"{record.file}: field 'variables' is no story with one placed output.")
    placed = {
        name: PlacedVariable(
            name,
            tuple(PlacedSite(site, tuple(sorted(site.reading or ()))) for site in sites_of(where)),
            placed_parents(story, places, name),
        )
        for name, where in places.items()
        if where is not inside
    }
    for one in placed.values():
        if unknown := [n for s in one.sites for n in (*s.parents(), *s.site.omitted) if n not in one.parents]:
            raise ClaimError(
                f"{record.file}: field 'sites.{one.name}' reads {unknown[0]!r}, which is no placed parent."
            )
    if unknown := [name for group in hypothesis.options.together for name in group if name not in placed]:
        raise ClaimError(f"{record.file}: field 'options': together names {unknown[0]!r}, which has no site.")
    placement = Placement(placed, outputs[0])
    values, problems = run_story(story, placement, kept)
    if problems:
        raise ClaimError(f"{record.folder / VALUES}: {problems[0].text}")
    nobody, everybody = np.zeros(len(kept), dtype=np.int64), np.ones(len(kept), dtype=bool)
    graph = cast(ModelGraph, _Named(record.graph))
    return Claim(
        hypothesis, graph, kept, placement, frozenset(), parse_metric(record.metric), values,
        nobody, everybody, everybody, nobody - 1, held=stored(placement),
    )  # fmt: skip


def _same_text(file: Path, text: tuple[str, ...]) -> None:
    try:
        written = content(file).decode().removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ClaimError(
            f"{file} cannot be read: {unread(error)}. A frozen claim has its canonical text beside it."
        ) from None
    # \r: some editors, and git, end lines by \r\n
    for number, (found, words) in enumerate(zip([*written, ""], [*text, ""], strict=False), start=1):
        if words not in (found, found.removesuffix("\r")):
            raise ClaimError(
                f"{file}:{number} says {found!r:.200}, and claim.json says {words!r:.200}: one of them was changed."
            )
