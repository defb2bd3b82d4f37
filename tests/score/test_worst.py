"""The rows that change most: which, in what order, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from cases import bench_of, sum_claim

import scrub
from scrub.score.sample import Samples
from scrub.score.worst import worst_rows


def samples_of(scrubbed: list[list[float]], model: list[float], references: list[int]) -> Samples:
    s, own = np.array(scrubbed), np.array(model)
    random = np.full_like(s, 9.0)
    return Samples(
        np.array(references), own, s, random, np.abs(s - own[:, None]), np.abs(random - own[:, None])
    )  # fmt: skip


def test_rows_are_by_the_change_of_their_mean_in_either_direction() -> None:
    """Row 4 changes by 2 in each draw but not in the mean; row 7 changes by -3, row 2 by 1."""
    table = [[1.0, 3.0], [-2.0, -0.0], [3.0, 3.0], [2.0, 2.0]]
    found = worst_rows(bench_of(sum_claim()), samples_of(table, [2.0, 2.0, 2.0, 2.0], [4, 7, 2, 1]), None)
    assert [row.row for row in found] == [7, 2]
    assert (found[0].model, found[0].scrubbed, found[0].random) == (2.0, -1.0, 9.0)


def test_no_more_than_five() -> None:
    samples = samples_of([[float(i)] for i in range(8)], [0.0] * 8, list(range(8)))
    assert [row.row for row in worst_rows(bench_of(sum_claim()), samples, None)] == [7, 6, 5, 4, 3]


def test_a_result_has_them_in_its_json_and_its_words() -> None:
    result = scrub.test(sum_claim(), exact=True)
    listed = result.to_dict()["diagnostics"]["worst"]
    assert [row["row"] for row in listed] == [row.row for row in result.worst]
    table = result.frame().set_index("row")
    for row in result.worst:
        assert row.scrubbed == pytest.approx(table.scrubbed[row.row])
        assert row.model == pytest.approx(table.model[row.row])
    told = str(result)
    assert (f"row {result.worst[0].row}: " in told) == (result.verdict in ("refuted", "inconclusive"))


def test_a_refuted_claim_has_the_effects_of_its_swaps() -> None:
    result = scrub.test(sum_claim(expect=scrub.recovers(0.99)), draws=6)
    assert result.verdict == "refuted"
    assert "rows that change most:" in str(result)
    effects = result.to_dict()["diagnostics"]["effects"]
    gains = [e["gain"] for e in effects]
    assert gains == sorted(gains, reverse=True)
    assert {"path", "kind", "only", "gain"} <= set(effects[0])
    assert result.explanation[0].startswith(f"undoing the {effects[0]['kind']} of {effects[0]['variable']}")
    supported = scrub.test(sum_claim(expect=scrub.recovers(0.05)), draws=6)
    assert (supported.verdict, supported.effects) == ("supported", ())
    assert "rows that change most:" not in str(supported)
