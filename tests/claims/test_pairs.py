"""Pairs of prompts become the rows that one would write by hand, partners and labels included."""

from __future__ import annotations

from typing import Any

import pytest

from claim_cases import TINY, names_claim, names_rows
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset, Row
from scrub.claims.text import words
from scrub.errors import DataError

WORDS = words(["?", "a", "b", "c", "to"])


def test_pairs_of_texts_are_rows_made_by_hand() -> None:
    data = Dataset.from_pairs(
        ["a{IO| b}{END| to}", "c{IO| a}{END| to}"], ["a{IO| c}{END| to}", "c{IO| b}{END| to}"],
        ["b", ("a", "c")], ["c", "b"], tokenizer=WORDS, columns={"n": [1, 2]}, corrupt_columns={"n": [3, 4]},
        positions={"FIRST": 0},
    )  # fmt: skip
    at = {"IO": 1, "END": 2, "FIRST": 0}
    first = {"answer": "b", "wrong": "c", "pair": 1, "is_clean": True, "n": 1}
    second = {"answer": "c", "wrong": "b", "pair": 0, "is_clean": False, "n": 3}
    assert data.rows[:2] == (Row((1, 2, 4), at, first), Row((1, 3, 4), at, second))
    assert [row.columns["answer"] for row in data.rows[2:]] == [("a", "c"), "b"]
    assert data.column("pair") == [1, 0, 3, 2]


def test_pairs_of_ids_need_no_tokenizer() -> None:
    data = Dataset.from_pairs([[1, 2]], [[1, 3]], [7], positions={"END": -1, "O": {"find": 1}})
    assert data.rows[1] == Row((1, 3), {"END": 1, "O": 0}, {"answer": 7, "pair": 0, "is_clean": False})
    still = Dataset.from_pairs([[1]], [[2]], [5], [6], symmetric=False)
    assert still.column("answer") == [5, 5]


def test_a_claim_reads_partners_and_clean_rows() -> None:
    rows = names_rows()
    columns = {name: [row["columns"][name] for row in rows] for name in ("io", "s1", "s2")}
    tokens = [row["tokens"] for row in rows]
    data = Dataset.from_pairs(
        tokens, tokens[3:] + tokens[:3], columns["io"], columns["s1"], columns=columns,
        positions={"IO": 1, "S1": 3, "S2": 4, "END": -1},
    )  # fmt: skip
    data = data.only(["io", "s1", "s2", "pair", "is_clean"])  # a variable of the story is called `answer`
    hypothesis = names_claim(
        data=data, rest="paired", pair="pair", scored="is_clean", metric="loss(io)", within="length"
    )
    found = check_claim(hypothesis, Subject(TINY, None, 50, 16), data)
    assert not found.problems
    assert found.claim is not None
    assert found.claim.stratum.tolist() == [int(length == 6) for length in data.lengths]  # no row has such a column
    assert found.claim.pair.tolist() == data.column("pair")
    assert found.claim.scored.tolist() == data.column("is_clean")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corrupt": [[1], [2]]}, "clean has 1, corrupt has 2, answer has 1 values: give one for each pair"),
        ({"clean": ["a"]}, "row 0: the rows are texts: give tokenizer="),
        ({"clean": "a"}, "clean: give a list, found 'a'"),
        ({"columns": {"pair": [1]}}, "column 'pair' is made of the pairs"),
        ({"columns": {"n": [1, 2]}}, "1 pairs, but column 'n' has 2 values"),
        ({"colums": {}}, r"unknown word 'colums'; the words are .* Did you mean 'columns'\?"),
        ({"symmetric": 1}, "symmetric=1: write True or False"),
        ({"positions": {"END": 3}}, "^row 0 and 1 more: position 'END' is 3, but the row has 1 tokens"),
    ],
)
def test_wrong_pairs_are_told(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"clean": [[1]], "corrupt": [[2]], "answer": [5], **change}
    with pytest.raises(DataError, match=message):
        Dataset.from_pairs(**given)
