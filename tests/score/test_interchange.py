"""Interchange: donors that differ, answers by hand, and what scrubbing cannot see."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from score.cases import ERROR, claim_of, graph, resolved, rows_of, story_of, tiny_transformer, token_rows
from scrub import Dataset, Hypothesis, Interpretation, Metric, claim, embed, logits, nodes, recovers, resid
from scrub.claims.collect import collect
from scrub.claims.edited import also
from scrub.engine.draw import Calls
from scrub.errors import ClaimError
from scrub.model.layers import unembed
from scrub.model.trace import trace
from scrub.score.interchange import JOINT, donors
from scrub.score.patched import Patch, PatchedTransformer
from strategies_models import named

GALLERY = Path(__file__).parents[2] / "hypotheses"


def shares(hypothesis: Hypothesis, **options: Any) -> dict[str, dict[str, Any]]:
    return {e["variable"]: e for e in scrub.interchange(hypothesis, **options).to_dict()["interchange"]}


BOTH = graph(h1=lambda x: 10 * x, h2=lambda x: 10 * x, out=lambda h1, h2: h1)


def carried(**options: Any) -> Hypothesis:
    """h2 carries x as h1 does, but out makes nothing of it; the story answers what h2 says."""
    return claim_of(
        BOTH, {"used": lambda x: x, "unused": lambda x: x, "answer": lambda used, unused: 10 * unused},
        {"used": "h1", "unused": "h2", "answer": nodes("out").reads(h1="used", h2="unused")},
        rows_of({"x": i % 4, "label": 10 * (i % 4)} for i in range(24)), metric=ERROR, **options,
    )  # fmt: skip


def test_a_feature_that_is_carried_but_not_used_passes_scrubbing_and_fails_interchange() -> None:
    result = scrub.test(carried(), draws=5, explain=False, parts="none")
    assert (result.verdict, result.recovered.value) == ("supported", pytest.approx(1))
    assert "superfluous: h2 of unused" in scrub.test(carried(), draws=5, explain=False).reason
    found = shares(carried())
    assert found["unused"]["value"] == 0  # the story says that the answer moves, and it stays
    assert found["used"]["value"] is None  # the story says that it stays ...
    assert found["used"]["stayed"]["value"] == 0  # ... and it moves
    honest = carried().but(data=rows_of({"x": i % 4, "label": 0} for i in range(24)))
    assert shares(honest)["unused"]["chance"] is not None


def test_the_true_story_of_the_same_model_passes_both() -> None:
    true = claim_of(
        BOTH, {"used": lambda x: x, "answer": lambda used: 10 * used},
        {"used": "h1", "answer": nodes("out").reads(h1="used")},
        rows_of({"x": i % 4, "label": 10 * (i % 4)} for i in range(24)), metric=ERROR,
    )  # fmt: skip
    used = shares(true)["used"]
    assert (used["value"], used["low"], used["high"], used["rows"]) == (1, 1, 1, 24)
    assert 0.1 < used["chance"] < 0.5  # another donor's value is the same for one in four or so
    assert used["agreeing"]["value"] == 1


def chained(**options: Any) -> Hypothesis:
    """out is the sum of two features; each alone moves it, and so do both."""
    return claim_of(
        graph(a=lambda x: 3 * x, b=lambda y: y, out=lambda a, b: a + b),
        {"left": lambda x: x, "right": lambda y: y, "answer": lambda left, right: 3 * left + right},
        {"left": "a", "right": "b", "answer": nodes("out").reads(a="left", b="right")},
        rows_of({"x": x, "y": y, "label": 3 * x + y, "odd": x % 2} for x in range(3) for y in range(3) for _ in "12"),
        metric=ERROR, **options,
    )  # fmt: skip


def test_all_variables_jointly_each_from_a_donor_of_its_own() -> None:
    found = shares(chained())
    assert list(found) == ["left", "right", JOINT]
    assert [found[name]["value"] for name in found] == [1, 1, 1]


def test_a_wrong_story_answers_wrongly_where_the_variable_differs() -> None:
    """The model is as above; a story in which right counts twice is wrong wherever the move is not by 0."""
    wrong = claim_of(
        graph(a=lambda x: 3 * x, b=lambda y: y, out=lambda a, b: a + b),
        {"left": lambda x: x, "right": lambda y: y, "answer": lambda left, right: 3 * left + right * (right < 2)},
        {"left": "a", "right": "b", "answer": nodes("out").reads(a="left", b="right")},
        rows_of({"x": x, "y": y, "label": 3 * x + y} for x in range(3) for y in range(3)), metric=ERROR,
    )  # fmt: skip
    found = scrub.interchange(wrong, draws=20)
    assert found.agreeing == pytest.approx(6 / 9)  # rows with y < 2
    right = next(e for e in found.exchanges if e.variable == "right")
    # y = 0 and 1 know one another (1 of 2 donors is right, the other says 2); y = 2 says 0, as the story has it ...
    assert right.moved.share.value is not None
    assert 0.4 < right.moved.share.value < 0.9
    assert right.moved_agreeing.share.value < right.moved.share.value


def test_a_number_that_no_row_has_is_an_answer_all_the_same() -> None:
    """3 x + y with another x is no answer of any row; the model gives it, which is what the story says."""
    sparse = chained().but(
        data=rows_of({"x": x, "y": x, "label": 4 * x, "odd": x % 2} for x in range(3) for _ in range(6))
    )
    for found in shares(sparse).values():
        assert (found["value"], found["unsaid"]) == (1, 0)


def digits(answer: Any, out: Any = lambda h: h, **options: Any) -> Hypothesis:
    """out is the digit y, unless told otherwise; the story makes another answer of it."""
    return claim_of(
        graph(h=lambda y: y, out=out), {"mid": lambda y: y, "answer": answer},
        {"mid": "h", "answer": nodes("out").reads(h="mid")}, rows_of({"y": y, "label": y} for y in range(10)),
        metric=Metric(lambda output, row: 1.0), **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "right", "moved"),
    [
        (lambda mid: 0 if mid < 5 else 9, 0.2, 2 / 10),  # of the digits, 0 and 9 are what the story makes of them
        (lambda mid: 1000, 0.0, None),
        (lambda mid: mid, 1.0, 1.0),
    ],
)
def test_a_number_is_the_storys_answer_or_not(answer: Any, right: float, moved: float | None) -> None:
    """A story of few answers is not right because one of them is the nearest."""
    found = scrub.interchange(digits(answer), draws=200)
    assert found.agreeing == pytest.approx(right)
    (mid,) = found.exchanges
    assert mid.moved.share.value == (None if moved is None else pytest.approx(moved, abs=0.03))
    if moved is None:  # wherever it is set the story says 1000, as ever; the model never does
        assert mid.stayed.share.value == 0


def test_numbers_are_equal_to_rounding_and_bins_where_the_story_has_any() -> None:
    thirds = digits(lambda mid: Fraction(mid, 3), lambda h: torch.tensor(h) / 3)
    assert scrub.interchange(thirds).agreeing == 1
    off = digits(lambda mid: Fraction(mid, 3), lambda h: h / 3 + 1e-4)
    assert scrub.interchange(off).agreeing == 0
    plain = digits(lambda mid: 0)
    story = Interpretation()
    story.variable(named("mid", ["y"], lambda values: values[0]))
    story.variable(round=4)(named("answer", ["mid"], lambda values: values[0]))
    coarse = claim(story, model=plain.model, data=plain.data, metric=plain.metric, predicts="label",
                   expect=recovers(0.5))({"mid": nodes("h"), "answer": nodes("out").reads(h="mid")})  # fmt: skip
    found = scrub.interchange(coarse)
    assert (found.agreeing, found.exchanges[0].moved.share.value) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "out", "said"),
    [
        (lambda mid: "yes", lambda h: (0.1, h), "a tuple of 2, and the story answers 'yes', a text: these are never"),
        (lambda mid: mid > 4, lambda h: h, "a number, and the story answers False, True or False"),
        (lambda mid: (mid, mid), lambda h: (h, h, h), "a tuple of 3, and the story answers (0, 0), a tuple of 2"),
        (lambda mid: mid, lambda h: {"y": h}, "of the type builtins.dict, and the story answers 0, a number"),
    ],
)
def test_a_story_that_can_never_match_the_output_is_told(answer: Any, out: Any, said: str) -> None:
    with pytest.raises(ClaimError, match=re.escape(said)):
        scrub.interchange(digits(answer, out))


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        (lambda mid: (mid, Fraction(mid, 10)), lambda h: np.array([h, 0.1 * h])),
        (lambda mid: mid > 4, lambda h: np.bool_(h > 4)),
        (lambda mid: "low" if mid < 5 else "high", lambda h: "low" if h < 5 else "high"),
    ],
)
def test_tuples_arrays_and_words_are_equal_part_by_part(answer: Any, out: Any) -> None:
    found = scrub.interchange(digits(answer, out))
    assert (found.agreeing, found.exchanges[0].moved.share.value) == (1, 1)


def test_logits_choose_among_what_the_data_answer_and_not_the_story_alone() -> None:
    """The story always says 7; so does the model where its own best token is kept out, and nowhere else."""
    model, data = tiny_transformer(), token_rows()
    always = claim(story_of(answer=lambda first: 7), model=model, data=data, metric="accuracy(label)",
                   expect=recovers(0.5))({"first": embed("END"), "answer": logits("END")})  # fmt: skip
    tokens = sorted({7, *(row.columns["label"] for row in data.rows)})
    best = PatchedTransformer(resolved(always), model).outputs(np.arange(12))[:, tokens].argmax(1)
    assert len(set(best.tolist())) > 1
    wanted = float(np.mean([tokens[i] == 7 for i in best]))
    assert wanted < 1
    assert scrub.interchange(always).agreeing == pytest.approx(wanted)


def searching(found: Any = lambda a, k, v: v if a == k else -1, **options: Any) -> Hypothesis:
    """out is v where a is k, as on every row; the story gives None where it is not."""
    return claim_of(
        graph(k2=lambda k: k, out=lambda a, k2, v: found(a, k2, v)),
        {"label2": lambda k: k, "answer": lambda a, label2, v: v if a == label2 else None},
        {"a": "a", "label2": nodes("k2"), "v": "v", "answer": nodes("out").reads(a="a", k2="label2", v="v")},
        rows_of({"a": i % 3, "k": i % 3, "v": i // 6, "label": i // 6} for i in range(24)),
        metric=Metric(lambda output, row: float(output == row.columns["label"]), better="higher"), **options,
    )  # fmt: skip


def test_where_the_story_has_no_answer_of_the_data_the_model_may_leave_its_own() -> None:
    """None is no number, so that no output is the story's answer; -1, which the model gives, is none of its own."""
    found = shares(searching())
    assert (found["label2"]["value"], found["label2"]["unsaid"]) == (None, 1)
    departed = found["label2"]["departed"]
    assert (departed["value"], departed["rows"], departed["chance"]) == (1, 24, None)
    assert (
        found["label2"]["reason"]
        == "wherever it is set, the story gives None, which no output of the model can equal."
    )
    assert (found["v"]["value"], found["v"]["departed"]["rows"], found["v"]["reason"]) == (1, 0, "")
    unused = shares(searching(lambda a, k, v: v))["label2"]
    assert unused["departed"]["value"] == 0  # carried and not used: nothing leaves
    shown = str(scrub.interchange(searching()))
    assert "label2 has no score: wherever it is set, the story gives None" in shown
    assert "1.00 [" in next(line for line in shown.splitlines() if line.startswith("    label2"))


def test_why_there_is_no_score() -> None:
    assert shares(chained(within="x"))["left"]["reason"] == (
        "no donor differs from any row in it within 'x': add rows that do, or leave within= out."
    )
    said = "wherever it is set to a value that differs, the story gives the row's own answer."
    assert shares(carried())["used"]["reason"] == said
    some = shares(carried(), rows=1)["used"]
    assert (some["value"], some["reason"]) == (None, f"{said} 1 of 24 rows were asked: ask more, --rows 10.")


def test_what_is_read_besides_has_no_score_of_its_own() -> None:
    """A query whose directions hold a variable is a variable that the story computes without."""
    whole = claim_of(
        BOTH, {"used": lambda x: x, "answer": lambda used: 10 * used},
        {"used": "h1", "answer": nodes("out").reads(h1="used")},
        rows_of({"x": i % 4, "label": 10 * (i % 4)} for i in range(24)), metric=ERROR,
    )  # fmt: skip
    reading = nodes("out").reads(h1="used", h2="held")
    split = also(whole, held="x", answer="held").but(held=nodes("h2"), answer=reading)
    assert shares(split)["held"]["reason"] == "the story computes answer without it, so that it changes no answer."


def test_an_answer_of_rows_that_are_not_scored_is_an_answer() -> None:
    """In rows where a third person acts the story says `them`, which the metric's column never holds."""
    (names,) = collect([f"{GALLERY / 'names.py'}::names"]).hypotheses
    found = shares(names, rows=12, draws=2)
    assert {e["unsaid"] for e in found.values()} == {0}
    assert found["s1"]["value"] > 0.9


def test_donors_are_uniform_among_those_that_differ_within_the_stratum() -> None:
    made = resolved(chained(within="odd"))
    x = np.array([row.columns["x"] for row in made.data.rows])
    calls = Calls(np.repeat(np.arange(18), 300), np.tile(np.arange(300), 18))
    drawn = donors(made, "right", calls, 0)
    y = np.array([row.columns["y"] for row in made.data.rows])
    assert (y[drawn] != y[calls.reference]).all()
    assert (x[drawn] % 2 == x[calls.reference] % 2).all()
    for row in range(18):
        there = np.flatnonzero((x % 2 == x[row] % 2) & (y != y[row]))
        count = np.bincount(drawn[calls.reference == row], minlength=18)
        assert set(np.flatnonzero(count)) == set(there)
        assert np.abs(count[there] / 300 - 1 / len(there)).max() < 0.12
    assert (donors(resolved(chained(within="x")), "left", calls, 0) == -1).all()  # all of a stratum agree


def test_a_patched_embedding_is_another_token() -> None:
    model, data = tiny_transformer(), token_rows()
    made = resolved(claim(story_of(answer=lambda label: label), model=model, data=data, metric="accuracy(label)",
                          expect=recovers(0.5))({"label": embed("END"), "answer": logits("END")}))  # fmt: skip
    patched, rows = PatchedTransformer(made, model), np.arange(12)
    given = np.roll(rows, 3)
    found = patched.outputs(rows, [Patch((embed("END"),), given)])
    tokens = torch.tensor([row.tokens for row in data.rows])
    tokens[:, -1] = tokens[given, -1]
    with torch.no_grad():
        by_hand = unembed(model, trace(model, tokens, torch.full((12,), 5))[:, -1])
    assert torch.allclose(found, by_hand, atol=1e-5)
    own = torch.tensor([row.tokens for row in data.rows])
    with torch.no_grad():
        plain = unembed(model, trace(model, own, torch.full((12,), 5))[:, -1])
    assert torch.allclose(patched.outputs(rows), plain, atol=1e-5)
    assert not torch.allclose(found, plain, atol=1e-2)


def test_a_stream_that_is_patched_everywhere_is_the_donors_run() -> None:
    model, data = tiny_transformer(), token_rows()
    made = resolved(claim(story_of(mid=lambda label: label, answer=lambda mid: mid), model=model, data=data,
                          metric="accuracy(label)", expect=recovers(0.5))
                    ({"mid": resid(1, at="all"), "answer": logits("END")}))  # fmt: skip
    patched, rows = PatchedTransformer(made, model), np.arange(12)
    given = rows[::-1].copy()
    assert torch.allclose(
        patched.outputs(rows, [Patch((resid(1, at="all"),), given)]), patched.outputs(given), atol=1e-5
    )


@pytest.mark.parametrize("name", ["compose", "induction"])
def test_compiled_and_trained_circuits_of_the_zoo_do_what_their_story_says(name: str) -> None:
    (hypothesis,) = collect([f"{GALLERY / name}.py::{name}"]).hypotheses
    found = shares(hypothesis, rows=24, draws=2)
    last = {"compose": "lookup", "induction": "found"}[name]
    for variable in (last, JOINT):
        assert found[variable]["low"] > 0.9
        assert found[variable]["chance"] < 0.5


def test_a_wrong_head_does_not_carry_what_the_story_says() -> None:
    (hypothesis,) = collect([f"{GALLERY / 'brackets'}.py::wrong_head"]).hypotheses
    assert shares(hypothesis, rows=24, draws=2)["decision"]["value"] < 0.3


def test_results_do_not_depend_on_the_order_of_rows() -> None:
    rows = [row.columns for row in chained().data.rows]
    back = chained().but(data=rows_of(reversed(rows)))
    assert shares(chained(), seed=3) == shares(back, seed=3)


def test_it_says_what_it_lacks() -> None:
    data = Dataset.from_rows({"tokens": [1, 2, i % 3], "positions": {"END": -1}, "columns": {"x": i % 3}}
                             for i in range(12))  # fmt: skip
    silent = claim(story_of(answer=lambda x: ("no token", x)), model=tiny_transformer(), data=data,
                   metric=Metric(lambda o, row: o[0]), expect=recovers(0.5))  # fmt: skip
    with pytest.raises(ClaimError, match="add predicts="):
        scrub.interchange(silent({"x": embed("END"), "answer": logits("END")}).but(predicts="x"))
    with pytest.raises(ClaimError, match="at least one draw"):
        scrub.interchange(chained(), draws=0)


def test_how_it_reads() -> None:
    shown = str(scrub.interchange(carried()))
    assert "0.00 [0.00, 0.00]" in shown
    assert "24 rows x 5 donors, seed 0; model and story agree on 100.0% of the rows as they are" in shown
    assert scrub.interchange(carried())._repr_html_().startswith("<pre")
    assert list(scrub.interchange(carried()).frame()["variable"]) == ["unused", "used", JOINT]


@pytest.mark.parametrize("exact", [True, False])
def test_an_expectation_may_ask_for_interchange(exact: bool) -> None:
    """A feature that is carried and not used: every swap is survived, and no interchange moves the model."""
    plain = scrub.test(carried(expect=recovers(0.5)), exact=exact, parts="none")
    asked = scrub.test(carried(expect=recovers(0.5, interchange=0.9)), exact=exact, parts="none")
    assert (plain.verdict, plain.interchange, plain.to_dict()["interchange"]) == ("supported", (), [])
    assert asked.verdict == "refuted"
    assert asked.reason.startswith("unused set to what it is on other rows does not move the model as the story says")
    known = shares(carried())
    assert {part.variable: part.share.value for part in asked.interchange} == {
        name: known[name]["value"] for name in ("unused", "used")
    }
    assert asked.to_dict()["interchange"][0] == {"variable": "unused", "value": 0, "low": 0, "high": 0}
    assert "interchange  the model answers as the story does: unused 0.00 [0.00, 0.00]" in str(asked)


def test_interchange_that_is_asked_is_judged_by_its_interval() -> None:
    """h moves the model on four rows of five."""
    made = claim_of(
        graph(h=lambda x: x, out=lambda h, z: h if z else 1), {"a": lambda x: x, "answer": lambda a: a},
        {"a": "h", "answer": nodes("out").reads(h="a")},
        rows_of({"x": i % 3, "z": i % 5, "label": i % 3} for i in range(60)), metric=ERROR,
    )  # fmt: skip

    def asked(least: float) -> Any:
        return scrub.test(made.but(expect=recovers(0.5, interchange=least)), exact=True)

    share = asked(0.9).interchange[0].share
    assert 0.8 < share.value < 0.95
    assert asked(share.low - 0.01).verdict == "supported"
    assert asked(share.value).verdict == "inconclusive"
    assert asked(share.high + 0.01).verdict == "refuted"


def test_interchange_that_cannot_be_run_or_has_no_score_supports_nothing() -> None:
    words = claim_of(graph(out=lambda x: x), {"answer": lambda x: "ab"[x]}, {"x": "x", "answer": "out"},
                     rows_of({"x": i % 2, "label": i % 2} for i in range(20)),
                     metric=ERROR, expect=recovers(0.5, interchange=0.9))  # fmt: skip
    result = scrub.test(words, exact=True)
    assert (result.verdict, result.interchange) == ("inconclusive", ())
    same = claim_of(graph(h=lambda x: x, out=lambda h: h), {"one": lambda x: 1, "answer": lambda one, x: x},
                    {"one": nodes("h"), "answer": "out"}, rows_of({"x": i % 2, "label": i % 2} for i in range(20)),
                    metric=ERROR, rest="keep", expect=recovers(0.001, interchange=0.9))  # fmt: skip
    result = scrub.test(same, exact=True)
    assert result.interchange[0].note == "no donor differs from any row in it: add rows that do."


def test_what_is_asked_is_part_of_the_digest_and_of_the_plan() -> None:
    plain, asked, more = (
        resolved(carried(expect=e)).digest
        for e in (recovers(0.5), recovers(0.5, interchange=0.9), recovers(0.5, True, 0.9))
    )
    assert len({plain, asked, more}) == 3
    assert str(recovers(0.5, interchange=0.9)) == "recovers(0.5, interchange=0.9)"
    verbs = {verb.name: verb for verb in scrub.plan(carried(expect=recovers(0.5, interchange=0.9))).verbs}
    counted = {p.name: p.calls for p in verbs["test"].passes}
    assert counted["interchanged"] == {p.name: p.calls for p in verbs["interchange"].passes}["interchanged"]


def test_wrong_shares_are_told_together_with_the_nearest() -> None:
    with pytest.raises(ClaimError) as told:
        recovers(80, interchange=90)
    assert "recovers(80): say a share above 0 and up to 1, such as recovers(0.8)." in str(told.value)
    assert "recovers(interchange=90): say a share above 0 and up to 1, such as interchange=0.9." in str(told.value)
    with pytest.raises(ClaimError, match=r"interchange='x'\): say a share"):
        recovers(0.5, interchange="x")  # type: ignore
    with pytest.raises(ClaimError, match=r"interchange=True\)"):
        recovers(0.5, interchange=True)
