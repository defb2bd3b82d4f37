"""Prompts from templates: the same seed gives the same rows, labels are balanced, counterparts differ where asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from scrub.claims.dataset import Dataset
from scrub.claims.text import words
from scrub.errors import DataError

NAMES = ["Mary", "John", "Anna", "Paul", "Emma"]
PLACES = ["shop", "park"]
WORDS = words(["?", "and", "at", "gave", "to", "[x]", *NAMES, *PLACES])
TEMPLATES = [
    "{IO|[io]} and {S1|[s1]} at [place] {S2|[s2]} gave{END| to}",
    "{S1|[s1]} and {IO|[io]} {S2|[s2]} gave{END| to}",
]
SLOTS: dict[str, Any] = {"io": NAMES, "s1": NAMES, "s2": "s1", "place": PLACES}


def made(n: int = 40, **words_: Any) -> Dataset:
    return Dataset.from_templates(TEMPLATES, SLOTS, n, **{"seed": 1, "tokenizer": WORDS, **words_})


def test_rows_are_their_templates_filled() -> None:
    data = made()
    for row in data.rows:
        io, s1, place = (row.columns[name] for name in ("io", "s1", "place"))
        first = {0: f"{io} and {s1} at {place} {s1} gave to", 1: f"{s1} and {io} {s1} gave to"}
        assert WORDS.decode(row.tokens) == first[row.columns["template"]]
        assert io != s1
        assert [row.tokens[row.positions[name]] for name in ("IO", "S1", "S2")] == [
            WORDS.encode(word).ids[0] for word in (io, s1, s1)
        ]
    assert set(data.column("template")) == {0, 1}
    assert set(data.column("io")) == set(NAMES)


def test_the_same_seed_gives_the_same_rows_whatever_the_order_of_slots() -> None:
    turned = Dataset.from_templates(TEMPLATES, dict(reversed(SLOTS.items())), 40, seed=1, tokenizer=WORDS)
    assert turned.rows == made().rows
    assert made(10).rows == made().rows[:10]
    assert made(seed=2).rows != made().rows


def test_labels_are_balanced() -> None:
    def label(row: dict[str, Any]) -> bool:
        return row["io"] == "Mary"  # one in five

    data = made(41, columns={"mary": label}, balance="mary")
    assert sorted(Counter(data.column("mary")).values()) == [20, 21]
    both = made(40, columns={"mary": label}, balance="mary template")
    pairs = zip(both.column("mary"), both.column("template"), strict=True)
    assert set(Counter(pairs).values()) == {10}
    assert (
        made(40, columns={"mary": label}, balance="mary").rows
        == made(40, columns={"mary": label}, balance=["mary"]).rows
    )


def test_counterparts_take_other_words_where_asked() -> None:
    data = made(redraw="s2")
    assert data.column("pair") == [i ^ 1 for i in range(80)]
    assert data.column("is_clean") == [True, False] * 40
    assert data.column("is_abc") == [False, True] * 40
    for own, other in zip(data.rows[::2], data.rows[1::2], strict=True):
        assert {n: v for n, v in own.columns.items() if other.columns[n] == v}.keys() == {
            "template", "io", "s1", "place"
        }  # fmt: skip
        assert other.columns["s2"] not in (own.columns["io"], own.columns["s1"])
        assert own.positions == other.positions
    assert data.rows[::2] == tuple(
        type(row)(row.tokens, row.positions, row.columns | {"pair": 2 * i + 1, "is_clean": True, "is_abc": False})
        for i, row in enumerate(made().rows)
    )
    three = made(redraw="io s1 s2", counterpart="random")
    for own, other in zip(three.rows[::2], three.rows[1::2], strict=True):
        new = [other.columns[name] for name in ("io", "s1", "s2")]
        assert len({*new, own.columns["io"], own.columns["s1"]}) == 5


def test_brackets_that_are_doubled_are_text() -> None:
    data = Dataset.from_templates(["[[x]] [a]"], {"a": ["at"]}, 1, tokenizer=WORDS)
    assert WORDS.decode(data.rows[0].tokens) == "[x] at"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templates": "a"}, "templates: give a list, found 'a'"),
        ({"templates": []}, "one at least"),
        (
            {"templates": ["[iO]", "[plce]"]},
            r"(?s)template 0: no slot 'iO'.*template 1: .* Did you mean 'place'.* \[\[",
        ),
        ({"slots": {"io": []}}, r"slot 'io': give a list of words, or the slot that it repeats, found \[\]"),
        ({"slots": {**SLOTS, "s2": "s3"}}, "slot 's2' repeats 's3', which is no slot with a list of words. Did you"),
        ({"slots": {**SLOTS, "template": ["a"]}}, "slot 'template' must be named by an identifier other than"),
        ({"n": 0}, "n=0: give a whole number, 1 or more"),
        ({"seed": -1}, "seed=-1: give a whole number"),
        ({"redraw": "s3"}, r"redraw='s3': no such slot\. Did you mean"),
        ({"balance": "labl"}, "balance='labl': no such column"),
        ({"redraw": "s2", "columns": {"pair": "io"}}, "column 'pair' is made of the counterparts"),
        ({"columns": {"x": "ioo"}}, r"row 0 and 39 more: column 'x': no key 'ioo'; the keys are .* Did you mean"),
        ({"columns": {"io": "s1"}}, "column 'io' is a slot's already"),
        ({"tokenizer": None}, "the rows are texts: give tokenizer="),
        ({"colums": 1}, "unknown word 'colums'"),
        ({"slots": {**SLOTS, "io": NAMES[:2], "s1": NAMES[:2]}, "redraw": "s2"}, "has 2 words, and a row with its"),
    ],
)
def test_wrong_templates_are_told(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "templates": TEMPLATES, "slots": SLOTS, "n": 40, "tokenizer": WORDS, **change
    }  # fmt: skip
    with pytest.raises(DataError, match=message):
        Dataset.from_templates(**given)
