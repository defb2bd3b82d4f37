"""Tests that stop when they are decided: against a walk through all sequences of wins, in whole numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from circuit.criteria_cases import RANDOM, claimed, judged, less, true
from scrub import Circuit
from scrub.circuit import sequential
from scrub.circuit.minimality import Needed
from scrub.circuit.sequential import LEVEL, StoppingRule, WinCount, drawn
from scrub.circuit.significance import wins
from scrub.report.page.circuits import criteria_section

RULES = [(most, losses) for most in (1, 4, 7) for losses in range(1, most + 2)]
Outcome = tuple[bool, int, int]  # the larger, the more it speaks against the null


def walked(won: tuple[bool, ...], losses: int) -> tuple[int, int]:
    """Wins and draws, one draw after another."""
    lost = 0
    for n, win in enumerate(won, 1):
        lost += not win
        if lost == losses:
            return n - lost, n
    return len(won) - lost, len(won)


def rank(count: tuple[int, int], losses: int) -> Outcome:
    """All drawn without the last loss: more wins say more. Stopped: the later the more."""
    wins, n = count
    stopped = n - wins == losses
    return not stopped, n if stopped else 0, 0 if stopped else wins


def chances(most: int, losses: int, q: Fraction) -> dict[tuple[int, int], Fraction]:
    """Of every count, by all sequences."""
    found: dict[tuple[int, int], Fraction] = defaultdict(Fraction)
    for won in product((False, True), repeat=most):
        found[walked(won, losses)] += q ** sum(won) * (1 - q) ** (most - sum(won))
    return found


def counted(rule: StoppingRule, *tests: tuple[bool, ...]) -> tuple[WinCount, ...]:
    return drawn(rule, len(tests), lambda numbers: np.array(tests)[:, numbers.start : numbers.stop])


@pytest.mark.parametrize(("most", "losses"), RULES)
def test_counts_p_and_power_are_those_of_all_sequences(most: int, losses: int) -> None:
    q, better, rule = Fraction(1, 2), Fraction(9, 10), StoppingRule(most, losses)
    known, at_better = chances(most, losses, q), chances(most, losses, better)
    p = {c: float(sum(v for o, v in known.items() if rank(o, losses) >= rank(c, losses))) for c in known}
    for won in product((False, True), repeat=most):
        [count] = counted(rule, won)
        assert (count.wins, count.n, count.most) == (*walked(won, losses), most)
        assert count.p(float(q)) == pytest.approx(p[count.wins, count.n], rel=1e-12)
        assert wins("", "", count.wins, count.n, float(q), float(better), rule=rule).p == count.p(float(q))
    power = float(sum(chance for c, chance in at_better.items() if p[c] <= LEVEL))
    assert rule.power(float(q), float(better)) == pytest.approx(power, rel=1e-12)


@pytest.mark.parametrize(("most", "losses"), RULES)
def test_where_the_null_holds_p_comes_no_more_often_than_it_says(most: int, losses: int) -> None:
    """Exactly as often at the edge of the null, and no more within it."""
    edge = Fraction(7, 10)
    for q in (edge, Fraction(6, 10), Fraction(1, 10)):
        known = chances(most, losses, q)
        p = {(w, n): WinCount(w, n, most, n - w == losses).p(float(edge)) for w, n in known}
        for level in p.values():
            often = float(sum(known[c] for c in p if p[c] <= level * (1 + 1e-12)))
            assert often <= level + 1e-12
            assert q != edge or often == pytest.approx(level, rel=1e-9)


def test_a_part_as_good_as_nine_of_ten_others_is_called_needed_as_often_as_p_says() -> None:
    """Its effect and theirs are told apart as in minimality, and all draws of four of ten others are gone through."""
    others, part, rule = np.arange(10.0), 8.5, StoppingRule(4, 2)
    p = np.array([
        drawn(rule, 1, lambda numbers, o=order: (part > others[list(o)])[None, numbers.start : numbers.stop])[0].p()
        for order in product(range(10), repeat=4)
    ])  # fmt: skip
    assert len(np.unique(p)) == 5
    for level in np.unique(p):
        assert (p <= level).mean() == pytest.approx(level, rel=1e-9)


@pytest.mark.parametrize("most", [1, 28, 29, 50, 100, 400])
def test_by_default_nothing_is_lost_that_would_reject(most: int) -> None:
    """What rejects without a rule is drawn to its end, with the same p and power; what stops is decided."""
    rule, fixed = StoppingRule.of(most), StoppingRule.of(most, 0)
    for lost in range(most + 1):
        p = wins("", "", most - lost, most).p
        [count] = counted(rule, tuple([False] * lost + [True] * (most - lost)))
        assert p is not None
        assert count.stopped == (lost >= rule.losses)
        assert (count.p() == p) if p <= LEVEL else count.p() > LEVEL
    assert rule.power(0.9, 0.99) == fixed.power(0.9, 0.99)
    assert {50: 3, 100: 6, 400: 31}.get(most, 1) == rule.losses


def test_several_tests_share_what_is_drawn_and_each_ends_by_its_own_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, rule = np.random.default_rng(0), StoppingRule(40, 3)
    tests = rng.random((6, 40)) < np.array([[0.99, 0.95, 0.9, 0.5, 0.2, 0.0]]).T
    alone = [counted(rule, tuple(row))[0] for row in tests]

    def asked(some: np.ndarray) -> Iterator[tuple[tuple[WinCount, ...], list[int]]]:
        for ahead in (1, 3, 8, 100):
            monkeypatch.setattr(sequential, "AHEAD", ahead)
            numbers: list[int] = []
            yield drawn(rule, len(some), lambda r, n=numbers: n.extend(r) or some[:, r.start : r.stop]), numbers

    for counts, numbers in asked(tests):
        assert list(counts) == alone
        assert numbers == list(range(len(numbers)))  # each once, in their order
    for few in (tests[4:], tests[3:]):
        most = max(counted(rule, tuple(row))[0].n for row in few)
        assert most <= len(next(asked(few))[1]) < 2 * most  # as many ahead as there were


def same(found: Any) -> Any:
    """Holm's p of what is not rejected owes to others that are not."""
    return evolve(found, adjusted=None) if isinstance(found, Needed) else found


def test_criteria_stop_where_they_are_decided_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong circuit with an idle part; all random ones are drawn where that is asked for."""
    circuit = less("either", "0.2 @ VALUE") | Circuit.parse("0.3 @ END")
    given: dict[str, Any] = {"circuit": circuit, "rows": 8, "random": 30, "budget": 1}
    found, whole = (scrub.criteria(claimed("either"), stop=stop, **given) for stop in (None, 0))
    idle = {n.part: n for n in found.minimality}["0.3"]
    assert (idle.most, idle.n) == (30, 2)
    assert {n.most for n in whole.minimality} | {t.most for t in whole.tests} == {None}
    assert whole.options["stop"] == 0
    for one, other in zip((*found.minimality, *found.tests), (*whole.minimality, *whole.tests), strict=True):
        assert one.most is not None or same(one) == same(other)
        assert one.most is None or other.p > LEVEL < one.p
    better = found.tests[0]
    assert better.most == 30
    told = f"stopped after {better.n} of 30: p = {better.p:.3f}, that of a count which stops"
    assert told in str(found)
    assert "stopped after" not in str(whole)
    page = str(criteria_section(found.to_dict(), ""))
    assert f"stopped after {better.n} of 30" in page
    monkeypatch.setattr(sequential, "AHEAD", 1)
    again = scrub.criteria(claimed("either"), **given)
    assert [(n.n, n.p) for n in (*again.minimality, *again.tests[:2])] == [
        (n.n, n.p) for n in (*found.minimality, *found.tests[:2])
    ]


def test_of_a_circuit_that_is_needed_all_are_drawn() -> None:
    found = judged("either", true("either"), random=RANDOM)
    assert {(n.n, n.most) for n in found.minimality} == {(RANDOM, None)}
