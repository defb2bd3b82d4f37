"""The result as a value: what `--json` publishes, the table, the words, the notebook."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from attrs.exceptions import FrozenInstanceError

import scrub
from score.cases import sum_claim
from scrub import Metric, recovers
from scrub.score.result import gap, ratio

KEYS = {
    "hypothesis", "digest", "foil", "verdict", "reason", "passed", "expect", "recovered", "constant", "bar", "metric",
    "population", "design", "unexplained", "bits", "story", "rows", "draws", "seed", "diagnostics", "options",
    "earned",
}  # fmt: skip
MORE = {"skills", "matrix", "stability", 
    "provenance", "explanation", "controls", "adversary", "since", "ceiling", "holds", "interchange", "passes_up_to",
    "left_out",
}  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Any:
    return scrub.test(sum_claim(expect=recovers(0.5)), draws=4, seed=3)


@pytest.fixture(scope="module")
def undefined() -> Any:
    return scrub.test(sum_claim(metric=Metric(lambda output, row: 2.0)).foil("a reason"), draws=2, rows=11)


def test_the_keys_that_are_promised(result: Any) -> None:
    made = result.to_dict()
    assert set(made) == KEYS | MORE
    assert set(made["recovered"]) == {"value", "low", "high", "level"}
    assert set(made["metric"]) == {"name", "better", "model", "scrubbed", "random"}
    assert set(made["unexplained"]) == {"aue", "ate", "explained"}
    assert set(made["bits"]) == {"kept", "everything"}
    variables = made["diagnostics"]["variables"]
    assert [v["variable"] for v in variables] == ["x"]
    assert set(variables[0]) == {
        "variable", "self_swaps", "idle", "donors", "class_min", "class_median", "class_max", "alone",
    }  # fmt: skip


def test_its_values(result: Any) -> None:
    made = result.to_dict()
    assert made["hypothesis"].endswith("cases.py::claim")
    assert (made["foil"], made["verdict"], made["passed"], made["expect"]) == (None, "supported", True, 0.5)
    assert (made["rows"], made["draws"], made["seed"]) == (12, 4, 3)
    low, value, high = (made["recovered"][key] for key in ("low", "value", "high"))
    assert low <= value <= high
    assert made["recovered"]["level"] == 0.95


def test_undefined_numbers_are_null(undefined: Any) -> None:
    made = json.loads(json.dumps(undefined.to_dict(), allow_nan=False))
    assert made["recovered"] == {"value": None, "low": None, "high": None, "level": 0.95, "needs": 30}
    assert (made["constant"], made["unexplained"]["explained"]) == (None, None)
    assert (made["verdict"], made["passed"], made["foil"]) == ("undefined", False, "a reason")
    assert made["bar"] == 0.8


def test_it_is_json(result: Any) -> None:
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["bits"] == result.to_dict()["bits"]


def test_the_table_has_a_line_for_each_row(result: Any) -> None:
    frame = result.frame()
    assert list(frame.columns) == ["row", "model", "scrubbed", "random", "scrubbed_distance", "random_distance"]
    assert sorted(frame["row"]) == list(range(12))
    assert frame["scrubbed"].mean() == pytest.approx(result.metric.scrubbed)
    assert frame["random"].mean() == pytest.approx(result.metric.random)
    assert frame["model"].mean() == pytest.approx(result.metric.model)
    assert frame["scrubbed_distance"].mean() == pytest.approx(result.unexplained.aue)
    assert frame["random_distance"].mean() == pytest.approx(result.unexplained.ate)


def test_a_result_is_frozen(result: Any) -> None:
    with pytest.raises(FrozenInstanceError):
        result.verdict = "supported"


def test_it_shows_itself(result: Any) -> None:
    assert str(result).startswith("✓ claim  supported  recovered 0.")
    assert result._repr_html_().startswith("<div>")


def test_ratio_and_gap() -> None:
    columns = np.array([[1.0, 3.0, 0.0], [3.0, 3.0, 3.0]])
    assert ratio(columns)[0] == pytest.approx(2 / 3)
    assert np.isnan(ratio(columns)[1])
    assert gap(columns).tolist() == [3.0, 0.0]
