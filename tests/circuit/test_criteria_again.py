"""The criteria give the same numbers again: by the seed, however many circuits run at once, in any order of rows."""

from __future__ import annotations

from typing import Any

import pytest

import scrub
from circuit.criteria_cases import LABEL, bench_of, claimed, less, true
from scrub import Circuit, Dataset
from scrub.circuit import sizes
from scrub.zoo import rows as zoo_rows


def close(a: Any, b: Any) -> bool:
    """Equal, numbers up to the rounding of another order of sums."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=1e-4, abs=1e-5) if isinstance(a, float) else a == b


def test_the_same_seed_gives_the_same_numbers() -> None:
    circuit = less("either", LABEL)
    given: dict[str, Any] = {"circuit": circuit, "rows": 8, "random": 4, "ablation": "resample", "group": "length"}
    first, again, other = (scrub.criteria(claimed("either"), seed=seed, **given) for seed in (3, 3, 4))
    assert first.to_dict() == again.to_dict()
    assert first.table == again.table
    assert first.completeness.random != other.completeness.random


def test_numbers_do_not_depend_on_how_many_circuits_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"rows": 4, "random": 2, "budget": 4, "ablation": "zero"}
    at_once = scrub.criteria(claimed("compose"), **given)
    circuits = [true("compose", "edges"), less("compose", "0.0 -> 1.0.k @ VALUE", "edges"), Circuit()]
    together = bench_of("compose", circuits[0], ablation="zero").scores(circuits)
    monkeypatch.setattr(sizes, "TOKENS", 1)
    assert close(scrub.criteria(claimed("compose"), **given).to_dict(), at_once.to_dict())
    assert bench_of("compose", circuits[0], ablation="zero").scores(circuits) == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_numbers_do_not_depend_on_the_order_of_the_rows(ablation: str) -> None:
    turned = claimed("compose").but(data=Dataset.from_rows(zoo_rows("compiled-compose", 300, 1)[::-1]))
    group = "length" if ablation == "resample" else None
    given: dict[str, Any] = {"rows": 11, "random": 4, "ablation": ablation, "group": group}
    first, second = (scrub.criteria(h, **given) for h in (claimed("compose"), turned))
    a, b = first.to_dict(), second.to_dict()
    for result in (a, b):
        del result["hypothesis"]
    assert close(a, b)
    assert [299 - row for row in second.table["row"]][::-1] == first.table["row"]
    assert second.table["circuit"][::-1] == pytest.approx(first.table["circuit"], abs=1e-5)
