"""Metrics that read more than an output and a row."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claim_cases import checked
from scrub.claims.metric import Metric
from scrub.claims.outside import reads_outside

WEIGHT = 2.0


def _weight() -> float:
    return float(os.environ["WEIGHT"])


def by_helper(output: Any, row: Any) -> float:
    return output * _weight()


def by_file(output: Any, row: Any) -> float:
    with open("weights.txt") as file:
        return output * float(file.read())


def by_path(output: Any, row: Any) -> float:
    return max(float(line) for line in Path("weights.txt").read_text().split())


def inside(output: Any, row: Any) -> float:
    return sum(float(os.getenv(name, "0")) for name in row.columns)


class Weighted:
    def __call__(self, output: Any, row: Any) -> float:
        return output * _weight()


def pure(output: Any, row: Any) -> float:
    return WEIGHT * output * row.columns["open"]  # as a word in a text


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (by_helper, "environ"),
        (by_file, "open"),
        (by_path, "Path, read_text"),
        (inside, "getenv"),
        (functools.partial(by_file, row=None), "open"),
        (Weighted(), "environ"),
        (lambda output, row: by_file(output, row), "open"),
    ],
)
def test_a_metric_that_reads_files_or_the_environment_is_told(function: Callable[..., Any], named: str) -> None:
    (found,) = reads_outside(Metric(function, name="mine"))
    assert found.startswith(f"metric mine names {named}: what it reads from files or the environment is in no digest")


def test_one_that_reads_its_arguments_and_globals_is_not() -> None:
    assert not list(reads_outside(Metric(pure)))
    assert not list(reads_outside("logit_diff(io, s1)"))
    assert not list(reads_outside(Metric(max)))


def test_a_check_tells_it() -> None:
    assert [w.split(":")[0] for w in checked(metric=Metric(by_file), predicts="io").warnings] == [
        "metric by_file names open"
    ]
