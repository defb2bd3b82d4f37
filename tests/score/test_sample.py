"""Samples: L_random for every kind of rest, distances inside both means, exact means against draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scrub
from score.cases import (
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
    transformer_bench,
)
from scrub import nodes
from scrub.claims.collect import collect
from scrub.engine.draw import all_swaps
from scrub.engine.number import Numbering
from scrub.errors import ClaimError, MetricError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.score import sample as sampling
from scrub.score.sample import Resampling, chunks, enumerate_exactly, resample_each, resample_only, sample
from scrub.verbs.setup import bench_of as opened

GALLERY = Path(__file__).parents[2] / "hypotheses"
ALL = np.arange(12)


def random_by_hand(data: Any, rest: dict[int, list[Any]], of: Any = lambda x, y: 10 * x + y) -> list[float]:
    """For each row the mean error of the answers of its rest rows, given as (x, y)."""
    return [
        float(np.mean([abs(of(*drawn) - row.columns["label"]) for drawn in rest[i]]))
        for i, row in enumerate(data.rows)
    ]


PAIRS = [(x, y) for x in range(3) for y in range(4)]


@pytest.mark.parametrize(
    ("options", "rest"),
    [
        ({}, dict.fromkeys(range(12), PAIRS)),
        ({"rest": "keep"}, dict.fromkeys(range(12), PAIRS)),  # r would be x: drawn as under resample
        ({"rest_scope": "input"}, dict.fromkeys(range(12), PAIRS)),  # no row at all: likewise
        ({"rest_scope": "draw"}, dict.fromkeys(range(12), PAIRS)),
        ({"rest_rows": "free"}, dict.fromkeys(range(12), tuple((x, 0) for x in range(3)))),
        ({"within": "y"}, {i: [(x, y) for x in range(3)] for i, (_, y) in enumerate(PAIRS)}),
        ({"rest": "paired", "pair": "mate"}, {i: [PAIRS[11 - i]] for i in range(12)}),
        ({"rest": "mean"}, dict.fromkeys(range(12), ((1, 1.5),))),
        ({"rest": "mean", "within": "y"}, {i: [(1, y)] for i, (_, y) in enumerate(PAIRS)}),
        ({"rest": "zero"}, dict.fromkeys(range(12), ((0, 0),))),
    ],
)
def test_random_reads_whole_the_row_that_is_drawn_as_the_roots_rest(options: Any, rest: Any) -> None:
    data = rows_of(
        row.columns | {"free": row.columns["y"] == 0, "mate": 11 - i} for i, row in enumerate(sum_rows().rows)
    )
    bench = bench_of(sum_claim(data, **options))
    by_hand = random_by_hand(data, rest)
    exact = enumerate_exactly(bench, ALL, seed=0)
    assert exact.random[:, 0].tolist() == pytest.approx(by_hand)
    drawn = sample(bench, ALL, 300, seed=0)
    assert drawn.random.mean(1).tolist() == pytest.approx(by_hand, abs=2.5)
    assert drawn.random.mean() == pytest.approx(np.mean(by_hand), abs=0.5)


def test_model_and_scrubbed_by_hand() -> None:
    """x is right, y is any of four: |y - y'| on average."""
    bench = bench_of(sum_claim())
    exact = enumerate_exactly(bench, ALL, seed=0)
    by_hand = [np.mean([abs(y - other) for other in range(4)]) for _, y in PAIRS]
    assert exact.model.tolist() == [0] * 12
    assert exact.scrubbed[:, 0].tolist() == pytest.approx(by_hand)
    drawn = sample(bench, ALL, 500, seed=0)
    assert drawn.scrubbed.mean(1).tolist() == pytest.approx(by_hand, abs=0.2)
    assert drawn.columns.shape == (12, 5)
    assert drawn.columns[:, 0].tolist() == drawn.scrubbed.mean(1).tolist()
    assert drawn.columns[:, 1].tolist() == drawn.random.mean(1).tolist()
    assert drawn.columns[:, 2].tolist() == drawn.model.tolist()


def test_errors_that_cancel_do_not_vanish_from_the_distance() -> None:
    """The answer is off by +12, by -12 or not at all: in the mean over z nothing is lost."""
    data = rows_of({"x": x, "z": z, "label": 0} for x in range(1, 7) for z in (-1, 1))
    model = graph(out=lambda x, z: 10 * x + 6 * z)
    claim = claim_of(
        model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")}, data, metric=VALUE
    )
    exact = scrub.test(claim, exact=True)
    assert exact.metric.scrubbed == pytest.approx(exact.metric.model)  # in the mean nothing is lost
    assert exact.unexplained.aue == pytest.approx(6)  # half of the draws are off by 12
    by_hand = np.mean(
        [abs(10 * (a - b) + 6 * (u - v)) for a in range(1, 7) for b in range(1, 7) for u in (-1, 1) for v in (-1, 1)]
    )
    assert exact.unexplained.ate == pytest.approx(by_hand)
    assert exact.unexplained.explained == pytest.approx(1 - 6 / by_hand)
    drawn = scrub.test(claim, draws=400, explain=False)
    assert drawn.unexplained.aue == pytest.approx(6, rel=0.05)


def test_the_absolute_value_is_inside_the_mean_over_draws_too() -> None:
    """One row, whose draws are off by +12 or by -12 alike."""
    bench = bench_of(claim_of(
        graph(out=lambda x, z: x + 12 * z), {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")},
        rows_of({"x": 0, "z": z, "label": 0} for z in (-1, 0, 1)), metric=VALUE,
    ))  # fmt: skip
    drawn = sample(bench, np.array([1]), 300, seed=0)
    assert abs(drawn.scrubbed.mean()) < 1.5
    assert drawn.scrubbed_distance.mean() == pytest.approx(8, abs=1)


def test_draws_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(sum_claim())
    whole = sample(bench, ALL, 7, seed=4)
    monkeypatch.setattr(sampling, "CALLS_AT_ONCE", 5)
    heard: list[int] = []
    parts = sample(bench, ALL, 7, 4, heard.append)
    assert np.array_equal(whole.scrubbed, parts.scrubbed)
    assert np.array_equal(whole.random, parts.random)
    assert (whole.swaps, whole.own_rest) == (parts.swaps, parts.own_rest)
    assert sum(heard) == 84
    assert max(heard) == 5


def test_chunks_hold_every_pair_once() -> None:
    made = chunks(np.array([3, 1]), 3, 4)
    pairs = [(int(r), int(d)) for c in made for r, d in zip(c.reference, c.draw, strict=True)]
    assert pairs == [(3, 0), (3, 1), (3, 2), (1, 0), (1, 1), (1, 2)]
    assert list(map(len, made)) == [4, 2]


def test_with_no_swap_made_the_model_answers() -> None:
    bench = bench_of(sum_claim())
    assert resample_only(bench, Resampling(ALL, 3, 0), set()).tolist() == [[0.0] * 3] * 12
    every = resample_only(bench, Resampling(ALL, 3, 0), set(all_swaps(bench.tree, bench.claim)))
    assert np.array_equal(every, sample(bench, ALL, 3, 0).scrubbed)


def test_sets_of_swaps_that_are_made_share_what_is_equal_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but each swap of a claim with two layers of heads: most of what is computed is that of another set."""
    [hypothesis] = collect([f"{GALLERY / 'names.py'}::names"]).hypotheses
    claim, source = sound(hypothesis)
    bench = opened(claim, source, open_weights(source, Backend(), claim.data))
    every = set(all_swaps(bench.tree, bench.claim))
    sets, asked = [every - {swap} for swap in sorted(every)], Resampling(np.flatnonzero(claim.scored)[:4], 3, 0)
    computed, number = list[int](), Numbering.number

    def counting(self: Numbering, drawn: Any) -> Any:
        found = number(self, drawn)
        computed.append(found.evaluated)
        return found

    monkeypatch.setattr(Numbering, "number", counting)
    apart = [resample_only(bench, asked, made) for made in sets]
    alone = sum(computed)
    computed.clear()
    assert np.array(list(resample_each(bench, asked, sets))) == pytest.approx(np.array(apart), abs=1e-5)
    assert sum(computed) < alone / 3


def test_exact_is_for_computation_graphs() -> None:
    bench = transformer_bench(token_claim(tiny_transformer(), token_rows(), metric="kl"))
    with pytest.raises(ClaimError, match="drop --exact"):
        enumerate_exactly(bench, ALL, 0)


def test_a_metric_that_is_no_number_on_a_random_row_alone() -> None:
    """The model and the scrubbed model keep x; a random row of another x has no logarithm."""
    data = rows_of({"x": x, "y": 0, "label": x} for x in range(1, 5) for _ in range(3))
    odd = scrub.Metric(lambda output, row: 0.0 if output == 10 * row.columns["x"] else np.inf, name="odd")
    with pytest.raises(MetricError, match="for a random row in rows"):
        scrub.test(sum_claim(data, metric=odd))
    with pytest.raises(MetricError, match="for some draws in rows"):
        scrub.test(sum_claim(data, metric=odd), exact=True)


def test_sampled_means_are_unbiased() -> None:
    """The mean over seeds is within 4 standard errors of the exact mean, for scrubbed and random."""
    bench = bench_of(sum_claim())
    exact = enumerate_exactly(bench, ALL, 0)
    means = np.array(
        [(s.scrubbed.mean(), s.random.mean()) for s in (sample(bench, ALL, 5, seed) for seed in range(60))]
    )
    error = means.std(0, ddof=1) / np.sqrt(60)
    assert abs(means[:, 0].mean() - exact.scrubbed.mean()) < 4 * error[0]
    assert abs(means[:, 1].mean() - exact.random.mean()) < 4 * error[1]
