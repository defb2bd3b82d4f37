"""Measuring: either kind of model gives the same numbers batch by batch as output by output."""

from __future__ import annotations

import numpy as np
import pytest

from score.cases import bench_of, sum_claim, tiny_transformer, token_claim, token_rows, transformer_bench
from scrub import Metric
from scrub.errors import MetricError
from scrub.score import measure


@pytest.mark.parametrize("metric", ["loss(first)", "kl", "accuracy(several)", "logit_diff(several, second)"])
def test_batches_do_not_matter(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = transformer_bench(token_claim(tiny_transformer(), token_rows(), metric=metric))
    rows = np.arange(12)
    outputs = bench.rows.whole(rows[::-1].copy())
    whole = bench.measured.of(outputs, rows)
    monkeypatch.setattr(measure, "AT_ONCE", 5)
    assert bench.measured.of(outputs, rows).tolist() == pytest.approx(whole.tolist(), rel=1e-12)
    single = [bench.measured.of(outputs[i : i + 1], rows[i : i + 1])[0] for i in rows]
    assert single == pytest.approx(whole.tolist(), rel=1e-12)


def test_arguments_are_those_of_the_reference_row() -> None:
    """The output of row 3, scored for row 5, is read at the tokens of row 5."""
    data = token_rows()
    bench = transformer_bench(token_claim(tiny_transformer(), data, metric="logit_diff(first, second)"))
    logits = bench.measured.answers(np.array([3]))[0]
    columns = data.rows[5].columns
    expected = logits[columns["first"]] - logits[columns["second"]]
    got = bench.measured.of(bench.rows.outputs(np.array([3])), np.array([5]))
    assert got.tolist() == pytest.approx([float(expected)])


def test_kl_is_from_the_reference_rows_own_answer() -> None:
    bench = transformer_bench(token_claim(tiny_transformer(), token_rows(), metric="kl"))
    p, q = (bench.measured.answers(np.array([row]))[0].log_softmax(-1) for row in (5, 3))
    got = bench.measured.of(bench.rows.outputs(np.array([3])), np.array([5]))
    assert got.tolist() == pytest.approx([float((p.exp() * (p - q)).sum())], rel=1e-9)


def test_no_outputs_have_no_numbers() -> None:
    bench = transformer_bench(token_claim(tiny_transformer(), token_rows(), metric="kl"))
    none = np.zeros(0, dtype=np.int64)
    assert bench.measured.of(bench.rows.outputs(none), none).shape == (0,)


def test_a_graphs_numbers_are_no_logits() -> None:
    bench = bench_of(sum_claim(metric="loss(label)"))
    with pytest.raises(MetricError, match="return vectors of one length"):
        bench.measured.of(bench.rows.outputs(np.arange(12)), np.arange(12))


def test_ones_own_metric_sees_the_value_and_the_row() -> None:
    told = Metric(lambda output, row: output * 100 + row.columns["x"])
    bench = bench_of(sum_claim(metric=told))
    assert bench.measured.of([7, 8], np.array([4, 0])).tolist() == [701.0, 800.0]
