"""The controls of directions that were fitted: the same fit on permuted values, and on models that learnt nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import scrub
from scrub import Dataset, Hypothesis, directions, mlps
from scrub.claims.basis import Basis
from scrub.claims.collect import collect
from scrub.score.control import PERMUTED_FIT, UNTRAINED_FIT, Control
from scrub.verbs import refit
from scrub.zoo import compiled_dormant_rows

FILE = Path(scrub.__file__).parents[1] / "hypotheses" / "dormant.py"


@cache
def known() -> Hypothesis:
    (found,) = collect([f"{FILE}::true_direction"]).hypotheses
    rows = [row for row in compiled_dormant_rows(200, seed=1) if row["columns"]["length"] > 3]  # no two are alike
    return found.but(data=Dataset.from_rows(rows[:70]))


@cache
def basis() -> Basis:
    return scrub.fit.mean_difference(known(), "sign")


def claimed(found: Any) -> Hypothesis:
    return known().but(sign=mlps(1, at="END").part(directions(found, name="D")), expect=scrub.recovers(0.6))


def judged(found: Any) -> tuple[Any, dict[str, Control]]:
    result = scrub.test(claimed(found), draws=2, controls="all", explain=False, parts="none")
    return result, {control.name: control for control in result.controls}


def test_directions_for_permuted_values_hold_less(tmp_path: Path) -> None:
    """From a file as from the value: three signs are written, and those of other rows are found in any of them."""
    result, found = judged(basis().save(tmp_path / "d.safetensors"))
    assert result.verdict == "supported"
    assert 0 < found[PERMUTED_FIT].value < 0.6 < result.recovered.low  # type: ignore[operator]
    assert found[PERMUTED_FIT].note == "3 times the same fit on permuted values"
    assert found[UNTRAINED_FIT].explained is not None
    assert "directions that the same fit finds for permuted values recover" in str(result)
    assert "fitted and tested on models that learnt nothing" in str(result)
    plan = next(v for v in scrub.plan(claimed(basis())).verbs if v.name == "test --controls all")
    assert "with directions found again" in {p.name for p in plan.passes}


def test_directions_that_permuted_values_find_too_are_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refit, "_permuted", lambda examples, _: examples)
    result, found = judged(basis())
    assert result.verdict == "supported"  # there is nothing else to find
    assert "the same directions, there are no others" in found[PERMUTED_FIT].note
    monkeypatch.setattr(refit, "_same", lambda *_: False)
    result, found = judged(basis())
    assert found[PERMUTED_FIT].value == pytest.approx(result.recovered.value, abs=0.05)
    assert result.verdict == "inconclusive"
    assert "the same fit on permuted values does as well" in result.reason


def test_what_cannot_be_fitted_again_says_why() -> None:
    blind = scrub.fit.pca(known(), "sign", rank=2)
    assert judged(blind)[1][PERMUTED_FIT].note == "the method looks at no values"
    unknown = judged(evolve(basis(), method="guess"))[1]
    assert "no method of scrub.fit" in unknown[PERMUTED_FIT].note
    assert not {PERMUTED_FIT, UNTRAINED_FIT} & judged(evolve(basis(), asked=None))[1].keys()
