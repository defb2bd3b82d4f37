"""Results as tables for papers: what stands in a line, and what each form escapes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cli_cases import Write, scrub, write
from scrub.report.tables import lines_of, table_text

__all__ = ["write"]
SWEEP = {
    "hypothesis": "a/b.py::c_1[x=2]", "digest": "d", "rows": 3,
    "effects": [
        {"sender": "9.9 | 50% & $x_1$", "at": None, "effect": 0.5, "low": 0.25, "high": 0.75},
        {"sender": "10.0", "at": "END", "effect": 0.001, "low": None, "high": None},
    ],
}  # fmt: skip


def test_many_things_have_a_line_each() -> None:
    assert lines_of([SWEEP]) == [
        {"claim": "c_1[x=2]", "sender": "9.9 | 50% & $x_1$", "effect": "0.50 [0.25, 0.75]"},
        {"claim": "c_1[x=2]", "sender": "10.0", "at": "END", "effect": "0.001"},
    ]


def test_ends_of_an_interval_are_as_exact_as_their_value() -> None:
    small = {"effect": {"value": -0.0012, "low": -0.0034, "high": 0.00045}}
    share = {"effect": {"value": 0.02, "low": -0.001, "high": 0.12}}
    assert lines_of([small, share]) == [{"effect": "-0.0012 [-0.0034, 0.00045]"}, {"effect": "0.02 [0.00, 0.12]"}]


def test_forms_escape_what_would_end_a_cell() -> None:
    assert r"| c_1[x=2] | 9.9 \| 50% & $x_1$ | 0.50 [0.25, 0.75] |  |" in table_text([SWEEP], ".md")
    assert r"c\_1[x=2] & 9.9 | 50\% \& \$x\_1\$ & 0.50 [0.25, 0.75] &  \\" in table_text([SWEEP], ".tex")
    assert list(csv.reader(table_text([SWEEP], ".csv").splitlines()))[1][1] == "9.9 | 50% & $x_1$"
    assert r"\textbackslash{}" in table_text([{"x": "\\"}], ".tex")


def test_a_test_has_a_line_a_claim(write: Write, tmp_path: Path) -> None:
    file, table = write('right_one = make()\nother = make(odd).foil("h is not odd")'), tmp_path / "t.md"
    options = ("--draws", 2, "--rows", 40, "--parts", "none", "--controls", "none")
    assert scrub("test", file, *options, "--table", table).exit_code == 0
    head, _, one, two = table.read_text().splitlines()
    assert head.startswith("| hypothesis | verdict | recovered | bar |")
    assert one.startswith("| right_one | supported | 1.00 [")
    assert two.endswith("| h is not odd |")


@pytest.mark.parametrize("name", ["t.txt", "t"])
def test_a_form_that_is_not_known_is_told_before_anything_runs(write: Write, name: str) -> None:
    found = scrub("test", write("right_one = make()"), "--table", name)
    assert found.exit_code == 2
    assert f"--table {name}: a table is written as .md, .tex, .csv: call it t.md." in found.stderr
