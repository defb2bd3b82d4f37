"""What a plan says of memory, against the arrays that are kept and the contexts that are held under a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scrub
from scrub.claims.collect import collect
from scrub.engine.cost import Peak
from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ClaimError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.report.plan import plan_text
from scrub.verbs.setup import bench_of

GALLERY = Path(__file__).parents[2] / "hypotheses"


def induction(**setting: Any) -> Any:
    return collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses[0].but(**setting)


@pytest.mark.parametrize("setting", [{}, {"through": "mlps"}, {"through": "all"}, {"rest": "zero", "through": "all"}])
def test_rows_that_are_kept_are_those_that_were_planned(setting: dict[str, Any]) -> None:
    hypothesis = induction(**setting)
    claim, source = sound(hypothesis)
    rows = bench_of(claim, source, open_weights(source, Backend())).rows
    assert isinstance(rows, TransformerRows)
    stores = [rows.store] + [rows.frames.store] * (rows.frames.store is not rows.store)
    assert kept(scrub.plan(hypothesis)) == pytest.approx(
        sum(array.nbytes for store in stores for array in store.arrays.values()), rel=0.1
    )


def kept(plan: Any) -> int:
    assert plan.peak is not None
    return plan.peak.kept


def test_a_bound_is_kept_to() -> None:
    free = scrub.plan(induction(through="all")).peak
    assert free is not None
    for bound in (free.bytes // 2, free.bytes // 4):
        held = scrub.plan(induction(through="all"), memory=bound).peak
        assert held is not None
        assert held.bytes <= bound
    with pytest.raises(ClaimError, match=r"memory 2\.0kB: one row of .* takes .*: give at least --memory"):
        scrub.plan(induction(), memory="2kB")


def test_the_peak_as_it_reads() -> None:
    plan = scrub.plan(induction())
    assert plan.peak is not None
    assert plan.to_dict()["peak"]["bytes"] == plan.peak.bytes == Peak(*astuple(plan.peak)).bytes
    assert "    memory: " in plan_text(plan)
    assert Peak(10, 5, 7, 3).bytes == 17


def astuple(peak: Peak) -> tuple[int, ...]:
    return peak.kept, peak.pool, peak.block, peak.answers
