"""Every reader finds the rows that one would write by hand; what is wrong is told with its line, all at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scrub.claims.dataset import Dataset, Row
from scrub.claims.text import words
from scrub.errors import DataError

WORDS = words(["?", "When", "Mary", "and", "John", "left", "gave", "to"])
TEXT, TOKENS = "When Mary and John left John gave to", (1, 2, 3, 4, 5, 4, 6, 7)
LINES = [
    {"prompt": TEXT, "IO": "Mary", "meta": {"s": "John", "list": [3, 4]}, "flag": True},
    {
        "prompt": "When John and Mary left Mary gave to",
        "IO": "John",
        "meta": {"s": "Mary", "list": [5]},
        "flag": False,
    },
]
LAYOUT: dict[str, Any] = {
    "text": "prompt",
    "tokenizer": WORDS,
    "columns": {"io": " {IO}", "s": "meta.s", "n": lambda row: len(row["meta"]["list"]), "flag": "flag"},
    "positions": {
        "END": -1,
        "IO": {"column": "io"},
        "S1": {"find": "left", "occurrence": 1},
        "S2": {"column": "s", "occurrence": 2},
    },
}
AT = {"END": 7, "IO": 1, "S1": 4, "S2": 5}
ROWS = (
    Row(TOKENS, AT, {"io": " Mary", "s": "John", "n": 2, "flag": True}),
    Row((1, 4, 3, 2, 5, 2, 6, 7), AT, {"io": " John", "s": "Mary", "n": 1, "flag": False}),
)


class Stream:
    """Rows as a loaded data set gives them: it yields mappings."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(LINES)


def test_one_layout_reads_rows_from_everywhere(tmp_path: Path) -> None:
    lines, array, object_ = (tmp_path / name for name in ("rows.jsonl", "rows.json", "prompts.json"))
    lines.write_text("\n".join(map(json.dumps, LINES)))
    array.write_text(json.dumps(LINES, indent=2))
    object_.write_text(json.dumps({"prompts": LINES, "name": "ours"}, indent=2))
    made = [Dataset.from_json(path, **LAYOUT) for path in (lines, array, object_)]
    made += [Dataset.from_hf(Stream(), **LAYOUT), Dataset.from_frame(pd.DataFrame(LINES), **LAYOUT)]
    assert all(data.rows == ROWS for data in made)


def test_a_loaded_data_set_of_hugging_faces() -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.Dataset.from_list(LINES)
    assert Dataset.from_hf(loaded, **LAYOUT).rows == ROWS
    with pytest.raises(
        DataError, match=r"rows of one split, found a mapping with 'train': give one, data\['train'\]"
    ):
        Dataset.from_hf(datasets.DatasetDict({"train": loaded}), **LAYOUT)
    ids = [{"input_ids": [5, 6, 0], "attention_mask": [1, 1, 0], "label": 1}]
    assert Dataset.from_hf(ids, tokens="input_ids").rows == (Row((5, 6), {}, {"label": 1}),)


def test_cells_are_text_and_a_line_may_be_two(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,answer,clean,note\nWhen Mary,12,True,"a\nb"\nWhen John,7,False,\n')
    columns = [{"answer": "12", "clean": True, "note": "a\nb"}, {"answer": "7", "clean": False}]
    assert [r.columns for r in Dataset.from_csv(path, tokenizer=WORDS).rows] == columns
    with pytest.raises(
        DataError, match=r"rows\.csv:2 and 1 more: column 'io': no key 'anser'.*Did you mean 'answer'"
    ):
        Dataset.from_csv(path, tokenizer=WORDS, columns={"io": "anser"})
    path.write_text("tokens,@END,x\n1 2 3,-1,y\n")
    assert Dataset.from_csv(path).rows == (Row((1, 2, 3), {"END": 2}, {"x": "y"}),)
    path.write_text("a\tb\n1\t2\t3\n1\n")
    with pytest.raises(DataError) as caught:
        Dataset.from_csv(path.rename(tmp_path / "rows.tsv"))
    assert str(caught.value).splitlines() == [f"{tmp_path}/rows.tsv:2 and 1 more: 3 cells, and the header has 2."]


def test_partners_are_prompts_or_records_of_their_own(tmp_path: Path) -> None:
    rows = [{"clean": "When Mary", "corrupted": "When John", "good": 2, "bad": 4}]
    wanted = {"answer": "good", "wrong": "bad"}
    changed = {"answer": "bad", "wrong": "good"}
    words_: dict[str, Any] = {"tokenizer": WORDS, "text": "clean", "partner": "corrupted", "positions": {"END": -1}}
    data = Dataset.from_hf(rows, columns=wanted, partner_columns=changed, **words_)
    by_hand = Dataset.from_pairs(["When Mary"], ["When John"], [2], [4], tokenizer=WORDS, positions={"END": -1})
    assert data.rows == by_hand.rows
    nested = [{"prompt": "When Mary", "io": "Mary", "other": {"prompt": "When John", "io": "John"}}]
    found = Dataset.from_hf(nested, text="prompt", partner="other", tokenizer=WORDS).rows
    assert [(row.tokens, row.columns["io"], row.columns["pair"]) for row in found] == [
        ((1, 2), "Mary", 1),
        ((1, 4), "John", 0),
    ]


def test_own_layout_in_json_may_be_marked_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"text": "When{IO| Mary}", "positions": {"LAST": {"find": "Mary"}}, "columns": {"n": [1]}}]')
    assert Dataset.from_json(path, tokenizer=WORDS).rows == (Row((1, 2), {"IO": 1, "LAST": 1}, {"n": (1,)}),)
    assert Dataset.from_hf([{"text": "{a|b}"}], tokenizer=words(["?", "{a|b}"]), marks=False).rows[0].tokens == (1,)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    columns = {"b": True, "i": 1, "s": " Mary", "t": ((1, "x"), None), "f": Fraction(1, 3), "x": 0.5, "none": None}
    data = Dataset.from_rows(
        [
            {"tokens": [5, 9, 7], "positions": {"END": -1, "IO": 1}, "columns": columns},
            {"tokens": [5], "columns": {"i": 2, "none": 3}},
        ]
    )
    data.to_jsonl(tmp_path / "rows.jsonl")
    readers = [Dataset.from_jsonl(tmp_path / "rows.jsonl"), Dataset.from_json(tmp_path / "rows.jsonl")]
    for back in (*readers, Dataset.from_frame(data.frame())):
        assert back.rows == data.rows
        assert back.digest == data.digest
        assert type(back.rows[0].columns["b"]) is bool
    assert str(Dataset.from_rows([{"columns": {"x": float("nan")}}]).to_jsonl()).count("nan") == 1
    with pytest.raises(DataError, match=r"row 0: column 'o': .* \(set\) cannot be written as data"):
        Dataset.from_rows([{"columns": {"o": {1}}}]).to_jsonl()
    with pytest.raises(DataError, match="a table has tokens and positions under names like '@x'"):
        Dataset.from_rows([{"columns": {"@x": 1}}]).frame()


def test_some_of_the_rows_are_not_written_with_partners_outside() -> None:
    data = Dataset.from_pairs([[1], [2]], [[3], [4]], [1, 2])
    assert data.taken(range(4)).to_jsonl() == data.to_jsonl()
    for write in (data.taken([0, 2]).to_jsonl, data.taken([0, 2]).frame):
        with pytest.raises(DataError, match="names partners by row numbers of the data that these rows were taken"):
            write()


def test_a_header_alone_holds_no_rows(tmp_path: Path) -> None:
    """And a table is told where lines of JSON are read."""
    (tmp_path / "rows.csv").write_text("text,answer\r\n")
    with pytest.raises(DataError, match=r"rows\.csv holds a header and no rows"):
        Dataset.from_csv(tmp_path / "rows.csv", text="text")
    with pytest.raises(
        DataError, match=r"rows\.csv is a table, and rows are read here as .*: Dataset\.from_csv reads"
    ):
        Dataset.from_jsonl(tmp_path / "rows.csv")


def test_all_problems_of_all_rows_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = [
        {"prompt": "When Mary", "IO": "John"},
        {"promt": "When John", "IO": "John"},
        {"prompt": "When zebra", "IO": 3.5},
        5,
    ]
    path.write_text(json.dumps(rows, indent=1))
    with pytest.raises(DataError) as caught:
        Dataset.from_json(
            path, tokenizer=WORDS, text="prompt", columns={"io": "IO"},
            positions={"IO": {"column": "io", "occurrence": 1}},
        )  # fmt: skip
    assert str(caught.value).splitlines() == [
        f"{path}:2: position 'IO': 'John' stands nowhere in the text, and occurrence=1 is asked.",
        f"{path}:6: text=: no key 'prompt'; the keys are promt, IO. Did you mean 'promt'?",
        f"{path}:10: position 'IO': 3.5 cannot be looked for: give text, a token id or a list of ids.",
        f"{path}:10: 'zebra' is not in the tokenizer's vocabulary.",
        f"{path}:14: int is no row: give a mapping with text, tokens, positions, columns, or keys of its own.",
    ]


@pytest.mark.parametrize(
    ("rows", "layout", "message"),
    [
        ([{"text": "a"}], {"colums": "io"}, r"from_hf: unknown word 'colums'; the words are .* mean 'columns'\?"),
        ([{"text": "a"}], {"text": "text", "tokens": "x"}, "text= and tokens= both say what a row is"),
        ([{"text": "a"}], {}, "row 0: the rows are texts: give tokenizer="),
        ([{"text": 5}], {"text": "text", "tokenizer": WORDS}, "row 0: text= is 5, which is no text"),
        ([{"tokens": "no"}], {}, "row 0: tokens must be a list of ids, found 'no'"),
        ([{"tokens": [1], "columns": {}, "colunms": 1}], {}, "row 0: unknown key 'colunms'; .*, columns. Did you"),
        ([{"a": [1]}], {"columns": {"x": "a.3"}}, r"column 'x': \[1\] has no '3' \(of 'a\.3'\)"),
        ([{"a": {"bc": 1}}], {"columns": {"x": "a.bd"}}, r"no key 'bd' \(of 'a\.bd'\); the keys are bc\. Did you"),
        ([{"a": 1}], {"columns": {"x": lambda r: r["A"]}}, "its function raised KeyError: 'A'; the keys"),
        ([{"a": 1}], {"columns": {"x": 5}}, "columns=5 says no value: give a key, a template"),
        ([{"a": 1}], {"columns": 5}, "columns= must be a mapping from columns to keys, or names of keys, found 5"),
        ([{"tokens": [1, 2]}], {"positions": {"X": {"fnd": 1}}}, r"key 'fnd': give .* Did you mean 'find'\?$"),
        ([{"tokens": [1, 2]}], {"positions": {"X": {"find": 2, "occurrence": 0}}}, "occurrence=0: count from 1"),
        ([{"tokens": [1, 2]}], {"positions": {"X": {"find": [1, 3]}}}, r"\(1, 3\) stands nowhere in the tokens"),
        ([{"tokens": [1, 2]}], {"positions": {"X": {"find": "a"}}}, "'a' is text, and the row is token ids: give"),
        ([{"tokens": [1, 2]}], {"positions": {"X": {"column": "i"}}}, r"no column 'i'; the columns are none\.$"),
        ([{"tokens": [1, 2]}], {"positions": {"X": 2.5}}, r"position 'X': 2\.5 says no position: give an index, "),
        ([{"text": "a{X| a}"}], {"tokenizer": words(["?", "a"]), "positions": {"X": 0}}, "marked in the text"),
        ([{"tokens": [1]}, {"x": 1}], {}, "rows 1 have no tokens, the others have"),
        ([{"text": "When", "pair": 1, "o": "When"}], {"partner": "o", "tokenizer": WORDS}, "'pair' is made of"),
    ],
)  # fmt: skip
def test_mistakes_have_their_sentences(rows: list[Any], layout: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_hf(rows, **layout)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '[\n{"a": 1},\n{"a" 2}]', r"a\.json:3: no JSON object: Expecting ':' delimiter"),
        ("a.json", '[{"a": 1}\n{"a": 2}]', r"a\.json:1: neither a comma nor the end of the array"),
        ("a.json", '[{"a": 1}] x', r"'x' stands behind the end of the array"),
        (
            "a.json",
            '{"a": 1}\n{"b": \n{"c"',
            r"a\.json:2: no JSON object: Expecting value\.\n\S+a\.json:3: no JSON object",
        ),
        ("a.csv", "", "is empty: its first line names the columns"),
        ("a.csv", "a,a\n1,2\n", r"a\.csv:1: the header names 'a' twice"),
        ("a.csv", 'a\n"b', r"a\.csv:2: no row of a table: unexpected end of data"),
    ],
)
def test_files_are_refused_with_their_lines(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        Dataset.from_csv(path) if name == "a.csv" else Dataset.from_json(path)


def test_length_is_a_column_and_in_no_digest() -> None:
    data = Dataset.from_rows([{"tokens": [5, 9], "columns": {"x": 1}}, {"tokens": [5]}])
    assert data.column("length") == [2, 1]
    assert data.taken([1]).column("length") == [1]
    assert data.columns == ("x",)
    assert data.digest == "4dff61e4e0e0aeb66e77ba5b24c82263"  # as before there was such a column
    own = Dataset.from_rows([{"tokens": [5, 9], "columns": {"length": 7}}])
    assert own.column("length") == [7]
    with pytest.raises(DataError, match="no column 'length'"):
        Dataset.from_rows([{"columns": {"x": 1}}]).column("length")
