"""The static check: every problem of a claim at once, and the story by itself on the data. No weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from scrub.claims.dataset import Dataset
from scrub.claims.geometry import check_geometry
from scrub.claims.graphs import ModelGraph
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import AnyMetric, parse_metric, predicted
from scrub.claims.names import Component
from scrub.claims.placement import Placement, place
from scrub.claims.positions import ALL
from scrub.claims.problems import Problem, located
from scrub.claims.resolved import Claim
from scrub.claims.setting import Setting, check_setting, check_tokens
from scrub.claims.sites import Place
from scrub.claims.text import Tokenizer
from scrub.claims.values import Value, canonical, equal
from scrub.claims.warn import warnings_of
from scrub.errors import ClaimError, MetricError, nearest, some

FEW_ROWS = 2


@frozen
class Subject:
    """The model that a claim is checked against: its graph, and for a transformer its text and its limits."""

    graph: ModelGraph
    tokenizer: Tokenizer | None = None
    vocabulary: int | None = None
    context: int | None = None


@frozen
class Checked:
    """What `check` found: problems, warnings, how often the story is right, and the claim when it is sound."""

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
        shown = ("file", "line", "variable", "found", "nearest", "fix")
        return {
            "hypothesis": self.name,
            "problems": [{k: p.to_dict()[k] for k in shown} for p in self.problems],
            "warnings": list(self.warnings),
            "accuracy": self.accuracy,
        }


def name_of(hypothesis: Hypothesis) -> str:
    """`file.py::name[variant]`."""
    return f"{hypothesis.file}::{hypothesis.title}" if hypothesis.file else hypothesis.title


def check_claim(hypothesis: Hypothesis, subject: Subject, data: Dataset) -> Checked:
    """Check a hypothesis against a model's graph and its data, collecting every problem."""
    problems: list[Problem] = [*_expectation(hypothesis), *_enough(data)]
    try:
        metric = parse_metric(hypothesis.metric)
    except MetricError as error:
        metric, problems = None, [*problems, Problem(str(error))]
    sites, wrong = _correspondence(hypothesis)
    placement, unplaced = place(hypothesis.story, sites, subject.graph) if sites else (None, [])
    problems += wrong + unplaced + list(_columns(hypothesis.story, subject.graph, data))
    passed, wrong = _passed(hypothesis, subject.graph)
    problems += wrong
    if placement is not None and len(data):
        problems += check_geometry(placement, subject.graph, passed, data)
        problems += _together(hypothesis, placement)
    setting = None
    if metric is not None and len(data):
        everywhere = placement is not None and any(
            ALL in s.site.at for p in placement.placed.values() for s in p.sites
        )
        setting, wrong = check_setting(hypothesis.options, metric, subject.graph, data, everywhere)
        problems += wrong
        if subject.vocabulary is not None and subject.context is not None:
            problems += check_tokens(metric, data, subject.tokenizer, subject.vocabulary, subject.context)
    values, wrong = run_story(hypothesis.story, placement, data)
    problems += wrong
    return _conclude(hypothesis, subject, data, problems, metric, placement, passed, setting, values)


def _conclude(
    hypothesis: Hypothesis, subject: Subject, data: Dataset, problems: list[Problem], metric: AnyMetric | None,
    placement: Placement | None, passed: frozenset[Component], setting: Setting | None,
    values: dict[str, tuple[Value, ...]],
) -> Checked:  # fmt: skip
    file, line = hypothesis.file, hypothesis.line
    shown = tuple(located(problems, hypothesis.title, file, line))
    outputs = hypothesis.story.outputs()
    output = placement.output if placement else outputs[0] if len(outputs) == 1 else None
    scored = setting.scored if setting else np.ones(len(data), dtype=bool)
    accuracy = right_share(hypothesis, metric, data, values.get(output or ""), scored)
    warned = warnings_of(hypothesis, placement, values, accuracy)
    structural = [p for p in problems if p.found != NO_EXPECTATION]
    if structural or metric is None or placement is None or setting is None:
        return Checked(hypothesis, shown, warned, accuracy)
    claim = Claim(
        hypothesis, subject.graph, data, placement, passed, metric, values,
        setting.stratum, setting.scored, setting.rest_from, setting.pair, accuracy, warned,
    )  # fmt: skip
    return Checked(hypothesis, shown, warned, accuracy, claim)


NO_EXPECTATION = "the claim does not say what it expects."


def _expectation(hypothesis: Hypothesis) -> Iterator[Problem]:
    if hypothesis.expect is None:
        yield Problem(NO_EXPECTATION, "State it beforehand: expect=recovers(0.8).")


def _enough(data: Dataset) -> Iterator[Problem]:
    if len(data) < FEW_ROWS:
        found = "the data set is empty." if not len(data) else "the data set has one row only: there is nothing to swap."
        yield Problem(found, "A pool of rows is needed; a verdict takes at least 10 reference rows.")


def _correspondence(hypothesis: Hypothesis) -> tuple[Mapping[str, Place], list[Problem]]:
    try:
        return hypothesis.correspondence(), []
    except ClaimError as error:
        return {}, [Problem(str(error))]
    except Exception as error:
        return {}, [Problem(f"the claim raised {type(error).__name__}: {error}")]


def _columns(story: Interpretation, graph: ModelGraph, data: Dataset) -> Iterator[Problem]:
    """Columns that the story or the model's inputs read, and variables that hide a column."""
    if not len(data):
        return
    for variable in story.variables.values():
        if variable.name in data.columns:
            yield Problem("a variable is named like a column of the data.", "Rename one of them.",
                          variable=variable.name, line=variable.line)  # fmt: skip
        for parent in variable.parents:
            if parent not in story.variables and parent not in data.columns:
                known = [*story.variables, *data.columns]
                yield Problem(f"{parent!r} is no variable and no column of the data.", "",
                              nearest(parent, known), variable.name, line=variable.line)  # fmt: skip
    for name in story.columns:
        missing = [i for i, row in enumerate(data.rows) if name not in row.columns]
        if name in data.columns and missing:
            yield Problem(f"column {name!r} is missing in rows {some(missing)}.")
    for name in graph.inputs():
        missing = [i for i, row in enumerate(data.rows) if name not in row.columns]
        if missing:
            where = "no row" if len(missing) == len(data) else f"not in rows {some(missing)}"
            yield Problem(f"the model's input {name!r} is read from the column of that name, which {where} has."
                          .replace("which not in rows", "missing in rows").replace(" has.", "."),
                          "", nearest(name, data.columns))  # fmt: skip
    if graph.sequence and not data.has_tokens:
        yield Problem("the rows have no tokens, and the model is a transformer.", "Give every row its 'tokens'.")


def _passed(hypothesis: Hypothesis, graph: ModelGraph) -> tuple[frozenset[Component], list[Problem]]:
    try:
        return graph.passed(hypothesis.options.through), []
    except ClaimError as error:
        return frozenset(), [Problem(str(error))]


def _together(hypothesis: Hypothesis, placement: Placement) -> Iterator[Problem]:
    for group in hypothesis.options.together:
        unknown = [name for name in group if name not in placement.placed]
        for name in unknown:
            yield Problem(f"together={group!r}: {name!r} has no site.", "", nearest(name, placement.placed))
        calls = [set(site.parents()) for p in placement.placed.values() for site in p.sites]
        if not unknown and not any(set(group) <= call for call in calls):
            yield Problem(f"together={group!r}: these never share a reader.", "Only parents of one call share a donor.")


def run_story(
    story: Interpretation, placement: Placement | None, data: Dataset
) -> tuple[dict[str, tuple[Value, ...]], list[Problem]]:
    """Every variable's value, and every placed column's, on all rows; the first failure of each kind is told."""
    if story.cycle() or not story.variables or set(story.columns) - set(data.columns):
        return {}, []
    table: dict[str, list[Value]] = {name: [] for name in story.variables}
    for number, row in enumerate(data.rows):
        try:
            for name, value in story.run(row.columns).items():
                table[name].append(value)
        except ClaimError as error:
            return {}, [Problem(f"row {number}: {error}")]
        except KeyError:
            return {}, []
    problems: list[Problem] = []
    for name in placement.placed if placement else ():
        if name not in story.variables and name in data.columns:
            try:
                table[name] = [canonical(row.columns.get(name)) for row in data.rows]
            except ValueError as error:
                problems.append(Problem(f"column {name!r}: {error}", variable=name))
    return {name: tuple(column) for name, column in table.items()}, problems


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
