"""A comparison judges its claims as a test does: controls, adversary, and every draw enumerated."""

from __future__ import annotations

import pytest

import scrub
from score.cases import (
    ERROR,
    both,
    claim_of,
    graph,
    rows_of,
    sum_claim,
    sum_rows,
    tiny_transformer,
    token_claim,
    token_rows,
)  # fmt: skip
from score.test_adversary import cancelling
from scrub import Hypothesis, nodes
from scrub.errors import ClaimError


def test_no_expectation_is_needed() -> None:
    c = scrub.compare(sum_claim(expect=None), both())
    assert [h.verdict for h in c.hypotheses] == [None, "supported"]
    assert (c.hypotheses[0].reason, c.hypotheses[0].expect) == (None, None)
    assert c.hypotheses[0].controls == scrub.test(sum_claim(), explain=False).controls  # shown without a verdict too
    shown = str(c)
    assert "claim (2): the whole interval lies at or above" in shown
    assert "\n    claim: " not in shown


NOISE = rows_of({"noise": i % 4, "y": (i // 4) % 3, "label": 10 * ((i // 4) % 3)} for i in range(24))


def flat() -> Hypothesis:
    """Every row has the same h, so the claim about its noise recovers all, with any values."""
    return claim_of(
        graph(h=lambda noise: 0 * noise, out=lambda h, y: h + 10 * y),
        {"mid": lambda noise: noise, "answer": lambda mid, y: 10 * y},
        {"mid": nodes("h"), "answer": nodes("out").reads(h="mid")}, NOISE, metric=ERROR, rest="keep",
    )  # fmt: skip


def test_a_claim_whose_values_do_not_matter_is_inconclusive_here_too() -> None:
    c = scrub.compare(flat(), flat().but(expect=None), draws=5)
    alone = scrub.test(flat(), draws=5, explain=False)
    first, second = c.hypotheses
    assert (first.verdict, first.reason) == (alone.verdict, alone.reason)
    assert first.verdict == "inconclusive"
    assert first.reason.startswith("values do not matter")
    assert first.to_dict()["controls"] == [control.to_dict() for control in alone.controls]
    points = {p.hypothesis: p for p in c.pareto}
    shuffles = points["shuffled values of claim"]
    assert (shuffles.kind, shuffles.bits) == ("control", alone.controls[-1].bits)
    assert shuffles.recovered == alone.controls[-1].value
    assert "shuffled values of claim.but(expect)" in points
    assert second.verdict is None


def test_without_shuffles_the_verdict_rests_on_the_share() -> None:
    c = scrub.compare(flat(), flat(), draws=5, controls="none")
    assert [h.verdict for h in c.hypotheses] == ["supported"] * 2
    assert [h.options["controls"] for h in c.hypotheses] == ["none"] * 2
    assert not [p for p in c.pareto if p.hypothesis.startswith("shuffled")]
    with pytest.raises(ClaimError, match="Did you mean 'none'"):
        scrub.compare(flat(), flat(), controls="non")


def test_an_adversary_refutes_here_too() -> None:
    c = scrub.compare(cancelling(), cancelling(any_swaps=False))
    alone = scrub.test(cancelling(), explain=False)
    assert [h.verdict for h in c.hypotheses] == ["refuted", "supported"]  # the same share, and another expectation
    assert c.hypotheses[0].reason == alone.reason
    assert c.hypotheses[0].to_dict()["adversary"] == alone.to_dict()["adversary"]
    assert c.hypotheses[0].adversary is not None
    assert c.hypotheses[1].to_dict()["adversary"] is None


def test_every_draw_may_be_enumerated() -> None:
    c = scrub.compare(both(), sum_claim(), exact=True)
    alone = [scrub.test(h, exact=True) for h in (both(), sum_claim())]
    assert [h.recovered for h in c.hypotheses] == [r.recovered for r in alone]
    assert c.differences[0].share.value == pytest.approx(alone[0].recovered.value - alone[1].recovered.value)
    assert c.draws is None
    assert "12 rows x every draw, seed 0" in str(c)
    assert scrub.compare(both(), sum_claim(), exact=True, seed=1).hypotheses[1].scrubbed == c.hypotheses[1].scrubbed
    data = token_rows()
    one = token_claim(tiny_transformer(), data, metric="loss(label)")
    with pytest.raises(ClaimError, match="only a computation graph"):
        scrub.compare(one, one, exact=True)


def test_a_claim_without_a_scale_of_its_own_is_not_compared() -> None:
    """Each row is alone in its stratum, and its own rest, so that there is nothing to recover."""
    rows = scrub.Dataset.from_rows(
        {"columns": {**row.columns, "number": number}} for number, row in enumerate(sum_rows().rows)
    )
    alone = sum_claim(rows, within="number", empty="self")
    for pair in ((sum_claim(rows), alone), (alone, sum_claim(rows))):
        (difference,) = scrub.compare(*pair).differences
        assert difference.verdict == "cannot tell"
        assert difference.share.value is None
        assert "nothing to recover" in difference.reason
