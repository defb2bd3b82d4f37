"""What each part of a claim earns: small cases whose answers are known, sampled and exactly, and by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scrub
from reference import scrubbed
from score.cases import ERROR, bench_of, claim_of, graph, rows_of
from scrub import Hypothesis, nodes
from scrub.claims.parts import parts_of
from scrub.claims.problems import ClaimProblems
from scrub.errors import ClaimError
from scrub.report.earned import remarks
from scrub.report.page.sections.earned import _earned
from scrub.score.earned import Earned
from scrub.score.parts import what_parts_earn
from scrub.score.result import Result
from scrub.score.sample import enumerate_exactly, sample
from scrub.score.taken import Taken

SPARE = graph(a=lambda x: x, b=lambda w: w, out=lambda a, b: max(a, b))
IDLE = graph(h=lambda x: 10 * x, idle=lambda y: y, out=lambda h, idle: h + 0 * idle)
CANCEL = graph(u=lambda n: 5 * n, w=lambda n: 5 * n, out=lambda x, u, w: x + u - w)
GATE = graph(out=lambda x, gate: x if gate else 0)
NEEDLESS = graph(g=lambda x, y: 10 * x + 0 * y, out=lambda g, y: g + y)


def pairs(**named: Any) -> Any:
    """128 rows: x in 0 to 3 and y in 0 to 3, eight times each; other columns by functions of both."""
    made = [{"x": x, "y": y} for x, y, _ in product(range(4), range(4), range(8))]
    return rows_of(row | {name: f(**row) for name, f in named.items()} for row in made)


def redundant(**options: Any) -> Hypothesis:
    """Two nodes do the same work, and either suffices: on a row of zeros the other one is left."""
    data = pairs(w=lambda x, y: x, label=lambda x, y: x)
    sites = {"x": "x", "w": "w", "one": nodes("a").reads(x="x"), "two": nodes("b").reads(w="w"),
             "answer": nodes("out").reads(a="one", b="two")}  # fmt: skip
    story = {"one": lambda x: x, "two": lambda w: w, "answer": lambda one, two: max(one, two)}
    return claim_of(SPARE, story, sites, data, metric=ERROR, rest="zero", **options)


def mates(**options: Any) -> Hypothesis:
    """The same two nodes as one site."""
    data = pairs(w=lambda x, y: x, label=lambda x, y: x)
    sites = {"both": nodes("a b"), "answer": nodes("out").reads(a="both", b="both")}
    story = {"both": lambda x: x, "answer": lambda both: both}
    return claim_of(SPARE, story, sites, data, metric=ERROR, rest="zero", **options)


def idle(**options: Any) -> Hypothesis:
    sites = {"head": "h", "more": "idle", "answer": nodes("out").reads(h="head", idle="more")}
    story = {"head": lambda x: x, "more": lambda y: y, "answer": lambda head, more: 10 * head}
    return claim_of(IDLE, story, sites, pairs(label=lambda x, y: 10 * x), metric=ERROR, **options)


def cancelling() -> Hypothesis:
    data = pairs(n=lambda x, y: y, label=lambda x, y: x)
    sites = {"x": "x", "up": "u", "down": "w", "answer": nodes("out").reads(x="x", u="up", w="down")}
    story = {"up": lambda n: 5 * n, "down": lambda n: -5 * n, "answer": lambda x, up, down: x + up + down}
    return claim_of(CANCEL, story, sites, data, metric=ERROR)


def gated() -> Hypothesis:
    """That the gate is open matters; which of its values opens it does not."""
    data = pairs(gate=lambda x, y: 1 + y, label=lambda x, y: x)
    sites = {"x": "x", "gate": "gate", "answer": nodes("out").reads(x="x", gate="gate")}
    return claim_of(GATE, {"answer": lambda x, gate: x}, sites, data, metric=ERROR, rest="zero")


def needless() -> Hypothesis:
    sites = {"x": "x", "y": "y", "mid": nodes("g").reads(x="x", y="y"), "answer": nodes("out").reads(g="mid", y="y")}
    story = {"mid": lambda x, y: 10 * x, "answer": lambda mid, y: mid + y}
    return claim_of(NEEDLESS, story, sites, pairs(label=lambda x, y: 10 * x + y), metric=ERROR)


def words(result: Result) -> dict[str, str]:
    return {one.part.words: one.word for one in result.earned}


def tried(hypothesis: Hypothesis, exact: bool) -> Result:
    return scrub.test(hypothesis, draws=8, exact=exact)


both_ways = pytest.mark.parametrize("exact", [False, True])


@both_ways
def test_redundant_parts_are_spare(exact: bool) -> None:
    """And all on the way to them: each is needed once the other way is gone."""
    result = tried(redundant(), exact)
    assert result.verdict == "supported"
    assert {one.word for one in result.earned if one.part.kind != "value"} == {"spare"}
    together = tried(mates(), exact)
    assert together.verdict == "supported"
    assert (words(together)["a of both"], words(together)["b of both"]) == ("spare", "spare")
    assert words(together)["the value of both"] == "earned"


@both_ways
def test_edges_of_which_any_may_go_are_spare_like_their_components(exact: bool) -> None:
    """Two of three nodes outvote the third: which of their edges goes is a matter of order alone."""
    vote = graph(a=lambda x: x, b=lambda x: x, c=lambda x: x, out=lambda a, b, c: sorted((a, b, c))[1])
    sites = {
        "x": "x",
        "held": nodes("a b c").reads(x="x"),
        "answer": nodes("out").reads(a="held", b="held", c="held"),
    }
    story = {"held": lambda x: x, "answer": lambda held: held}
    result = tried(claim_of(vote, story, sites, pairs(label=lambda x, y: x), metric=ERROR), exact)
    told = [one for one in result.earned if str(one.part) in {"a", "b", "c"} or one.part.variable == "answer"]
    assert [one.word for one in told] == ["spare"] * 6


@both_ways
def test_an_idle_part_is_superfluous_and_the_claim_inconclusive(exact: bool) -> None:
    result = tried(idle(), exact)
    found = words(result)
    assert (
        found["idle of more"] == found["the value of more"] == found["the edge more -> answer.idle"] == "superfluous"
    )
    assert found["h of head"] == found["the value of head"] == "earned"
    assert result.verdict == "inconclusive"
    assert result.reason.startswith("superfluous: idle of more, the value of more.")
    assert 'spare="more"' in result.reason


@pytest.mark.parametrize("spare", ["more", "idle more", ("idle", "more")])
def test_what_a_claim_calls_spare_may_be_superfluous(spare: Any) -> None:
    assert tried(idle(spare=spare), False).verdict == "supported"


def test_a_component_that_is_spare_leaves_its_value_to_be_told() -> None:
    result = tried(idle(spare="idle"), False)
    assert (result.verdict, result.reason[:35]) == ("inconclusive", "superfluous: the value of more. As ")


@both_ways
def test_a_pair_that_cancels_is_earned(exact: bool) -> None:
    result = tried(cancelling(), exact)
    assert result.verdict == "supported"
    assert {words(result)["u of up"], words(result)["w of down"]} == {"earned"}


@both_ways
def test_a_value_that_no_reader_uses_is_superfluous_while_its_component_is_earned(exact: bool) -> None:
    result = tried(gated(), exact)
    assert (words(result)["gate of gate"], words(result)["the value of gate"]) == ("earned", "superfluous")
    assert result.verdict == "inconclusive"


@both_ways
def test_a_needless_edge_is_a_remark(exact: bool) -> None:
    result = tried(needless(), exact)
    assert result.verdict == "supported"
    assert {part for part, word in words(result).items() if word != "earned"} == {"the edge y -> mid.y"}
    (remark,) = remarks(result.to_dict())
    assert "y -> mid.y @ g" in remark
    assert remark in str(result)


def test_losses_are_those_of_the_slow_recursion() -> None:
    """Paired by draw: the first few of the claim's own."""
    hypothesis = needless()
    bench = bench_of(hypothesis)
    samples = sample(bench, np.arange(0, 64, 9), 8, 3)
    taken = Taken(bench, samples, 3)
    sets = [frozenset([part]) for part in parts_of(bench.claim)]
    got = taken.without(sets, np.array([1, 4]), range(2, 4))
    for i, row in enumerate(samples.references[[1, 4]].tolist()):
        label = bench.claim.data.rows[row].columns["label"]
        for j, dropped in enumerate(sets):
            runs = [scrubbed(bench.claim, bench.claim.graph, 3, row, draw, dropped=dropped) for draw in (2, 3)]  # pyright: ignore
            assert got[i, j] == pytest.approx(np.mean([abs(run - label) for run in runs]), abs=1e-10)
    assert taken.draws == range(2)
    assert taken.whole(taken.draws) == pytest.approx(samples.scrubbed[:, :2].mean(1))


def test_the_loss_is_of_what_is_recovered_on_the_same_draws() -> None:
    result = tried(gated(), True)
    (gate,) = (one for one in result.earned if one.part.words == "gate of gate")
    assert gate.loss.value == pytest.approx(
        result.recovered.value
    )  # nothing passes a closed gate: as in the empty claim
    assert result.to_dict()["earned"][0].keys() >= {"part", "kind", "earns", "low", "high", "word"}


def test_two_draws_are_enough_where_they_tell() -> None:
    """The others of the few are made for parts in doubt alone."""
    heard: list[int] = []
    bench = bench_of(cancelling())
    samples = sample(bench, np.arange(64), 40, 0)
    found: tuple[Earned, ...] = what_parts_earn(Taken(bench, samples, 0, done=heard.append))
    assert {one.word for one in found} == {"earned"}
    assert sum(heard) == len(found) * 64 * 2  # those are told of


@pytest.mark.parametrize("exact", [False, True])
def test_the_claim_itself_is_not_run_again(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost with all that goes is beside the claim's own numbers, which are those that it would find again."""
    bench = bench_of(idle())
    samples = enumerate_exactly(bench, np.arange(64), 0) if exact else sample(bench, np.arange(64), 8, 0)
    taken, run, changed = Taken(bench, samples, 0, exact), list[Any](), Taken.changed

    def heard(self: Taken, roots: Any, at: Any, draws: range) -> np.ndarray:
        run.extend(roots)
        return changed(self, roots, at, draws)

    monkeypatch.setattr(Taken, "changed", heard)
    assert "superfluous" in {one.word for one in what_parts_earn(taken)}
    assert run
    assert bench.tree not in run
    again = taken.without([frozenset()], taken.everyone, taken.draws)[:, 0]
    assert again == pytest.approx(taken.whole(taken.draws), abs=1e-12)


def test_no_parts() -> None:
    result = scrub.test(idle(), draws=4, parts="none")
    assert (result.verdict, result.earned, result.options["parts"]) == ("supported", (), "none")
    with pytest.raises(ClaimError, match=r"parts='non' is unknown\. Did you mean 'none'"):
        scrub.test(idle(), parts="non")


def test_a_claim_without_a_scale_has_parts_that_earn_nothing_known() -> None:
    data = pairs(label=lambda x, y: 0)
    sites = {"x": "x", "answer": nodes("out").reads(x="x")}
    hypothesis = claim_of(graph(out=lambda x: 0 * x), {"answer": lambda x: 0}, sites, data, metric=ERROR)
    assert (tried(hypothesis, False).verdict, tried(hypothesis, False).earned) == ("undefined", ())


def test_spare_names_what_the_claim_has() -> None:
    with pytest.raises(ClaimProblems, match=r"spare='idel'.*\n?.*[Dd]id you mean '?idle"):
        scrub.test(idle(spare="idel"))
    with pytest.raises(ClaimError, match="spare=3: write names"):
        idle(spare=[3])


def test_rivals_inherit_what_is_spare() -> None:
    """One that no longer has it is no mistake."""
    rival = idle(spare="h").but(head=nodes("x"), through="h")
    assert scrub.check(rival).problems == ()


def test_spare_is_part_of_the_digest_where_it_is_given() -> None:
    digests = {bench_of(idle(**options)).claim.digest for options in ({}, {"spare": "more"}, {"spare": "idle"})}
    assert len(digests) == 3
    assert bench_of(idle(spare="")).claim.digest == bench_of(idle()).claim.digest


def test_what_cannot_be_run_is_not_known_and_breaks_no_test() -> None:
    """The model takes only equal inputs, which it has in the claim: without b it meets others."""

    def known(a: int, b: int) -> int:
        if a != b:
            raise ValueError("never met")
        return a

    made = claim_of(
        graph(a=lambda x: x, b=lambda x: x, out=lambda a, b: known(a, b)),
        {"one": lambda x: x, "two": lambda x: x, "answer": lambda one, two: one},
        {"one": nodes("a"), "two": nodes("b"), "answer": nodes("out").reads(a="one", b="two")},
        pairs(label=lambda x, y: x), metric=ERROR,
    )  # fmt: skip
    result = scrub.test(made, draws=4, controls="none")
    assert result.verdict == "supported"
    assert {(one.loss.value, one.word) for one in result.earned} == {(None, "unclear")}


def test_what_was_kept_is_not_computed_again(tmp_path: Path) -> None:
    """Claims without their parts are blocks of a run as all others are, with keys that say what was taken away."""
    for exact in (False, True):
        folder = tmp_path / str(exact)
        first = scrub.test(needless(), draws=4, exact=exact, out=folder)
        blocks = sorted(folder.rglob("*.safetensors"))
        again = scrub.test(needless(), draws=4, exact=exact, out=folder)
        assert sorted(folder.rglob("*.safetensors")) == blocks
        assert [one.loss for one in again.earned] == [one.loss for one in first.earned]


def test_words_and_page_have_a_table() -> None:
    """Of parts that did not earn their place, superfluous ones first; of a claim whose parts all did, one line."""
    result = tried(idle(), False)
    lines = str(result).splitlines()
    (start,) = (i for i, line in enumerate(lines) if "parts earn their place" in line)
    assert lines[start].strip() == "3 of 6 parts earn their place, 3 superfluous (they can all go together)"
    assert lines[start + 1].split() == ["part", "at", "earns"]
    assert lines[start + 2].split()[:4] == ["the", "edge", "more", "->"]
    assert "smaller" not in str(result)  # the edge goes with the component
    text = str(tried(cancelling(), False))
    assert text.endswith("9 of 9 parts earn their place")
    page = _earned(result.to_dict()["earned"])
    assert page is not None
    assert len(page.rows) == 6  # pyright: ignore[reportAttributeAccessIssue]


def test_the_plan_counts_what_parts_cost() -> None:
    planned = scrub.plan(idle(), draws=40)
    passes = {one.name: one for verb in planned.verbs if verb.name == "test" for one in verb.passes}
    assert (passes["without each part"].calls, passes["parts in doubt"].calls) == (6 * 128 * 2, 6 * 128 * 8)
