"""The story speaks: a claim is true only where what its story answers is what the model answers."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import (
    ERROR,
    both,
    claim_of,
    graph,
    rows_of,
    story_of,
    sum_claim,
    tiny_transformer,
    token_claim,
    token_rows,
    transformer_bench,
)
from scrub import Dataset, Interpretation, Metric, claim, embed, logits, nodes, recovers
from scrub.claims.collect import collect
from scrub.score.story import story_score
from scrub.zoo import compiled_compose_rows

GALLERY = Path(__file__).parents[2] / "hypotheses"
BITS = rows_of({"x": i % 2, "label": i % 2} for i in range(20))
COPY = graph(out=lambda x: x)
RIGHT = Metric(lambda output, row: float(output == row.columns["label"]), name="right")


def copied(answer: Any, model: Any = COPY, data: Dataset = BITS, **options: Any) -> Any:
    """y = x, whatever the story answers."""
    return claim_of(model, {"answer": answer}, {"x": "x", "answer": "out"}, data, metric=RIGHT, **options)


@pytest.mark.parametrize(
    ("answer", "share"),
    [(lambda x: x, 1.0), (lambda x: 1 - x, -1.0), (lambda x: 1, 0.0)],
    ids=["true", "reversed", "constant"],
)
def test_a_story_on_numbers(answer: Any, share: float) -> None:
    """mse against the model on a random row: a half where the model is x, where the story says 1 always too."""
    result = scrub.test(copied(answer), exact=True)
    assert (result.recovered.value, result.story.share.value) == (1, share)
    assert result.story.numbers
    assert result.verdict == ("supported" if share == 1 else "refuted")
    if share < 1:
        assert result.reason.startswith("the story does not say what the model does")
    assert result.to_dict()["story"] == {
        "value": share, "low": result.story.share.low, "high": result.story.share.high, "numbers": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "right"),
    [(lambda x: "ab"[x], 1.0), (lambda x: "ba"[x], 0.0), (lambda x: "a", 0.5), (lambda x: "c", 0.0)],
    ids=["true", "reversed", "constant", "foreign"],
)
@pytest.mark.parametrize("tuples", [False, True])
def test_a_story_on_anything_else_is_a_share_of_rows(answer: Any, right: float, tuples: bool) -> None:
    def wrapped(value: Any) -> Any:
        return (value, 1) if tuples else value

    data = rows_of({"x": i % 2, "label": wrapped("ab"[i % 2])} for i in range(20))
    model = graph(out=lambda x: wrapped("ab"[x]))
    result = scrub.test(copied(lambda x: wrapped(answer(x)), model, data), exact=True)
    assert (result.recovered.value, result.story.share.value) == (1, right)
    assert not result.story.numbers
    assert result.verdict == ("supported" if right == 1 else "refuted")


def test_an_interval_that_contains_the_expectation_is_inconclusive() -> None:
    """Right on 32 of 40 rows, of which 0.8 is expected."""
    data = rows_of({"x": f"{i % 2}", "odd": i < 8, "label": f"{i % 2}"} for i in range(40))
    model = graph(out=lambda x: x)
    told = claim_of(
        model, {"answer": lambda x, odd: "no" if odd else x}, {"x": "x", "answer": "out"}, data, metric=RIGHT
    )
    result = scrub.test(told, exact=True)
    assert result.story.share.value == 0.8
    assert (result.verdict, result.recovered.value) == ("inconclusive", 1)
    assert "the story does not say what the model does" in result.reason
    assert scrub.test(told.but(expect=recovers(0.5)), exact=True).verdict == "supported"
    assert scrub.test(told.but(expect=recovers(0.99)), exact=True).verdict == "refuted"


def test_a_number_that_is_rounded_says_what_the_model_gives_in_its_bins() -> None:
    story = Interpretation()

    @story.variable(round=0.5)
    def answer(x: float) -> float:
        return x / 4

    data = rows_of({"x": x, "label": x / 4} for x in range(12))
    made = claim(story, model=graph(out=lambda x: x / 4), data=data, metric=ERROR, predicts="label",
                 expect=recovers(0.9))({"x": nodes("x"), "answer": nodes("out")})  # fmt: skip
    assert scrub.test(made, exact=True).story.share.value == 1


def test_what_cannot_be_compared_is_not_supported() -> None:
    """A story of words about a model of numbers: whether it is right nobody knows."""
    result = scrub.test(copied(lambda x: "ab"[x]), exact=True)
    assert (result.verdict, result.story.share.value) == ("inconclusive", None)
    assert "gives 0, a number, and the story answers 'a', a text: these are never equal" in result.reason
    assert result.to_dict()["story"]["note"] in result.reason


def test_a_refuted_claim_keeps_its_reason() -> None:
    result = scrub.test(sum_claim(expect=recovers(0.999)), exact=True)
    assert result.verdict == "refuted"
    assert "story" not in result.reason


def test_the_random_row_is_one_that_a_rest_may_be() -> None:
    """Rests come from rows with x = 2: the story 10 x errs against these."""
    data = rows_of({"x": x, "y": y, "label": 10 * x + y, "two": x == 2} for x, y in product(range(3), range(4)))
    found = scrub.test(both().but(data=data, rest_rows="two", expect=recovers(0.5)), exact=True).story.share
    assert found.value == 1
    only_x = scrub.test(sum_claim(data, rest_rows="two"), exact=True).story.share
    errors = [[(10 * x - 20 - other) ** 2 for other in range(4)] for x in range(3) for _ in range(4)]
    assert only_x.value == pytest.approx(1 - np.mean([0, 1, 4, 9]) / np.mean(errors))


def test_a_transformer_whose_story_always_says_one_token_is_refuted() -> None:
    """The circuit is right and every swap is survived: what its last step says is not what the model says."""
    (compose,) = collect([f"{GALLERY / 'compose.py'}::compose"]).hypotheses
    data = Dataset.from_rows(compiled_compose_rows(60, seed=1))
    story, said = Interpretation(), data.rows[0].columns["value"]
    for name in ("wanted", "label", "lookup"):
        story.variable(compose.story.variables[name].function)
    always = evolve(compose, story=story, data=data)

    @story.variable
    def answer(lookup: Any) -> Any:
        return said

    false, true = scrub.test(always, draws=2, explain=False), scrub.test(compose.but(data=data), draws=2)
    assert false.recovered.value == pytest.approx(1, abs=1e-3)
    assert (false.verdict, true.verdict) == ("refuted", "supported")
    share = np.mean([row.columns["value"] == said for row in data.rows])
    assert (false.story.share.value, true.story.share.value) == (pytest.approx(share), 1)
    assert false.reason.startswith("the story does not say what the model does")


@pytest.mark.parametrize("metric", ["loss(first)", "logit_diff(several, first)", "logit_diff(first, second)"])
def test_candidates_are_those_of_the_row_or_of_all_data_by_hand(metric: str) -> None:
    """Of two columns, the best of what they have on the row, tokens taken together; of one, of what all rows have."""
    model, data = tiny_transformer(), token_rows(14)
    made = token_claim(model, data, metric=metric)
    made = evolve(made, story=story_of(answer=lambda first: first)).but(first=embed("END"))
    bench = transformer_bench(evolve(made, build=lambda: {"answer": logits("END")}))
    columns = metric.partition("(")[2].rstrip(")").split(", ")
    right: list[bool] = []
    for row, scores in zip(data.rows, bench.measured.answers(np.arange(14)).double().tolist(), strict=True):
        rows = [row] if len(columns) > 1 else data.rows
        among = {r.columns[name] for r in rows for name in columns}
        likely = {c: np.logaddexp.reduce([scores[t] for t in (c if isinstance(c, tuple) else (c,))]) for c in among}
        right.append(max(likely, key=lambda c: likely[c]) == row.columns["first"])
    assert sum(right) < 14
    assert story_score(bench, np.arange(14), None, 0).share.value == pytest.approx(np.mean(right))


def test_what_breaks_a_claim_is_not_looked_for_in_its_swaps_where_its_story_is_wrong() -> None:
    told, broken = scrub.test(copied(lambda x: 1 - x)), scrub.test(sum_claim(expect=recovers(0.999)))
    assert (told.verdict, told.explanation, told.effects) == ("refuted", (), ())
    assert (broken.verdict, bool(broken.explanation)) == ("refuted", True)


def test_the_plan_counts_what_reading_the_answers_costs() -> None:
    (compose,) = collect([f"{GALLERY / 'compose.py'}::compose"]).hypotheses
    verbs = {verb.name: {p.name: p for p in verb.passes} for verb in scrub.plan(compose, draws=2).verbs}
    found = verbs["test"]["the model's own answers"]
    assert found.calls == 300
    assert 0 < (found.forwards or 0) == (verbs["test"]["random rows"].forwards or 0) / 2
