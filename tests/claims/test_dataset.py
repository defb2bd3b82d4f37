"""Rows: read, refused with their numbers, identified whatever their order."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claim_cases import names_rows
from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset, Row
from scrub.claims.text import words
from scrub.errors import DataError


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def test_rows_from_python() -> None:
    raw = {
        "tokens": np.array([5, 9, 7]),
        "positions": {"END": np.int64(-1), "IO": 1},
        "columns": {"io": np.str_("a"), "set": [1, [2]]},
    }
    (row,) = Dataset.from_rows([raw]).rows
    assert row == Row((5, 9, 7), {"END": 2, "IO": 1}, {"io": "a", "set": (1, (2,))})
    assert Dataset.from_rows([{"columns": {"x": 1}}]).rows == (Row((), {}, {"x": 1}),)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([1], "row 1: list is no row: give a mapping with tokens, positions, columns"),
        (
            {"token": [1]},
            "row 1: unknown key 'token'; the keys are tokens, positions, columns. Did you mean 'tokens'",
        ),
        ({"tokens": [1, "a"]}, r"row 1: tokens must be ids \(non-negative ints\), found 'a'"),
        ({"tokens": [1, -2]}, "found -2"),
        ({"tokens": [True]}, "found True"),
        ({"tokens": [1.0]}, r"found 1\.0"),
        ({"tokens": 5}, "row 1: tokens must be a list of ids, found 5"),
        ({"tokens": None}, "must be a list of ids, found None"),
        (
            {"tokens": [1], "positions": [0]},
            "row 1: positions must be a mapping from names to indices, not list",
        ),
        ({"tokens": [1], "positions": {"END": 1}}, "row 1: position 'END' is 1, but the row has 1 tokens"),
        ({"tokens": [1], "positions": {"END": -2}}, "position 'END' is -2"),
        ({"tokens": [1], "positions": {"END": "0"}}, "row 1: position 'END' must be an int, found '0'"),
        ({"tokens": [1], "positions": {"END": True}}, "must be an int, found True"),
        (
            {"tokens": [1], "positions": {"all": 0}},
            "position 'all' must be named by an identifier other than 'all'",
        ),
        ({"tokens": [1], "positions": {"S1+1": 0}}, "must be named by an identifier"),
        ({"tokens": [1], "columns": [2]}, "row 1: columns must be a mapping, not list"),
        ({"tokens": [2**63]}, r"row 1: tokens must be ids \(non-negative ints\), found 9223372036854775808"),
        ({"tokens": [-(10**5000)]}, r"found int \(too long to print\)"),
        (
            {"tokens": [1], "positions": {"END": 10**5000}},
            r"'END' is int \(too long to print\), but the row",
        ),
        ({"columns": {"n": (1, 10**5000)}}, "row 1: column 'n': an integer of more than 4,200 digits is no value"),
        ({"columns": {"n": Fraction(1, 10**5000)}}, "an integer of more than 4,200 digits"),
        ({"columns": {"deep": nested(10_000)}}, "row 1: column 'deep': it is nested more than 100 deep"),
        ({"columns": {"io": {"a": "x\ud800"}}}, r"column 'io': 'x\\ud800' holds '\\ud800', half of a character"),
        ({"columns": {"\udcff": 1}}, r"column '\\udcff': '\\udcff' holds '\\udcff', half of a character"),
        (
            {"columns": {"f": [len, print, lambda: 0]}},
            r"'f': nothing tells <function .* \(function\) from others",
        ),
        ({"columns": {"o": object()}}, r"row 1: column 'o': nothing tells <object .* it holds nothing"),
        ({"columns": {"x": 1}}, "rows 1 have no tokens, the others have"),
    ],
)
def test_wrong_rows_are_told_with_their_numbers(raw: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_rows([{"tokens": [1]}, raw])


def test_rows_made_by_hand_are_told_when_they_are_identified() -> None:
    with pytest.raises(DataError, match=r"row 1: nothing tells <object .* it holds nothing\."):
        _ = Dataset([Row((), {}, {"x": 1}), Row((), {}, {"x": object()})]).identities


def test_rows_of_tensors_are_known_by_what_these_hold() -> None:
    rows = [{"columns": {"x": torch.arange(2000) == i}} for i in (1000, 1001, 1000)]
    first, second, third = Dataset.from_rows(rows).rows
    assert first.digest == third.digest != second.digest
    assert first.input_digest == third.input_digest != second.input_digest


def test_all_wrong_rows_are_told_at_once() -> None:
    with pytest.raises(DataError) as caught:
        Dataset.from_rows(
            [
                {"tokens": ["a"], "positions": {"END": -1}},
                {"tokens": [1], "positions": {"END": 4}, "colums": {}},
            ]
        )
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["row 0", "row 1", "row 1"]
    with pytest.raises(DataError, match=r"\nand 5 more$"):
        Dataset.from_rows([{f"key{i}": 1} for i in range(25)])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"columns": {"x": 1}, "columns": {"x": 2}}', "'columns' stands twice"),
        ('{"columns": {"x": 1, "x": 2, "y": 1, "y": 1}}', "'x', 'y' stands twice"),
    ],
)
def test_a_key_that_stands_twice_in_a_row_is_told(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"columns": {"x": 1}}\n' + line)
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: {said} in one object: write each key once\."):
        Dataset.from_jsonl(file)


def test_a_mistake_that_many_rows_share_is_told_once_with_the_first() -> None:
    rows = [{"tokens": [0.5 + i] * (i + 1), "positions": {"END": 7000, "S1": i + 1}, "x": 1} for i in range(2000)]
    with pytest.raises(DataError) as caught:
        Dataset.from_rows(rows)
    assert str(caught.value).splitlines() == [
        "row 0 and 1,999 more: unknown key 'x'; the keys are tokens, positions, columns.",
        "row 0 and 1,999 more: tokens must be ids (non-negative ints), found 0.5.",
    ]
    for row in rows:
        row["tokens"] = [1]
    with pytest.raises(DataError) as caught:
        Dataset.from_rows([{**row, "x": 1} for row in rows])
    assert str(caught.value).splitlines()[1:] == [
        "row 0 and 1,999 more: position 'END' is 7000, but the row has 1 tokens.",
        "row 0 and 1,999 more: position 'S1' is 1, but the row has 1 tokens.",
    ]


def test_rows_from_a_file_of_json_lines(tmp_path: Path) -> None:
    rows = [
        {"tokens": [5, 9], "positions": {"END": -1}, "columns": {"io": "a\u2028b", "flags": [True, None]}},
        {"tokens": [1]},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    assert Dataset.from_jsonl(path).rows == Dataset.from_rows(rows).rows
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as some editors mark UTF-8
    assert Dataset.from_jsonl(path).rows == Dataset.from_rows(rows).rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"tokens": [1]}\n{"tokens": ', r"rows\.jsonl:2: no JSON object: Expecting value"),
        (b"[1]", r"rows\.jsonl:1: list is no row"),
        (b'{"tokens": [-1]}', r"rows\.jsonl:1: tokens must be ids"),
        (b'{"columns": {"n": 1' + b"0" * 5000 + b"}}", r"rows\.jsonl:1: an integer of more than 4,300 digits"),
        (b"\n" + b"[" * 10_000 + b"]" * 10_000, r"rows\.jsonl:2: the row is nested too deeply"),
        (
            b'{"columns": {"n": ' + b"[" * 150 + b"]" * 150 + b"}}",
            r"rows\.jsonl:1: column 'n': it is nested more than 100",
        ),
        (b'{"columns": {"io": "\\ud83d"}}', r"rows\.jsonl:1: column 'io': .* half of a character"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"\r\n", "holds nothing and no rows"),
        (b'{"vocab": ["a"]}', "holds words alone and no rows"),
        (b'[\n {"tokens": [1]}]', r"is an array, and rows are read here as .*: Dataset\.from_json reads it"),
        (None, "cannot be read: No such file"),
    ],
)
def test_wrong_files_are_told_with_their_lines(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Dataset.from_jsonl(path)


def test_rows_from_texts() -> None:
    data = Dataset.from_text(
        ["a{IO| b} c{END| a}", "a{IO| c}{END| b}"],
        tokenizer=words(["?", "a", "b", "c"]),
        columns={"io": ["b", "c"]},
    )
    assert [row.tokens for row in data.rows] == [(1, 2, 3, 1), (1, 3, 2)]
    assert [row.positions for row in data.rows] == [{"IO": 1, "END": 3}, {"IO": 1, "END": 2}]
    assert data.column("io") == ["b", "c"]
    assert repr(data) == "Dataset(2 rows, 3 to 4 tokens, columns io)"


def test_half_a_character_in_a_text() -> None:
    with pytest.raises(DataError, match=r"text 1: 'b\\ud800' holds '\\ud800', half of a character"):
        Dataset.from_text(["a", "b\ud800"], tokenizer=words(["a", "b"]))


def test_columns_beside_texts_must_fit() -> None:
    with pytest.raises(DataError, match="2 texts, but column 'io' has 3 values"):
        Dataset.from_text(["a", "b"], tokenizer=words(["a", "b"]), columns={"io": [1, 2, 3], "x": [1, 2]})
    with pytest.raises(DataError, match="takes a list of texts, found a single string"):
        Dataset.from_text("a b", tokenizer=words(["a", "b"]))


def test_columns_and_positions() -> None:
    data = Dataset.from_rows(
        [
            {"tokens": [1, 2], "positions": {"A": 0}, "columns": {"x": 1}},
            {"tokens": [1, 2, 3], "positions": {"B": 1}},
        ]
    )
    assert data.columns == ("x",)
    assert data.position_names == ("A", "B")
    assert data.lacking("x") == [1]
    assert data.lengths.tolist() == [2, 3]
    assert data.locate(Slot("A", 1)).tolist() == [1, -1]
    assert data.locate(Slot("", -3)).tolist() == [-1, 0]
    with pytest.raises(DataError, match="column 'x' is missing in rows 1"):
        data.column("x")
    with pytest.raises(DataError, match=r"the data have no column 'y'; they have .* Did you mean 'yy'"):
        Dataset.from_rows([{"columns": {"yy": 1}}]).column("y")
    assert repr(Dataset.from_rows([{"columns": {"yy": 1}}])) == "Dataset(1 rows, no tokens, columns yy)"


@given(st.permutations(range(8)))
def test_identities_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    rows = [*names_rows(6), *names_rows(2)]  # the last two repeat the first two
    data, other = Dataset.from_rows(rows), Dataset.from_rows([rows[i] for i in order])
    assert len(set(data.identities.tolist())) == 8
    assert sorted(data.identities.tolist()) == sorted(other.identities.tolist())
    assert data.digest == other.digest
    assert data.identities[data.order].tolist() == sorted(data.identities.tolist())
    ordered = [[d.rows[i] for i in d.order] for d in (data, other)]
    assert ordered[0] == ordered[1]


@pytest.mark.parametrize(
    "change",
    [{"tokens": [1, 3]}, {"positions": {"END": 0}}, {"columns": {"x": True}}, {"columns": {"x": "1"}}],
)
def test_identities_see_inputs_positions_and_columns(change: dict[str, Any]) -> None:
    row = {"tokens": [1, 2], "positions": {"END": 1}, "columns": {"x": 1}}
    assert Dataset.from_rows([row]).digest != Dataset.from_rows([{**row, **change}]).digest
    assert Dataset.from_rows([row]).digest == Dataset.from_rows([{**row, "positions": {"END": -1}}]).digest
