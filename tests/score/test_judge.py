"""From samples to a result: what is recovered, what is undefined, the bar, and what a result records."""

from __future__ import annotations

import platform
from fractions import Fraction
from importlib.metadata import version

import numpy as np
import pytest
import torch

import scrub
from score.cases import (
    ERROR,
    VALUE,
    bench_of,
    claim_of,
    graph,
    rows_of,
    sum_claim,
    sum_rows,
    tiny_transformer,
    token_claim,
    token_rows,
)
from scrub import Hypothesis, Metric, nodes, recovers
from scrub.score.design import METHODS, SAMPLE
from scrub.score.judge import conclude
from scrub.score.result import ratio
from scrub.score.sample import sample
from scrub.score.statistics import interval
from scrub.score.trial import Trial


def test_recovered_of_a_claim_by_hand() -> None:
    """All of x, none of y: E|y - y'| = 5/4 against E|10 (x - x') + y - y'|."""
    result = scrub.test(sum_claim(), exact=True)
    pairs = [(x, y) for x in range(3) for y in range(4)]
    random = np.mean([abs(10 * (a - c) + b - d) for a, b in pairs for c, d in pairs])
    assert (result.metric.model, result.metric.scrubbed) == (0, pytest.approx(1.25))
    assert result.metric.random == pytest.approx(random)
    assert result.recovered.value == pytest.approx(1 - 1.25 / random)
    assert result.draws is None


def test_the_interval_is_over_rows_that_were_averaged_over_draws() -> None:
    bench = bench_of(sum_claim())
    samples = sample(bench, np.arange(12), 6, seed=2)
    result = conclude(bench, samples, Trial("name", 6, 2), {})
    table = np.stack([samples.scrubbed.mean(1), samples.random.mean(1), samples.model], axis=1)
    assert result.recovered == interval(table, ratio, 2)
    assert result.recovered.value == pytest.approx(
        (samples.random.mean() - samples.scrubbed.mean()) / (samples.random.mean() - samples.model.mean())
    )


def test_the_bar_is_the_higher_of_expectation_and_constant() -> None:
    high, low = (
        scrub.test(sum_claim(expect=recovers(0.99)), exact=True),
        scrub.test(sum_claim(expect=recovers(0.05)), exact=True),
    )
    assert high.constant == low.constant
    assert low.constant is not None
    assert 0.05 < low.constant < 0.99
    assert (high.bar, low.bar) == (0.99, low.constant)
    assert high.verdict == "refuted"
    assert low.verdict == "supported"
    assert "the best constant answer" in low.reason


def test_the_constant_is_on_the_scale_of_recovered() -> None:
    """The best answer in the middle errs by 8.5 or so: (random - that) / (random - model)."""
    result = scrub.test(sum_claim(), exact=True)
    labels = [10 * x + y for x in range(3) for y in range(4)]
    best = min(np.mean([abs(c - label) for label in labels]) for c in [*labels, np.mean(labels)])
    assert result.constant == pytest.approx((result.metric.random - best) / result.metric.random)


def label_free(better: str) -> Hypothesis:
    """The model does not depend on anything that the label does: no better than a random row."""
    rng = np.random.default_rng(0)
    data = rows_of({"x": int(x), "y": int(y), "label": int(z)} for x, y, z in rng.integers(0, 9, (40, 3)))
    return sum_claim(data, metric=Metric(ERROR.function, better=better, name="error"))


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_undefined_when_the_gap_contains_zero(better: str) -> None:
    result = scrub.test(label_free(better), draws=5)
    assert result.verdict == "undefined"
    assert "nothing to recover: the model does not do clearly better than a random answer" in result.reason
    assert result.recovered.to_dict() == {"value": None, "low": None, "high": None, "level": 0.95}
    assert result.constant is None
    assert result.bar == 0.8
    assert not result.passed


def test_undefined_when_the_model_is_the_worse_one() -> None:
    """More error taken for better: the model, which makes none, is clearly worse than a random row."""
    worse = Metric(ERROR.function, better="higher", name="error")
    result = scrub.test(sum_claim(metric=worse), draws=20)
    assert result.verdict == "undefined"
    assert "the model does worse than a random answer" in result.reason
    assert result.recovered.value is None


def test_undefined_when_the_metric_ignores_what_is_swapped() -> None:
    """A metric that never varies: L_random = L_model exactly, and a false claim would pass."""
    result = scrub.test(sum_claim(metric=Metric(lambda output, row: 1.0, better="lower")))
    assert result.verdict == "undefined"
    assert result.unexplained.explained is None
    assert (result.unexplained.aue, result.unexplained.ate) == (0, 0)


def test_undefined_with_fewer_than_thirty_rows() -> None:
    data = rows_of(row.columns for _ in range(3) for row in sum_rows().rows)
    result = scrub.test(sum_claim(data), rows=29)
    assert (result.verdict, result.rows) == ("undefined", 29)
    assert result.reason.startswith("29 reference rows are too few: a verdict takes at least 30")
    assert result.reason.endswith("Give the claim 1 more to score.")
    assert (result.recovered.value, result.recovered.needs) == (None, 30)
    assert scrub.test(sum_claim(data), rows=30).verdict != "undefined"


def test_right_on_all_of_sixty_rows_may_still_be_wrong_on_one_of_twenty() -> None:
    data = rows_of({"x": i % 2, "y": i, "label": i % 2} for i in range(60))
    right = Metric(lambda output, row: float(output == row.columns["label"]), name="right")
    claim = claim_of(graph(out=lambda x: x), {"answer": lambda x: x}, {"x": "x", "answer": "out"}, data, metric=right)
    result = scrub.test(claim, draws=1)
    assert result.verdict == "supported"
    assert result.recovered.low == pytest.approx(0.87, abs=0.03)  # of half a gap: random is right on every other row


def test_a_foil_passes_only_when_refuted() -> None:
    sound, broken = sum_claim(expect=recovers(0.5)), sum_claim(expect=recovers(0.99))
    assert scrub.test(sound).passed
    assert not scrub.test(sound.foil("it is right")).passed
    assert not scrub.test(broken).passed
    assert scrub.test(broken.foil("y matters too")).passed
    undefined = label_free("lower").foil("nothing is there")
    assert not scrub.test(undefined, draws=3).passed


def test_keeping_everything_recovers_one_and_says_that_it_keeps_everything() -> None:
    data = rows_of({"x": x, "y": y, "label": 0.1 * x + 0.3 * y} for x in range(3) for y in range(4))
    model = graph(out=lambda x, y: 0.1 * x + 0.3 * y)
    answer = {"answer": lambda x, y: Fraction(x + 3 * y, 10)}
    claim = claim_of(model, answer, {"x": "x", "answer": nodes("out").reads(x="x")}, data,
                     metric=VALUE.__class__(lambda o, row: -abs(o - row.columns["label"])), rest="keep",
                     expect=recovers(1.0))  # fmt: skip
    result = scrub.test(claim)
    assert result.verdict == "supported"
    assert result.recovered.value == pytest.approx(1)
    assert result.bits.kept == result.bits.everything == pytest.approx(np.log2(12))


def test_what_a_result_records() -> None:
    claim = sum_claim(within="y", scored="big", data=big_rows())
    result = scrub.test(claim, draws=3, seed=11)
    assert (result.rows, result.draws, result.seed) == (24, 3, 11)
    assert result.options == {"predicts": "label", "within": "y", "scored": "big"}
    assert result.expect == 0.8
    assert result.metric.name == "error"
    assert result.digest == scrub.test(claim, draws=1, rows=10).digest
    found = result.provenance
    assert found["data"] == big_rows().digest
    assert found["pool"] == 36
    assert found["model"]["name"] == "computation graph"
    assert len(found["model"]["revision"]) == 32  # of what its nodes give on the data
    assert found["interval"] == METHODS[SAMPLE]
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["numpy"] == version("numpy")
    assert set(found["versions"]) >= {"torch", "transformers", "transformer-lens", "networkx"}


def big_rows() -> scrub.Dataset:
    return rows_of(row.columns | {"n": n, "big": row.columns["x"] > 0} for n in range(3) for row in sum_rows().rows)


def test_the_storys_own_accuracy_is_over_the_scored_rows() -> None:
    data = rows_of(row.columns | {"flat": row.columns["y"] < 2} for row in sum_rows().rows)
    assert scrub.test(sum_claim(data), exact=True).accuracy == pytest.approx(3 / 12)  # right where y is 0
    assert scrub.test(sum_claim(data, scored="flat"), rows=4).accuracy == pytest.approx(3 / 6)


def test_the_model_of_a_result_has_its_dtype_and_device() -> None:
    claim = token_claim(tiny_transformer(), token_rows(), metric="kl")
    result = scrub.test(claim, draws=1, dtype="float64", explain=False)
    assert result.provenance["model"]["dtype"] == str(torch.float64).removeprefix("torch.")
    assert result.provenance["model"]["device"] == "cpu"
    assert result.provenance["model"]["name"] == "random"


def test_better_than_the_model() -> None:
    """The model errs where y is 3, the label is x alone: swaps of y take the errors away from some rows."""
    data = rows_of(
        {"x": x, "y": y, "label": x, "scored": y == 3} for x in range(3) for y in range(4) for _ in range(4)
    )
    model = graph(out=lambda x, y: x + (0.5 if y == 3 else 0))
    claim = claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")}, data,
                     metric=ERROR, scored="scored")  # fmt: skip
    result = scrub.test(claim, draws=50)
    assert result.better_than_model
    assert result.to_dict()["diagnostics"]["better_than_model"] is True
    assert not scrub.test(sum_claim(rest="keep"), draws=3).better_than_model  # 1, but for rounding
