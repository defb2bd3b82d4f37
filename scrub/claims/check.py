"""The static check: every problem of a claim at once, and the story by itself on the data. No weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, field, frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL
from scrub.claims.dataset import Dataset
from scrub.claims.dictionaries.host import found_elsewhere, of_other_models
from scrub.claims.geometry import check_geometry
from scrub.claims.holds import HeldSite, Where, held
from scrub.claims.hypothesis import Hypothesis, place_of
from scrub.claims.inputs import check_noise, unvaried
from scrub.claims.interpretation import Interpretation, Variable
from scrub.claims.metric import AnyMetric, parse_metric, predicted
from scrub.claims.part_rows import with_parts_seen
from scrub.claims.placement import Placement, place, sites_of, structure
from scrub.claims.problems import Problem, collecting, innermost, located
from scrub.claims.resolved import Claim
from scrub.claims.seen import VERDICT_ROWS, Seen, leave_out, seen_warnings, too_few_left
from scrub.claims.setting import Setting, check_arguments, check_setting, check_tokens
from scrub.claims.sites import Place, Site
from scrub.claims.size import too_large
from scrub.claims.spare import unknown_spare
from scrub.claims.text import Tokenizer
from scrub.claims.titles import name_of
from scrub.claims.values import Value, canonical, equal
from scrub.claims.warn import token_warnings, warnings_of
from scrub.errors import ClaimError, MetricError, nearest, some
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd

FEW_ROWS = 2


@frozen
class Subject:
    """The model that a claim is checked against: its graph, and for a transformer its text and its limits."""

    graph: ModelGraph
    tokenizer: Tokenizer | None = None
    vocabulary: int | None = None
    context: int | None = None
    name: str = ""


@frozen
class Checked:
    """What `check` found: problems, warnings, how often the story is right, the claim when it is sound."""

    hypothesis: Hypothesis
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    accuracy: float | None = None
    claim: Claim | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return name_of(self.hypothesis)

    def __str__(self) -> str:
        if self.problems:
            return "\n".join(str(problem) for problem in self.problems)
        right = "" if self.accuracy is None else f"; the story is right on {self.accuracy:.1%} of scored rows"
        return f"{self.name}: no problems{right}" + "".join(f"\n    warning: {w}" for w in self.warnings)

    def to_dict(self) -> dict[str, Any]:
        return {
            "hypothesis": self.name,
            "problems": [problem.record for problem in self.problems],
            "warnings": list(self.warnings),
            "accuracy": self.accuracy,
        }

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a problem."""
        return shown(self, "frame")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def check_claim(hypothesis: Hypothesis, subject: Subject, data: Dataset) -> Checked:
    """Check a hypothesis against a model's graph and its data, collecting every problem.

    Rows that a search saw, or that directions were found on, are left out first: the claim, and row numbers in
    messages, know of the others alone.
    """
    hypothesis = with_parts_seen(hypothesis)
    data, seen = leave_out(data, hypothesis.options)
    problems: list[Problem] = [*hypothesis.wrong, *_expectation(hypothesis), *_enough(data, seen)]
    try:
        metric = parse_metric(hypothesis.metric)
    except MetricError as error:
        metric, problems = None, [*problems, Problem(str(error))]
    passed, wrong = _passed(hypothesis, subject.graph)
    problems += [*wrong, *_columns(hypothesis.story, subject.graph, data)]
    placement, wrong = _placement(hypothesis, subject.graph, passed, data)
    problems += [*_strange(placement, subject.name), *wrong]
    problems += check_noise(hypothesis.options, subject.graph, hypothesis.story, placement)
    setting = None
    if metric is not None and len(data):
        everywhere = placement is not None and any(
            ALL in s.site.at for p in placement.placed.values() for s in p.sites
        )
        setting, wrong = check_setting(hypothesis.options, subject.graph, data, everywhere)
        problems += [*wrong, *check_arguments(metric, hypothesis.options, data)]
        if hypothesis.options.skills:
            from scrub.claims.skills import check_skills

            problems += check_skills(hypothesis.options, data, setting.scored)
        if subject.vocabulary is not None and subject.context is not None:
            problems += check_tokens(metric, data, subject.tokenizer, subject.vocabulary, subject.context)
    values, wrong = run_story(hypothesis.story, placement, data)
    problems += wrong
    holding, wrong = held(placement, hypothesis.story, subject.graph, data) if placement else ({}, [])
    problems += wrong
    if placement is not None and not _structural(problems):
        problems += too_large(placement)
    return _conclude(
        _Draft(hypothesis, subject, data, seen, metric, placement, passed, setting, values, holding), problems
    )


@frozen(eq=False)
class _Draft:
    """What a check knows of a claim; `None` is what was too wrong to be known."""

    hypothesis: Hypothesis
    subject: Subject
    data: Dataset
    seen: Seen
    metric: AnyMetric | None
    placement: Placement | None
    passed: frozenset[Component]
    setting: Setting | None
    values: dict[str, tuple[Value, ...]]
    holding: Mapping[Where, HeldSite]


def _conclude(draft: _Draft, problems: list[Problem]) -> Checked:
    hypothesis, graph, data, values = draft.hypothesis, draft.subject.graph, draft.data, draft.values
    metric, placement, setting = draft.metric, draft.placement, draft.setting
    shown = tuple(located(problems, hypothesis.title, hypothesis.file, hypothesis.line))
    outputs = hypothesis.story.outputs()
    output = placement.output if placement else outputs[0] if len(outputs) == 1 else ""
    scored = setting.scored if setting else np.ones(len(data), dtype=bool)
    accuracy = right_share(hypothesis, metric, data, values.get(output), scored)
    structural = _structural(problems)
    if structural or metric is None or placement is None or setting is None:
        return Checked(hypothesis, shown, (), accuracy)  # warnings speak of claims that are sound
    warned = warnings_of(hypothesis, placement, values, accuracy)
    warned += (*seen_warnings(draft.seen, int(scored.sum())), *data.origin.notes)
    warned += tuple(unvaried(placement, graph, data, setting))
    placed = [s.site for one in placement.placed.values() for s in one.sites]
    warned += tuple(dict.fromkeys(s for site in placed for s in found_elsewhere(site.components, draft.subject.name)))
    if graph.sequence:
        warned += tuple(token_warnings(metric, data, draft.subject.tokenizer, placement.answer))
    claim = Claim(
        hypothesis, graph, data, placement, draft.passed, metric, values,
        setting.stratum, setting.scored, setting.rest_from, setting.pair, accuracy, warned, draft.seen, draft.holding,
    )  # fmt: skip
    return Checked(hypothesis, shown, warned, accuracy, claim)


def _structural(problems: Sequence[Problem]) -> bool:
    """Whether there is more than a missing expectation, without which a claim can still be compared."""
    return any(p.found != NO_EXPECTATION for p in problems)


NO_EXPECTATION = "the claim does not say what it expects."


def _expectation(hypothesis: Hypothesis) -> Iterator[Problem]:
    if hypothesis.expect is None:
        yield Problem(NO_EXPECTATION, "State it beforehand: expect=recovers(0.8).")


def _enough(data: Dataset, seen: Seen) -> Iterator[Problem]:
    if len(data) < FEW_ROWS <= len(data.origin):
        yield too_few_left(seen, data)
    elif len(data) < FEW_ROWS:
        found = (
            "the data set is empty." if not len(data) else "the data set has one row only: there is nothing to swap."
        )
        yield Problem(found, f"A pool of rows is needed; a verdict takes at least {VERDICT_ROWS} reference rows.")


def _placement(
    hypothesis: Hypothesis, graph: ModelGraph, passed: frozenset[Component], data: Dataset
) -> tuple[Placement | None, list[Problem]]:
    """The correspondence and all that is wrong with it; a placement with problems is a draft."""
    sites, problems = _correspondence(hypothesis)
    if sites is None:
        return None, [*problems, *structure(hypothesis.story)]
    placement, wrong = place(hypothesis.story, sites, graph)
    problems += [*wrong, *unknown_spare(hypothesis, sites)]
    if placement is not None and len(data):
        problems += [*check_geometry(placement, graph, passed, data), *_together(hypothesis, placement)]
    return placement, problems


def _strange(placement: Placement | None, model: str) -> Iterator[Problem]:
    """Latents of dictionaries of another model."""
    for placed in placement.placed.values() if placement else ():
        for site in placed.sites:
            for found in of_other_models(site.site.components, model):
                fix = "Take a dictionary of this model, or claim it of the other."
                yield Problem(found, fix, variable=placed.name).at(site.site)


def _correspondence(hypothesis: Hypothesis) -> tuple[dict[str, Place] | None, list[Problem]]:
    """Every entry, an empty site for each that is wrong; None when the claim's function fails."""
    sites: dict[str, Place] = {}
    with collecting() as problems:
        try:
            entries = hypothesis.entries()
        except ClaimError as error:
            return None, [*problems, _failed(hypothesis, str(error), error)]
        except Exception as error:
            return None, [*problems, _failed(hypothesis, f"the claim raised {type(error).__name__}: {error}", error)]
        for name, value in entries.items():
            try:
                sites[name] = place_of(name, value)
            except ClaimError as error:
                sites[name] = Site(())
                problems.append(Problem(str(error), variable=name))
    of_sites = _unread(sites)
    return sites, [p for p in problems if p not in {known for _, known in of_sites}] + [
        evolve(problem, variable=name) for name, problem in of_sites
    ]


def _failed(hypothesis: Hypothesis, found: str, error: Exception) -> Problem:
    file, line = innermost(error)
    return Problem(found, file=file or hypothesis.file, line=line)


def _unread(sites: Mapping[str, Place]) -> list[tuple[str, Problem]]:
    """What is wrong with sites, with their variables: of the claim's own lines, and of those written before it."""
    return [(name, p) for name, where in sites.items() for site in sites_of(where) for p in site.wrong]


def _columns(story: Interpretation, graph: ModelGraph, data: Dataset) -> Iterator[Problem]:
    """Columns that the story or the model's inputs read, and variables that hide a column."""
    if not len(data):
        return
    known = [*story.variables, *data.readable]
    for name, variable in story.variables.items():
        if name in data.columns:
            found = "a variable is named like a column of the data."
            yield Problem(found, "Rename one of them.", None, name).at(variable)
        for parent in variable.parents:
            if parent not in known:
                found = f"{parent!r} is no variable and no column of the data."
                fix = f"The columns are {', '.join(data.columns) or 'none'}."
                yield Problem(found, fix, nearest(parent, known), name).at(variable)
    for name in story.columns:
        missing = data.lacking(name)
        if name in data.columns and missing:
            yield Problem(f"column {name!r} is missing in rows {some(missing)}.", "Every row needs it.")
    for name in graph.inputs():
        missing = data.lacking(name)
        if missing:
            where = "in every row" if len(missing) == len(data) else f"in rows {some(missing)}"
            found = f"the model's input {name!r} is read from the column of that name, missing {where}."
            yield Problem(found, "", None if name in data.columns else nearest(name, data.columns))
    if graph.sequence and not data.has_tokens:
        yield Problem("the rows have no tokens, and the model is a transformer.", "Give every row its 'tokens'.")


def _passed(hypothesis: Hypothesis, graph: ModelGraph) -> tuple[frozenset[Component], list[Problem]]:
    try:
        return graph.passed(hypothesis.options.through), []
    except ClaimError as error:  # with the others unknown, no edge is to be blamed for want of them
        return graph.passed(("all",)), [Problem(str(error))]


def _together(hypothesis: Hypothesis, placement: Placement) -> Iterator[Problem]:
    calls = [set(site.parents()) for p in placement.placed.values() for site in p.sites]
    for group in hypothesis.options.together:
        unknown = [name for name in group if name not in placement.placed]
        for name in unknown:
            yield Problem(f"together={group!r}: {name!r} has no site.", "", nearest(name, placement.placed))
        if not unknown and not any(set(group) <= call for call in calls):
            found = f"together={group!r}: these never share a reader."
            yield Problem(found, "Only parents of one call share a donor.")


def run_story(
    story: Interpretation, placement: Placement | None, data: Dataset
) -> tuple[dict[str, tuple[Value, ...]], list[Problem]]:
    """Every variable's value, and every placed column's, on all rows; what follows a failure is left out."""
    if story.cycle():
        return {}, []
    full = [name for name in data.readable if not data.lacking(name)]
    known: dict[str, list[Any]] = {name: data.column(name) for name in full}
    values: dict[str, tuple[Value, ...]] = {}
    problems: list[Problem] = []
    for variable in story.order():
        known.pop(variable.name, None)  # a column of that name, told of elsewhere
        if any(parent not in known for parent in variable.parents):
            problems += [_unfinished(variable)] if variable.is_stub else []
            continue
        rows = [{parent: known[parent][i] for parent in variable.parents} for i in range(len(data))]
        column, failed = _each(variable.value, rows)
        if failed:
            stub = variable.is_stub
            problems.append(
                _unfinished(variable) if stub else Problem(_failure(failed), "", None, variable.name).at(variable)
            )
        else:
            known[variable.name] = column
            values[variable.name] = tuple(column)
    for name in placement.placed if placement else ():
        if name not in story.variables and name in known:
            column, failed = _each(canonical, known[name])
            values[name] = tuple(column)
            if failed:
                problems.append(Problem(f"column {name!r}: {_failure(failed)}", variable=name))
    return values, problems


def _unfinished(variable: Variable) -> Problem:
    read = ", ".join(variable.parents) or "nothing"
    fix = f"Return the value that it has, as it follows from {read}."
    return Problem("this variable is a stub: it returns `...`.", fix, None, variable.name).at(variable)


def _each(function: Callable[[Any], Value], rows: Sequence[Any]) -> tuple[list[Value], dict[int, str]]:
    """A function's value on each row, and the reasons of the rows on which it has none."""
    column: list[Value] = []
    failed: dict[int, str] = {}
    for number, row in enumerate(rows):
        try:
            column.append(function(row))
        except (ClaimError, ValueError) as error:
            failed[number] = str(error).rstrip(".")
    return column, failed


def _failure(failed: dict[int, str]) -> str:
    first, *others = failed
    also = f" (and in rows {some(others)})" if others else ""
    return f"in row {first}{also}: {failed[first]}."


def right_share(
    hypothesis: Hypothesis, metric: AnyMetric | None, data: Dataset, answers: tuple[Value, ...] | None,
    scored: np.ndarray[Any, Any],
) -> float | None:  # fmt: skip
    """How often the story's answer equals the column that it predicts, over the scored rows."""
    column = predicted(metric, hypothesis.options.predicts) if metric else None
    if column is None or not answers or column not in data.columns or not scored.any():
        return None
    right = [_same(a, row.columns.get(column)) for a, row in zip(answers, data.rows, strict=True)]
    return float(np.mean(np.array(right)[scored]))


def _same(answer: Value, label: Any) -> bool:
    try:
        return equal(answer, canonical(label))
    except ValueError:  # a float label: compared as a number
        return answer == label
