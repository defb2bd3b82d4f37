"""The bench of `benchmarks/truth.py`, small: planted circuits are what they say; what claims about them deserve."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import scrub
from scrub.score.result import Result

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))  # last: its names are those of tests too

from planted.changes import Mutation, mutations
from planted.graphs import computation
from planted.judging import CaseBench, Judged
from planted.page import Setting, page
from planted.programs import program
from planted.textbook import Textbook, textbook
from planted.told import Planted, Told
from planted.weights import answered

SMALL = [(program, 3), (program, 7), (computation, 1), (computation, 4)]


@pytest.fixture(scope="module")
def book() -> Textbook:
    return textbook()


@pytest.fixture(scope="module")
def bench() -> CaseBench:
    """A compiled transformer in which either of two heads writes what stood before, and its true claim."""
    found = CaseBench(program(3))
    assert found.judge(Mutation("true claim", "", found.case.told), true=True) is not None
    return found


def scrubbed(told: Told, **options: object) -> Result:
    return scrub.test(told.hypothesis(), rows=48, draws=4, explain=False, **options)


@pytest.mark.parametrize(("make", "seed"), SMALL)
def test_true_claims_are_supported(make: Callable[[int], Planted], seed: int) -> None:
    result = scrubbed(make(seed).told.but(expect=scrub.recovers(0.9)))  # what so few rows can show
    assert result.verdict == "supported", result.reason
    assert result.recovered.value == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_the_compiled_weights_compute_the_story(seed: int) -> None:
    """On every row; among the seeds are all norms, and MLPs with gates, without, and none."""
    case = program(seed)
    setting = case.told.setting
    assert answered(setting["model"], setting["data"].rows) == [row["answer"] for row in case.told.table]


def test_the_seeds_have_every_norm_and_kind_of_mlp() -> None:
    found = {feature for seed in range(6) for feature in program(seed).features}
    assert {"no norm", "LN", "RMS", "attention only", "gated", "MLPs", "spare", "induction"} <= found


def test_a_seed_says_which_model() -> None:
    one, two, other = program(3), program(3), program(4)
    states = [case.told.setting["model"].state_dict() for case in (one, two)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    digests = [scrubbed(case.told, controls="none").digest for case in (one, two, other)]
    assert digests[0] == digests[1] != digests[2]
    graphs = [computation(1), computation(1), computation(2)]
    assert [case.told.table for case in graphs[:1]] == [case.told.table for case in graphs[1:2]]
    assert graphs[0].told.table != graphs[2].told.table
    assert [m.what for m in mutations(graphs[0])] == [m.what for m in mutations(graphs[1])]


def deserves(bench: CaseBench, kind: str, what: str = "") -> Judged:
    """The judgement of a case's first change of a kind whose words begin so."""
    found = next(m for m in mutations(bench.case) if m.kind == kind and m.what.startswith(what))
    judgement = bench.judge(found)
    assert judgement is not None
    return judgement


@pytest.mark.parametrize(
    ("kind", "what", "why"),
    [
        ("missing edge", "found1: a_end", "less"),
        ("constant value", "a_end", "story"),
        ("renamed values", "a_end", "equivalent"),
        ("one of several", "label1", "equivalent"),  # either suffices
        ("finer value", "a_end", "equivalent"),
        ("reversed story", "", "story"),
        ("added component", "a_end: 0.", "idle part"),
        ("wrong position", "a", "less"),
    ],
)
def test_what_a_change_deserves_follows_from_the_construction(
    bench: CaseBench, kind: str, what: str, why: str
) -> None:
    judgement = deserves(bench, kind, what)
    assert judgement.deserves == why, judgement
    assert why != "less" or judgement.verdict == "refuted", judgement


def test_a_claim_is_judged_once(bench: CaseBench) -> None:
    again = next(m for m in mutations(bench.case) if m.kind == "coarser value")
    assert bench.judge(again) is not None
    assert bench.judge(again) is None


def test_what_cancels_is_told_from_what_does_not_matter() -> None:
    """Without the edge to a cancelling pair all is recovered, until every unclaimed input has a row of its own."""
    case = next(case for case in map(computation, range(20)) if "cancelling pair" in case.features)
    (cut,) = case.rivals.values()
    shares = [
        scrub.test(told.hypothesis(), rows=30, exact=True, controls="none", parts="none").recovered.value
        for told in (cut, cut.but(rest_scope="input"), case.told.but(rest_scope="input"))
    ]
    assert shares[0] == pytest.approx(1)
    assert shares[1] is not None
    assert shares[1] < 0.5
    assert shares[2] == pytest.approx(1)


def test_the_textbook_is_false_of_this_model_and_a_wrong_head_hides_it(book: Textbook) -> None:
    right, usual, wrong = (scrubbed(told) for told in (book.right.told, book.usual, book.wrong))
    assert right.verdict == "supported"
    assert usual.verdict == "refuted"
    assert wrong.recovered.low is not None
    assert wrong.recovered.low >= wrong.bar  # scrubbing alone does not see that the head does nothing
    assert wrong.verdict == "inconclusive"
    assert "superfluous" in wrong.reason
    assert "0.1" in wrong.reason
    number, spots = 0, book.wrong.spots["found"]
    cut = scrubbed(book.wrong.spot("found", number, spots[number].without("before")))
    assert cut.recovered.value == pytest.approx(wrong.recovered.value, abs=1e-3)


def test_the_query_edge_is_what_the_textbook_leaves_out(book: Textbook) -> None:
    assert book.query_edge == "0.2 -> 1.0.q"
    (asked,), (found,) = book.right.told.spots["asked"], book.right.told.spots["found"]
    assert (asked.names, asked.at, found.names) == (("0.2",), "END", ("1.0",))
    assert "asked" in found.reads["q"]
    assert scrubbed(book.right.told.spot("found", 0, found.without("asked"))).verdict == "refuted"


def test_explain_names_the_query_edge_that_the_textbook_forgets(book: Textbook) -> None:
    """Of the right head. Of the wrong one too, where no rest costs anything: with the keys that should be claimed."""
    found = scrub.explain(book.usual.hypothesis(), rows=48, draws=4)
    assert "found.q reads head 0.2 @ END, which the claim leaves out: 0.94" in str(found)
    assert {(one.reader, one.channel, str(one.at)) for one in found.left_out} == {("found", "q", "END")}
    assert scrub.test(book.usual.hypothesis(), rows=48, draws=4).left_out == found.left_out
    hidden = scrub.explain(book.wrong.hypothesis(), rows=48, draws=4)
    assert all(one.gain < -0.9 for one in hidden.left_out)
    assert {one.words[: one.words.index(",")] for one in hidden.left_out if len(one.senders) == 1} == {
        "found.q reads head 0.2 @ END",
        "found.k reads head 0.0 @ B1",
    }
    assert "harmless only while all of it comes from one row" in str(hidden)


def test_the_page_counts_what_was_missed(book: Textbook) -> None:
    named = ("textbook", "textbook")
    found = [
        Judged(*named, "true claim", "", "inconclusive", "too few rows", "true", 0.9, 0.7, 1.0),
        Judged(*named, "missing edge", "b not read", "refuted", "", "less", 0.1, 0.0),
        Judged(*named, "missing edge", "d not read", "refuted", "", "less", 0.2, 0.1),
        Judged(*named, "missing edge", "a not read", "supported", "", "less", 0.9, 0.85, 0.9),
        Judged(*named, "added edge", "c as well", "supported", "", "equivalent", 1.0, 1.0, 1.0),
        Judged(*named, "added edge", "d as well", "unsound", "no edge", "unsound"),
    ]
    text = page(found, [book.right], Setting(0, 3, 1.0, {"scrub": "0"}))
    assert "| missing edge | 0 | 0 | 3 | 2 | 0 | 1 | 1 |" in text
    assert "| added edge | 1 | 1 | 0 | 0 | 0 | 0 | 0 |" in text
    assert "Of 3 false claims 2 are caught and 1 missed (33.3 %)" in text
    assert "textbook: a not read, supported at 0.90, predicts 0.90" in text
    assert "- textbook: inconclusive, too few rows" in text
