"""Bits kept, by hand: uniform columns of two and three values over a pool of twelve rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from score.cases import claim_of, graph, resolved, rows_of, tiny_transformer
from scrub import Dataset, embed, heads, logits, nodes
from scrub.score.bits import Bits, bits, entropy

DATA = rows_of({"x": x, "y": y, "z": z, "label": 0} for x, y, z in product(range(2), range(3), range(2)))
EVERYTHING = np.log2(12)
CHAIN = graph(h=lambda x, y: (x, y), out=lambda h, z: (h, z))


def kept(
    model: Any, story: dict[str, Callable[..., Any]], sites: dict[str, Any], data: Dataset = DATA, **options: Any
) -> float:
    found = bits(resolved(claim_of(model, story, sites, data, **options)))
    assert found.everything == pytest.approx(np.log2(len(data)))
    return found.kept


def test_entropy_is_that_of_the_shares() -> None:
    assert entropy(np.array([0, 0, 1, 1])) == 1
    assert entropy(np.array([0, 0, 0, 1])) == pytest.approx(0.25 * 2 + 0.75 * np.log2(4 / 3))
    assert entropy(np.array([5, 5])) == 0


def test_a_leaf_keeps_the_entropy_of_its_value() -> None:
    sites = {"x": "x", "answer": nodes("h").reads(x="x")}
    model = graph(h=lambda x, y: (x, y))
    assert kept(model, {"answer": lambda x: x}, sites) == pytest.approx(1)
    skewed = rows_of({"x": int(i == 0), "y": 0, "label": 0} for i in range(8))
    share = -(1 / 8 * np.log2(1 / 8) + 7 / 8 * np.log2(7 / 8))
    assert kept(model, {"answer": lambda x: x}, sites, skewed) == pytest.approx(share)


def test_the_value_of_a_leaf_counts_not_its_site() -> None:
    coarse = {"big": lambda y: y == 2, "answer": lambda big: big}
    sites = {"big": "y", "answer": nodes("h").reads(y="big")}
    third = -(1 / 3 * np.log2(1 / 3) + 2 / 3 * np.log2(2 / 3))
    assert kept(graph(h=lambda x, y: (x, y)), coarse, sites) == pytest.approx(third)


def test_an_inner_variable_keeps_no_more_than_its_own_entropy() -> None:
    """mid = x xor (y > 0) has one value in two: less than H(x) + H(y) = 1 + log2 3."""
    story = {"mid": lambda x, y: x == (y > 0), "answer": lambda mid: mid}
    sites = {"x": "x", "y": "y", "mid": nodes("h").reads(x="x", y="y"), "answer": nodes("out").reads(h="mid")}
    assert kept(CHAIN, story, sites) == pytest.approx(1)


def test_nor_more_than_its_parents_keep() -> None:
    """mid is all of (x, y) in the story, but the claim reads only y there: log2 3 bits reach the answer."""
    story = {"mid": lambda x, y: (x, y), "answer": lambda mid: mid}
    sites = {"x": "x", "y": "y", "mid": nodes("h").reads(y="y").omits("x"), "answer": nodes("out").reads(h="mid")}
    assert kept(CHAIN, story, sites) == pytest.approx(np.log2(3))


def test_the_answer_takes_the_joint_of_its_parents() -> None:
    """x and its copy: the sum of both is 2 bits, their joint 1."""
    story = {"copy": lambda x: x, "answer": lambda copy, x: (copy, x)}
    model = graph(h=lambda x: x, out=lambda h, x: (h, x))
    sites = {"x": "x", "copy": "h", "answer": nodes("out").reads(h="copy", x="x")}
    assert kept(model, story, sites) == pytest.approx(1)


def test_or_their_sum_where_that_is_less() -> None:
    """mid keeps log2 3 of its 1 + log2 3 bits; with z, 1 + log2 3 in all, less than the joint of (mid, z)."""
    story = {"mid": lambda x, y: (x, y), "answer": lambda mid, z: (mid, z)}
    sites = {
        "x": "x", "y": "y", "z": "z",
        "mid": nodes("h").reads(y="y").omits("x"),
        "answer": nodes("out").reads(h="mid", z="z"),
    }  # fmt: skip
    assert kept(CHAIN, story, sites) == pytest.approx(1 + np.log2(3))


def test_a_parent_that_two_variables_read_counts_for_each_once() -> None:
    """Both of two readers keep x; the answer's parents hold (x, x or y): the joint has four values on twelve rows."""
    story = {"a": lambda x: x, "b": lambda x, y: x or y > 0, "answer": lambda a, b: (a, b)}
    model = graph(h=lambda x: x, g=lambda x, y: (x, y), out=lambda h, g: (h, g))
    sites = {
        "x": "x", "y": "y", "a": nodes("h").reads(x="x"), "b": nodes("g").reads(x="x", y="y"),
        "answer": nodes("out").reads(h="a", g="b"),
    }  # fmt: skip
    # (1, True): 6 rows, (0, True): 4, (0, False): 2
    shares = np.array([6, 4, 2]) / 12
    assert kept(model, story, sites) == pytest.approx(-(shares * np.log2(shares)).sum())


def test_several_sites_of_one_variable_count_once() -> None:
    rows = [{"tokens": [i % 4], "positions": {"END": 0}, "columns": {"label": i % 4}} for i in range(8)]
    two = [heads("0.0", at="END").reads(v="label"), heads("1.0", at="END").reads(v="label")]
    sites = {"label": embed("END"), "copy": two, "answer": logits("END")}
    story = {"copy": lambda label: label, "answer": lambda copy: copy}
    assert kept(tiny_transformer(), story, sites, Dataset.from_rows(rows), metric="kl") == pytest.approx(2)


def test_constants_and_the_empty_claim_keep_nothing() -> None:
    constant = {"one": lambda x: 1, "answer": lambda one: one}
    sites = {"one": "h", "answer": nodes("out").reads(h="one")}
    assert kept(CHAIN, constant, sites) == 0
    assert kept(CHAIN, {"answer": lambda: 0}, {"answer": "out"}) == 0
    omitted = {"x": "x", "answer": nodes("h").omits("x")}
    assert kept(graph(h=lambda x, y: (x, y)), {"answer": lambda x: x}, omitted) == 0


def test_everything_is_the_cap() -> None:
    """All three columns are kept by a claim whose values tell every row: no more than log2 of the rows."""
    story = {"answer": lambda x, y, z: (x, y, z)}
    model = graph(h=lambda x, y, z: (x, y, z))
    sites = {"x": "x", "y": "y", "z": "z", "answer": nodes("h").reads(x="x", y="y", z="z")}
    assert kept(model, story, sites) == pytest.approx(EVERYTHING)


def test_a_rest_that_is_kept_keeps_everything() -> None:
    sites = {"x": "x", "answer": nodes("h").reads(x="x")}
    claim = resolved(claim_of(graph(h=lambda x, y: (x, y)), {"answer": lambda x: x}, sites, DATA, rest="keep"))
    assert bits(claim) == Bits(EVERYTHING, EVERYTHING)
