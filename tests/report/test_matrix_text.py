"""The circuits of sub-skills in words, as a heat map, a table, a plot, and on a page."""

from __future__ import annotations

import json

import pytest

import scrub
from proposals.test_skills import on_graph
from scrub.report.page.sections import StoredClaim, StoredPicture
from scrub.report.page.sections.skills import SECTION
from scrub.report.skills import circuit_row
from scrub.score.result import Result


@pytest.fixture(scope="module")
def result() -> Result:
    return scrub.test(on_graph(shared=False), draws=2, skills=True, controls="none", parts="none")


def test_words_heat_map_and_table(result: Result) -> None:
    matrix = result.matrix
    assert matrix is not None
    lines = [line.split() for line in str(matrix).splitlines()]
    assert all(line in [told.split() for told in str(result).splitlines()] for line in lines)
    assert ["circuit", "of", "one", "two"] in lines
    assert ["one", "1.00█", "0.00"] in lines
    assert matrix._repr_html_().count("<td title=") == 6
    assert len(matrix.frame()) == 6
    assert [*matrix.frame().query("circuit == 'one'")["share.value"]] == [1, 0]
    assert [*matrix.plot().data[0].z[1]] == [1, 0]


def test_the_section_of_the_page(result: Result) -> None:
    stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    blocks = SECTION.blocks(StoredClaim(stored, StoredPicture("", {}, "", [], []), ""))
    told = " ".join(map(str, blocks))
    assert "'on one', 'on two'" in told
    assert "('one', '1.00 [1.00, 1.00]', '0.00 [0.00, 0.00]')" in told
    assert "Every skill has a circuit of its own" in told


def test_a_count_that_was_sampled_has_its_ends() -> None:
    good = {"count": 1.2, "low": 1, "high": 29.3, "exchanged": 3, "circuits": 1424, "tried": 160}
    circuit = {
        "skill": "one", "parts": ["0.1", "0.2"], "needed": ["0.1"], "note": "", "halves": None, "as_good": good,
        "seeds": {"mean": 0.5, "least": 0.25, "most": 1.0, "pairs": 6},
    }  # fmt: skip
    row = ("one", "0.1, 0.2", "1 of 2", "0.50 (0.25 to 1.00)", "", "1 [1, 29] of 1,424")
    assert circuit_row(circuit) == row
    assert circuit_row({**circuit, "note": "nothing there"})[:2] == ("one", "none: nothing there")
