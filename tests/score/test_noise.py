"""Inputs that are noise: no claim recovers more than what is left where only they are redrawn."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import scrub
from claim_cases import checked
from score.cases import claim_of, graph, resolved, rows_of, sum_claim
from scrub import Metric, nodes, recovers
from scrub.errors import ClaimError

OWN = Metric(lambda output, row: (output - row.columns["label"]) ** 2, better="lower", name="squared")
ROWS = [{"x": x, "seed": s, "z": int(x > 1)} for x, s in product((-3, -1, 1, 3), (-2, -1, 1, 2))]
NOISY = graph(y=lambda x, seed: x + seed)


def noisy(
    model: Any = NOISY, answer: Any = lambda x: x, metric: Metric = OWN, rows: Any = ROWS, **options: Any
) -> Any:
    """y = x + seed: of what a random row loses x has two thirds."""
    data = rows_of({**row, "label": resolved_output(model, row)} for row in rows)
    return claim_of(
        model, {"answer": answer}, {"x": "x", "answer": nodes("y").reads(x="x")}, data, metric=metric, **options
    )


def resolved_output(model: Any, row: dict[str, Any]) -> Any:
    from scrub.model.computation import Computation

    return Computation.of(model).run(row)["y"]


@pytest.mark.parametrize("exact", [True, False])
def test_noise_caps_what_a_claim_recovers(exact: bool) -> None:
    """Squared: random loses 2 (var x + var seed), the claim 2 var seed, which is also what redrawn noise leaves."""
    rows = ROWS if exact else ROWS * 4
    plain = scrub.test(noisy(rows=rows), exact=exact, draws=8)
    told = scrub.test(noisy(rows=rows, noise="seed"), exact=exact, draws=8)
    assert (plain.verdict, told.verdict) == ("refuted", "supported")
    close = {"abs": 1e-9} if exact else {"rel": 0.3}
    assert plain.recovered.value == pytest.approx(5 / 7.5, **close)
    assert told.recovered.value == pytest.approx(1, abs=1e-9)  # what noise does is drawn alike
    assert told.story.share.value == pytest.approx(1, **close)
    assert told.ceiling is not None
    assert told.ceiling.recovered == plain.recovered
    assert told.ceiling.metric == pytest.approx(2 * np.var([-2, -1, 1, 2]), **close)
    assert (told.metric, plain.ceiling) == (plain.metric, None)
    made = told.to_dict()
    assert (made["ceiling"]["noise"], made["options"]["noise"]) == (["seed"], ("seed",))
    assert made["ceiling"]["recovered"]["value"] == plain.recovered.value
    assert "ceiling" in str(told)
    assert "with seed redrawn the metric is" in str(told)


def test_what_recovers_less_than_noise_leaves_is_refuted() -> None:
    """x and z matter, and the claim has x's half alone: noise is no excuse for that."""
    result = scrub.test(noisy(answer=lambda x: 0, noise="seed").but(x=nodes("x"), expect=recovers(0.5)), exact=True)
    assert result.reason.startswith("the story does not say what the model does")
    model = graph(y=lambda x, seed, z: x + seed + 9 * z)
    result = scrub.test(noisy(model, rows=ROWS * 2, noise="seed"), exact=True)
    assert (result.verdict, result.story.share.value is not None) == ("refuted", True)


def test_the_story_of_words_is_what_the_model_says_most_often() -> None:
    """The model turns on one seed in eight: its own answer is the other."""
    rows = [{"x": x, "seed": seed} for x, seed in product(range(8), repeat=2)]
    model = graph(y=lambda x, seed: "ab"[x % 2] if seed else "ba"[x % 2])
    right = Metric(lambda output, row: float(output == row.columns["label"]), name="right")
    told = scrub.test(noisy(model, lambda x: "ab"[x % 2], right, rows, noise="seed"), exact=True)
    plain = scrub.test(noisy(model, lambda x: "ab"[x % 2], right, rows, expect=recovers(0.9)), exact=True)
    assert (told.story.share.value, plain.story.share.value) == (1, 0.875)
    assert told.recovered.value == pytest.approx(1)
    assert told.verdict == "supported"


def test_within_strata_noise_comes_from_the_stratum() -> None:
    """In each stratum the seed has one value: there is none to redraw, and the ceiling is the model."""
    result = scrub.test(noisy(noise="seed", within="seed"), exact=True)
    assert result.ceiling is not None
    assert result.ceiling.metric == result.metric.model == 0


def test_the_same_scale_for_everything() -> None:
    """Shuffles, the adversary and what breaks it are measured on the ceiling's scale too."""
    found = scrub.test(noisy(noise="seed", expect=recovers(0.8, any_swaps=True)), exact=True)
    assert found.adversary is not None
    explained = scrub.explain(noisy(rows=ROWS * 4, noise="seed"), draws=8)
    assert explained.recovered == scrub.test(noisy(rows=ROWS * 4, noise="seed"), draws=8).recovered.value
    assert scrub.power(noisy(noise="seed"), draws=8).options == {"noise": ("seed",), "predicts": "label"}


@pytest.mark.parametrize("exact", [True, False])
def test_parts_earn_on_the_scale_that_ends_where_noise_is_redrawn(exact: bool) -> None:
    """Without x nothing is left; two thirds of the model's own scale, all of what any claim can recover."""
    told = scrub.test(noisy(rows=ROWS * 4, noise="seed"), exact=exact, draws=8)
    assert [one.loss.value for one in told.earned] == pytest.approx([1] * 3, rel=0.15)
    shrunk = scrub.shrink(noisy(rows=ROWS * 4, noise="seed", expect=recovers(0.5)), worth=0.8, exact=exact, draws=8)
    assert not shrunk.steps  # what goes for 0.8 of recovered would go for two thirds


def test_noise_is_part_of_the_digest_only_where_it_is_given() -> None:
    plain, told = resolved(noisy()), resolved(noisy(noise="seed"))
    assert plain.digest != told.digest == resolved(noisy(noise=["seed", "seed"])).digest
    assert resolved(noisy(noise=())).digest == plain.digest


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        ("sed", ["noise='sed': 'sed' is no input of the model.", "Did you mean seed?", "The inputs are seed, x."]),
        ("y", ["noise='y': 'y' is computed, and only an input is redrawn.", "The inputs are"]),
        ("x", ["noise='x': the story reads 'x'.", "What is noise explains nothing"]),
        ("sed y x", ["'sed' is no input", "'y' is computed", "the story reads 'x'"]),
    ],
)
def test_wrong_noise_is_told_all_at_once(noise: str, says: list[str]) -> None:
    text = str(scrub.check(noisy(noise=noise)))
    for words in says:
        assert words in text


def test_noise_that_is_a_site_and_noise_of_a_transformer() -> None:
    made = claim_of(
        NOISY, {"u": lambda x: x, "answer": lambda u: u}, {"u": "seed", "answer": nodes("y").reads(seed="u")},
        rows_of({**row, "label": 0} for row in ROWS), noise="seed",
    )  # fmt: skip
    assert "noise='seed': 'seed' is the site of u." in str(scrub.check(made))
    assert "names inputs of a computation graph" in str(checked(noise="seed"))
    with pytest.raises(ClaimError, match="noise=3: write the names of inputs, noise='seed'"):
        sum_claim(noise=3)
