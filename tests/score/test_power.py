"""Power: the variances of a pilot, the standard error they foretell, and the rows that settle a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from score.cases import claim_of, graph, resolved, rows_of, sum_claim, sum_rows, sum_sample
from scrub import Metric, nodes, recovers
from scrub.errors import ClaimError
from scrub.score.power import Power, Spread, reach
from scrub.score.sample import Samples
from scrub.storage.files import save


def simulated(rng: np.random.Generator, rows: int, draws: int) -> Samples:
    """Model 0, random 2 in every draw; scrubbed 0.5 with variance 0.09 between rows and 0.64 between draws."""
    scrubbed = 0.5 + 0.3 * rng.standard_normal((rows, 1)) + 0.8 * rng.standard_normal((rows, draws))
    random, model = np.full((rows, draws), 2.0), np.zeros(rows)
    return Samples(np.arange(rows), model, scrubbed, random, np.abs(scrubbed), np.abs(random))


def test_variances_are_found_again() -> None:
    """On the scale of recovered, where 2 is 1: a quarter of the variances of the metric."""
    spread = Spread.of(simulated(np.random.default_rng(0), 20000, 2))
    assert spread is not None
    assert spread.rows == pytest.approx(0.09 / 4, rel=0.1)
    assert spread.draws == pytest.approx(0.64 / 4, rel=0.05)


def test_the_standard_error_is_that_of_repeated_experiments() -> None:
    rng = np.random.default_rng(1)
    repeated = [1 - simulated(rng, 40, 5).scrubbed.mean() / 2 for _ in range(2000)]
    assert Spread(0.09 / 4, 0.64 / 4).error(40, 5) == pytest.approx(np.std(repeated), rel=0.05)


def test_the_ratio_has_the_variance_of_numerator_and_denominator_together() -> None:
    """Random varies with scrubbed: where the whole row is scaled, the share of it that is recovered does not move."""
    rng = np.random.default_rng(2)
    scale = rng.uniform(1, 3, (500, 1))
    samples = Samples(np.arange(500), np.zeros(500), 0.5 * scale, 2 * scale, 0.5 * scale, 2 * scale)
    spread = Spread.of(samples)
    assert spread is not None
    assert spread.error(500, 1) == pytest.approx(0, abs=1e-12)


def pilots(tails: str, rows: int = 32, draws: int = 2) -> list[Spread]:
    """Pilots of rows that differ by a variance of 0.25 and draws that differ by 1, normal or heavy-tailed."""
    rng, found = np.random.default_rng(3), list[Spread]()
    for _ in range(400):
        between = rng.standard_normal(rows) if tails == "normal" else rng.standard_t(5, rows) / np.sqrt(5 / 3)
        scrubbed = 1 + 0.5 * between[:, None] + rng.standard_normal((rows, draws))
        flat = np.zeros((rows, draws))
        made = Spread.of(Samples(np.arange(rows), np.zeros(rows), scrubbed, flat + 2, flat, flat))
        assert made is not None
        found.append(made)
    return found


@pytest.mark.parametrize(("tails", "draws", "covered"), [("normal", 2, 0.88), ("heavy", 2, 0.88), ("heavy", 1, 0.85)])
def test_an_estimate_has_an_upper_limit_that_holds(tails: str, draws: int, covered: float) -> None:
    """On the scale of recovered a quarter: 0.0625 between rows, with one draw what draws do as well."""
    found, truth = pilots(tails, draws=draws), 0.0625 if draws > 1 else 0.3125
    assert np.mean([spread.rows_high >= truth for spread in found]) > covered
    assert all(0 <= spread.rows <= spread.rows_high for spread in found)
    assert np.mean([spread.rows_high for spread in found]) < 5 * truth  # it says something
    if draws > 1:  # and one pilot of five or so sees nothing between rows
        none = [spread for spread in found if spread.rows == 0]
        assert len(none) > 40
        assert all(spread.error(200, 20) >= np.sqrt(spread.draws / 20 / 200) for spread in none)
        assert min(spread.at_most.error(200, 20) / spread.error(200, 20) for spread in none) > 1.2


def test_with_all_draws_and_many_rows_the_limit_is_near() -> None:
    few, many = (Spread.of(simulated(np.random.default_rng(4), rows, 1)) for rows in (32, 20000))
    assert few is not None
    assert many is not None
    assert few.rows_high > 1.2 * few.rows
    assert many.rows < many.rows_high < 1.02 * many.rows


def test_a_pilot_that_sees_nothing_between_rows_says_how_much_there_may_be() -> None:
    flat = next(spread for spread in pilots("normal") if spread.rows == 0)
    told = Power("f.py::one", 200, 20, flat, 32, 2)
    assert told.error_high == pytest.approx(np.sqrt((flat.rows_high + flat.draws / 20) / 200))
    assert (
        f"differences of {told.detectable:.3f} of what is recovered, of {told.detectable_high:.3f} at worst"
        in str(told)
    )
    assert f"(standard error {told.error:.3f}, at most {told.error_high:.3f} with 90% confidence" in str(told)
    assert told.needed(0.02, at_most=True) > told.needed(0.02)
    made = told.to_dict()
    assert (made["error_high"], made["s2_rows_high"]) == (told.error_high, flat.rows_high)


def test_rows_and_draws_trade_as_the_formula_says() -> None:
    spread = Spread(rows=0.04, draws=0.2)
    assert spread.error(10, 20) == pytest.approx(np.sqrt((0.04 + 0.2 / 20) / 10))
    assert spread.error(10, None) == pytest.approx(np.sqrt(0.04 / 10))
    rows = spread.needed(0.1, 20)
    assert rows is not None
    assert spread.detectable(rows, 20) <= 0.1 < spread.detectable(rows - 2, 20)
    assert spread.needed(0.0, 20) is None


def test_nothing_to_recover_has_no_spread() -> None:
    flat = Samples(np.arange(3), np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)))
    assert Spread.of(flat) is None


def test_a_pilot_foretells_the_interval_of_the_test() -> None:
    found = scrub.power(sum_claim(), draws=20)
    assert (found.rows, found.draws, found.pilot_rows, found.pilot_draws) == (12, 20, 12, 2)
    result = scrub.test(sum_claim(), draws=20, explain=False)
    own = scrub.power(result)
    assert own.detectable == pytest.approx(reach(own.rows) * own.error)
    assert result.recovered.low is not None
    assert result.recovered.high is not None
    width = (result.recovered.high - result.recovered.low) / 2 / 1.96
    assert own.error == pytest.approx(width, rel=0.25)
    assert found.error == pytest.approx(width, rel=0.6)
    assert scrub.power(result, rows=48).error == pytest.approx(own.error / 2)
    assert "12 rows x 20 draws tell differences of" in str(own)
    assert own.to_dict()["pilot"] == {"rows": 12, "draws": 20, "seed": 0}


def test_after_an_inconclusive_verdict_the_rows_that_would_settle_it() -> None:
    value = scrub.test(sum_claim(sum_sample()), draws=20, explain=False).recovered.value
    assert value is not None
    result = scrub.test(sum_claim(sum_sample(), expect=recovers(value - 0.01)), draws=20, explain=False)
    assert result.verdict == "inconclusive"
    rows = result.to_dict()["diagnostics"]["power"]["rows_to_settle"]
    assert rows > 36
    most = result.to_dict()["diagnostics"]["power"]["rows_to_settle_high"]
    assert most > rows
    assert f"about {rows} rows x 20 draws, at most {most} with 90% confidence, would settle it" in result.reason
    assert scrub.power(result).needed(0.01) == pytest.approx(rows, abs=1)


def test_no_fewer_rows_settle_a_verdict_than_one_takes() -> None:
    assert Spread(rows=0.0001, draws=0.0).needed(0.5, 20) == 30
    assert Spread(rows=0.0, draws=0.0).needed(0.5, 20) == 30
    few = Power("f.py::one", 29, 20, Spread(0.04, 0.2), 32, 2)
    assert str(few).endswith("Fewer than 30 rows give no verdict.")
    assert "no verdict" not in str(evolve(few, rows=30))


def test_the_rows_of_a_whole_domain_are_not_too_few() -> None:
    claimed = sum_claim()
    assert "no verdict" not in str(scrub.power(claimed))
    assert "no verdict" not in str(scrub.power(scrub.test(claimed, draws=4, explain=False)))
    assert "Fewer than 30 rows give no verdict." in str(scrub.power(claimed, rows=11))


def test_of_shares_the_rows_settle_that_would_have_shown_another_kind(tmp_path: Path) -> None:
    """All of 40 hits are right and draws agree: no spread is seen, and 30 rows would not do."""
    right = Metric(lambda output, row: float(output == row.columns["label"]), better="higher", name="right")
    rows = rows_of({"x": i % 4, "y": i, "label": 10 * (i % 4)} for i in range(40))
    whole = graph(h=lambda x: 10 * x, out=lambda h, y: h + 0 * y)
    hypothesis = claim_of(whole, {"answer": lambda x: 10 * x}, {"x": "x", "answer": nodes("out").reads(h="x")}, rows,
                          metric=right, expect=recovers(0.95), through="all")  # fmt: skip
    result = scrub.test(hypothesis, draws=4, parts="none", controls="none", explain=False)
    assert (result.verdict, result.recovered.value) == ("inconclusive", 1)
    again = scrub.power(hypothesis, run=stored(tmp_path, hypothesis, draws=4))
    assert again.spread.unseen == result.spread.unseen > 0  # and a run that is kept has it
    needed = result.to_dict()["diagnostics"]["power"]["rows_to_settle"]
    assert f"about {needed} rows" in result.reason
    assert needed == pytest.approx(3.69 / 0.05 / (1 - result.metric.random), abs=1)
    assert needed > 73


def test_a_pilot_without_spread_tells_nothing() -> None:
    flat = Power("f.py::one", 40, None, Spread(0.0, 0.0), 32, 2)
    assert "one: the pilot of 32 rows x 2 draws saw no spread, and so tells nothing of how many rows" in str(flat)
    assert "0.000" not in str(flat)
    assert flat.to_dict()["detectable"] == 0


def test_a_settled_verdict_says_nothing_of_more_rows() -> None:
    result = scrub.test(sum_claim(expect=recovers(0.5)), draws=20, explain=False)
    assert result.verdict == "supported"
    assert "settle" not in result.reason


def stored(out: Path, *claims: scrub.Hypothesis, **options: Any) -> Path:
    save(out, [scrub.test(claim, explain=False, controls="none", **options).to_dict() for claim in claims])
    return out


def test_a_stored_run_is_a_pilot(tmp_path: Path) -> None:
    claim = sum_claim(sum_sample())
    run = stored(tmp_path, claim.but(expect=recovers(0.5)), claim, rows=33, draws=6)
    found = scrub.power(claim, run=str(run), draws=10)
    result = scrub.test(claim, rows=33, draws=6, explain=False)
    assert found.spread == result.spread
    assert (found.rows, found.draws, found.pilot_rows, found.pilot_draws) == (36, 10, 33, 6)
    assert found.error == scrub.power(result, rows=36, draws=10).error
    exact = scrub.power(sum_claim(), run=stored(tmp_path / "exact", sum_claim(), exact=True))
    assert (exact.pilot_draws, exact.spread.draws) == (None, 0)


def test_a_run_without_the_claim_is_refused(tmp_path: Path) -> None:
    other = sum_claim(expect=recovers(0.5))
    run = stored(tmp_path / "run", other, draws=2)
    with pytest.raises(ClaimError, match=rf"no run of .*claim, digest .*; its digests are {resolved(other).digest} "):
        scrub.power(sum_claim(), run=run)
    with pytest.raises(
        ClaimError, match=r"nowhere/run.json cannot be read: No such file .* `scrub test \.\.\. --out "
    ):
        scrub.power(sum_claim(), run=tmp_path / "nowhere")
    bare = f'[{{"digest": "{resolved(sum_claim()).digest}"}}]'
    for results in ("[3]", bare, "3", "[1"):
        (run / "run.json").write_text(f'{{"scrub": "{scrub.__version__}", "results": {results}}}')
        with pytest.raises(ClaimError, match=r"run.json is (no run of `scrub test`|damaged)"):
            scrub.power(sum_claim(), run=run)
    few = stored(tmp_path / "few", sum_claim(), rows=9, draws=2)
    with pytest.raises(ClaimError, match="nothing to recover in the pilot of 9 rows"):
        scrub.power(sum_claim(), run=few)
    with pytest.raises(ClaimError, match="its own pilot"):
        scrub.power(scrub.test(sum_claim(), draws=2, explain=False), run=run)


def test_power_of_nothing_is_refused() -> None:
    same = sum_rows(lambda x, y: 0)
    flat = sum_claim(same, metric=scrub.Metric(lambda output, row: 1.0, better="lower"))
    with pytest.raises(ClaimError, match="nothing to recover in the pilot of 12 rows"):
        scrub.power(flat)
    with pytest.raises(ClaimError, match="at least one draw"):
        scrub.power(sum_claim(), draws=0)
