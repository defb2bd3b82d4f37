"""The options of a claim against its data."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from claim_cases import TINY, checked, names_claim, names_rows, names_sites, names_story, told
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.metric import Metric, parse_metric
from scrub.claims.setting import check_setting, check_tokens, token_ids
from scrub.claims.sites import embed
from scrub.claims.text import words
from scrub.errors import DataError


def data_with(**columns: list[Any]) -> Dataset:
    """The rows with other columns; `...` takes a value away."""
    rows = names_rows()
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row["columns"].pop(name, None)
            if value is not ...:
                row["columns"][name] = value
    return Dataset.from_rows(rows)


def mean_length(output: Any, row: Any) -> float:
    return float(np.mean(output))


SOME = [True] * 4 + [False] * 8


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            {},
            {"scored": "evne"},
            r"scored=: the data have no column 'evne'; they have io, s1, s2, length, even\.  "
            r"Did you mean even\?",
        ),
        ({}, {"skills": "evn"}, r"skills=: the data have no column 'evn'; .*Did you mean even\?"),
        ({}, {"skills": "io"}, r"skills=: column 'io' must hold True or False; rows 0, 1, .* do not\."),
        (
            {"even": [True] * 9 + [...] * 3},
            {"skills": "even"},
            "'even' must hold True or False; rows 9, 10, 11 do not",
        ),
        ({"even": SOME}, {"skills": "even"}, "'even' marks 4 scored rows, and an interval takes at least 10"),
        ({}, {"rest_rows": "x"}, "rest_rows=: the data have no column 'x'"),
        ({}, {"within": "lenght"}, r"within=: .*Did you mean length\?"),
        ({}, {"rest": "paired", "pair": "partner"}, "pair=: the data have no column 'partner'"),
        ({}, {"predicts": "oi"}, r"predicts=: .*Did you mean io\?"),
        ({}, {"metric": "loss(lable)"}, r"metric loss\(lable\): the data have no column 'lable'"),
        (
            {"even": [True] * 10 + [..., None]},
            {"scored": "even"},
            "scored=: column 'even' has no value in rows 10, 11",
        ),
        ({"io": [10] * 11 + [None]}, {}, r"metric logit_diff\(io, s1\): column 'io' has no value in rows 11"),
        (
            {"even": [1] * 12},
            {"scored": "even"},
            "scored=: column 'even' must hold True or False; rows 0, 1, 2, 3, 4, 5, 6, 7 and 4 more do not",
        ),
        (
            {"even": [False] * 12},
            {"scored": "even"},
            "scored=: column 'even' is False in every row.  At least one row must be marked",
        ),
        ({"length": [0.5] * 12}, {"within": "length"}, r"within='length': 0\.5 is a float"),
        ({"even": [True] * 4 + [False] * 8}, {"within": "length", "rest_rows": "even", "scored": "even"}, ""),
        (
            {"even": [True] + [False] * 11},
            {"within": "length", "rest_rows": "even"},
            r"rows 1, 2, 4, 5, 7, 8, 10, 11 have no rest row in their stratum "
            r"\(rest_rows='even'\)\.  Add rest rows",
        ),
        ({"even": [True] + [False] * 11}, {"within": "length", "rest_rows": "even", "empty": "self"}, ""),
        ({"even": [True] + [False] * 11}, {"within": "length", "rest_rows": "even", "rest": "keep"}, ""),
        (
            {"even": [i % 3 == 0 for i in range(12)]},
            {"within": "length", "rest_rows": "even", "scored": "even"},
            "",
        ),
        (
            {"pair": [1] * 10 + [12, None]},
            {"rest": "paired", "pair": "pair"},
            r"pair='pair': rows 10, 11 have no partner in the data\.  Give the partner's row number",
        ),
        ({"pair": [1] * 10 + [12, None]}, {"rest": "paired", "pair": "pair", "empty": "self"}, ""),
        (
            {"pair": [1] * 10 + [12, None], "even": [True] * 10 + [False] * 2},
            {"rest": "paired", "pair": "pair", "scored": "even", "within": "even"},
            "",
        ),
        (
            {"id": ["a"] * 2 + [f"r{i}" for i in range(10)], "pair": ["a"] + ["r1"] * 11},
            {"rest": "paired", "pair": "pair"},
            "pair='pair': rows 0, 1 share the 'id' 'a' of row 0's partner.  A partner is one row",
        ),
        (
            {},
            {"rest": "mean"},
            r"rest='mean' aligns by index, but rows 0, 1, .* of one stratum have different "
            r"lengths\.  Restrict draws .* within='length'",
        ),
        ({}, {"rest": "mean", "within": "length"}, ""),
        ({}, {"rest_scope": "input"}, "rest_scope='input' mixes rows by index, but rows"),
        ({}, {"metric": "kl"}, "metric kl does not say what the right answer is.  Add predicts='column'"),
        ({}, {"metric": "kl", "predicts": "io"}, ""),
        ({}, {"metric": Metric(mean_length)}, "metric mean_length does not say what the right answer is"),
    ],
)
def test_options_are_checked_against_the_rows(data: dict[str, Any], options: dict[str, Any], message: str) -> None:
    found = told(checked(data=data_with(**data), **options))
    assert re.search(message, found) if message else not found, found


def test_a_site_everywhere_needs_rows_of_one_length() -> None:
    sites = names_sites(io=embed("all"))
    assert "a site at 'all' aligns by index, but rows 0, 1" in told(checked(sites))
    assert told(checked(sites, within="length")) == ""


def test_an_unknown_pair_column_is_told_once() -> None:
    assert len(checked(rest="paired", pair="partner").problems) == 1


def test_partners_by_number_and_by_id() -> None:
    by_number = checked(data=data_with(pair=[(i + 1) % 12 for i in range(12)]), rest="paired", pair="pair").claim
    ids = [f"r{i}" for i in range(12)]
    by_id = checked(data=data_with(id=ids, pair=[*ids[1:], ids[0]]), rest="paired", pair="pair").claim
    assert by_number is not None
    assert by_id is not None
    assert by_number.pair.tolist() == by_id.pair.tolist() == [*range(1, 12), 0]


def test_what_the_options_say_of_each_row() -> None:
    claim = checked(data=data_with(even=SOME), scored="even", within="length").claim
    assert claim is not None
    assert claim.scored.tolist() == SOME
    assert claim.rest_from.all()
    assert claim.stratum.tolist() == [0, 1, 1] * 4
    assert (claim.pair == -1).all()


LOSS = parse_metric("loss(label)")


def labelled(*labels: Any, tokens: int = 3) -> Dataset:
    return Dataset.from_rows({"tokens": [1] * tokens, "columns": {"label": label}} for label in labels)


@pytest.mark.parametrize(
    ("data", "tokenizer", "message"),
    [
        (labelled(1, 2), None, ""),
        (labelled("a", ("b", 1)), words(["?", "a", "b"]), ""),
        (labelled(1, 1.5), None, r"metric loss\(label\): column 'label' holds 1\.5 in row 1"),
        (labelled(True), None, "holds True in row 0: a metric takes a token id"),
        (labelled(1, (2, 9)), None, "holds the token id 9 in row 1, beyond the vocabulary of 5"),
        (labelled(-1), None, "holds the token id -1"),
        (
            labelled("a"),
            None,
            "holds strings, and the model has no tokenizer: give token ids, or a directory",
        ),
        (
            labelled("a", "a b", "zz"),
            words(["?", "a", "b"]),
            r"must hold single tokens; these are none or several: 'a b' \(row 1\), 'zz' \(row 2\)",
        ),
        (
            labelled(1, tokens=7),
            None,
            "rows 0 are longer than the model's context of 6 tokens.  Shorten them",
        ),
        (
            Dataset.from_rows([{"tokens": [4]}, {"tokens": [5]}]),
            None,
            "rows 1 have token ids beyond the model's vocabulary of 5",
        ),
    ],
)
def test_tokens_must_fit_the_model(data: Dataset, tokenizer: Any, message: str) -> None:
    found = "\n".join(map(str, check_tokens(LOSS, data, tokenizer, vocabulary=5, context=6)))
    assert re.search(message, found) if message else not found, found


def test_token_problems_are_part_of_the_check() -> None:
    hypothesis = names_claim(names_story())
    subject = Subject(TINY, vocabulary=11, context=6)
    found = told(check_claim(hypothesis, subject, data_with()))
    assert "beyond the model's vocabulary of 11" in found
    assert "longer than the model's context of 6" in found
    assert "column 'io' holds the token id 11 in row 1" in found


def test_token_ids_of_an_argument() -> None:
    tokenizer = words(["?", "a", "b"])
    assert token_ids(labelled("a", ("b", 1), 2), "label", tokenizer) == [(1,), (2, 1), (2,)]
    with pytest.raises(DataError, match="column 'label', row 1: 'a b' is not one token of the vocabulary"):
        token_ids(labelled("a", "a b"), "label", tokenizer)
    with pytest.raises(DataError, match="'a' is not one token"):
        token_ids(labelled("a"), "label", None)


def test_partners_of_another_length_are_refused_where_rows_align_by_index() -> None:
    rows = [
        {"tokens": [1] * n, "positions": {"END": -1}, "columns": {"y": 1, "mate": m}} for n, m in ((2, 1), (3, 0))
    ]
    data = Dataset.from_rows(rows)
    options = Options(rest="paired", pair="mate", within=None)
    shape = Shape("native", 1, 1, 1, 4, 4, 0, 5, 8)
    for everywhere in (False, True):
        _, problems = check_setting(options, TransformerGraph("m", shape), data, everywhere)
        told = [p for p in problems if "partners of another length" in p.found]
        assert bool(told) == everywhere
        assert all("rows 0, 1" in p.found for p in told)
