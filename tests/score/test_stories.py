"""A row that suffers: every row that was drawn for it, by hand, and what the model said of it."""

from __future__ import annotations

import scrub
from score.cases import ROWS, missing_edge, tiny_transformer, token_claim, token_rows
from scrub.claims.dataset import Dataset
from scrub.claims.text import words
from scrub.score.stories import row_text


def test_every_value_of_a_row_is_accounted_for() -> None:
    (story,) = scrub.explain(missing_edge(), draws=5, row=6).worst
    assert story.row == 6
    kinds = [(d.kind, d.variable, d.site, d.depth) for d in story.donations]
    assert kinds == [
        ("rest", "answer", "out", 0),
        ("donor", "mid", "h", 1),
        ("rest", "mid", "h", 1),
        ("donor", "x", "x", 2),
    ]
    rest, mid, rest_of_mid, x = story.donations
    columns = [ROWS.rows[d.row].columns for d in story.donations]
    own = ROWS.rows[6].columns
    assert (columns[1]["x"], columns[1]["y"]) == (own["x"], own["y"])
    assert columns[3]["x"] == own["x"]
    assert mid.agrees == f"mid = ({own['x']}, {own['y']})"
    assert (x.agrees, rest.agrees) == (f"x = {own['x']}", "")
    assert mid.own == (mid.row == 6)
    assert x.own == (x.row == mid.row)  # agrees with the row that asks, not with the reference
    made = 10 * columns[3]["x"] + 4 * columns[2]["y"] + columns[0]["w"]
    assert story.scrubbed_answer == repr(made)
    assert rest_of_mid.text == "  ".join(f"{k}={v!r}" for k, v in columns[2].items())


def test_with_a_rest_for_each_input_every_one_is_told() -> None:
    (story,) = scrub.explain(missing_edge(rest_scope="input"), draws=2, row=0).worst
    rests = [(d.variable, d.site) for d in story.donations if d.kind == "rest"]
    assert rests == [("answer", "h of out"), ("answer", "w of out"), ("mid", "x of h"), ("mid", "y of h")]


def test_tokens_are_marked_with_their_positions() -> None:
    row = Dataset.from_rows(
        [{"tokens": [1, 2, 1], "positions": {"A": 0, "B": 2, "C": -1}, "columns": {"k": 1}}]
    ).rows[0]
    assert row_text(row, words(["?", "to", "be"])) == "to[A] be to[B,C]"
    assert row_text(row, None) == "1[A] 2 1[B,C]"


def test_on_a_transformer_the_answer_is_a_token_with_its_probability() -> None:
    model, data = tiny_transformer(), token_rows()
    found = scrub.explain(token_claim(model, data, metric="kl"), draws=3, dtype="float64")
    story = found.worst[0]
    assert story.columns == data.rows[story.row].columns
    assert story.text.endswith(f"{data.rows[story.row].tokens[-1]}[END]")
    token, share = story.model_answer.split()
    assert 0 <= int(token) < model.shape.d_vocab
    assert share.endswith("%)")
    assert story.model == 0  # kl from itself
    assert {e.path for e in found.swaps} == {"answer", "answer/input:embed @ END"}
    assert next(e for e in found.swaps if e.kind == "donor").route == "answer"
