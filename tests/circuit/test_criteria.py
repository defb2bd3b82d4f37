"""The three criteria on compiled models, whose circuits are known exactly, and by direct runs.

Under `mean` nothing is lost that the claims of these models leave out (the token at the end is always the same), so
that there the true circuit has no gap at all. `compiled-or` is made so that a mean also destroys what it replaces;
`compiled-compose` and `compiled-induction` still find the one match with a mean query, so that what their heads do
shows under `zero`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import scrub
from circuit.criteria_cases import (
    ASKS,
    FEW,
    LABEL,
    RANDOM,
    ROWS,
    SPARE,
    bench_of,
    claimed,
    direct,
    judged,
    less,
    true,
)
from scrub import Circuit, Dataset
from scrub.circuit import completeness as completing
from scrub.circuit.completeness import completeness, halves
from scrub.circuit.faithfulness import faithfulness
from scrub.circuit.minimality import minimality
from scrub.circuit.random import random_circuits
from scrub.report.criteria import EFFECTS_ALONE
from scrub.report.page.circuits import criteria_section
from scrub.zoo import rows as zoo_rows

# the true circuit


def test_the_circuit_of_an_or_is_faithful_complete_and_minimal() -> None:
    """By the mean, where a head of this model that is replaced says nothing, and every comparison is exact."""
    found = judged("either", true("either"), random=RANDOM)
    assert found.faithfulness.gap == pytest.approx(0, abs=1e-6)
    assert found.faithfulness.normalized.value == pytest.approx(1, abs=1e-6)
    assert found.faithfulness.ablated > 2
    assert found.completeness.worst.gap == pytest.approx(0, abs=1e-6)
    assert max(found.completeness.random) == pytest.approx(0, abs=1e-6)
    assert [n.part for n in found.minimality if not n.minimal] == []
    assert min(n.effect for n in found.minimality) > 2


def test_so_it_is_by_its_edges() -> None:
    circuit = true("either", "edges")
    bench = bench_of("either", circuit)
    found, complete = faithfulness(bench, circuit)[0], completeness(bench, circuit, budget=4, random=4)
    assert (found.gap, found.normalized.value) == pytest.approx((0, 1), abs=1e-6)
    assert max(complete.worst.gap, *complete.random) == pytest.approx(0, abs=1e-6)
    assert faithfulness(bench, less("either", "0.2 -> 1.0.k @ VALUE", "edges"))[0].gap > 2


@pytest.mark.parametrize(("name", "ablation", "gap"), [
    ("compose", "mean", 0.01), ("induction", "mean", 0.02), ("induction", "zero", 0.15),
])  # fmt: skip
def test_the_other_true_circuits(name: str, ablation: str, gap: float) -> None:
    """Gaps are of knock-outs that leave nothing to find: there 1.0 attends to all, and M \\ K reads what C does not.

    Faithful and complete by the mean, where what the claim leaves out is the same in all rows; `compose` is left out
    under `zero`, which takes the token at the end from the query of 0.1 that the claim does not name.
    """
    found = judged(name, true(name), ablation, RANDOM)
    assert found.faithfulness.gap < 1e-4
    assert found.faithfulness.normalized.value == pytest.approx(1, abs=1e-4)
    assert found.faithfulness.ablated - found.faithfulness.model > 2.5
    assert found.completeness.worst.gap < gap
    assert max(found.completeness.random) < gap
    assert all(n.minimal for n in found.minimality)


@pytest.mark.parametrize("name", ["compose", "induction"])
def test_under_zero_every_part_is_needed_by_itself(name: str) -> None:
    assert all(n.minimal and n.effect > 1.5 for n in judged(name, true(name), "zero", RANDOM).minimality)


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
def test_either_head_of_the_or_suffices(ablation: str) -> None:
    """What the model's card says, whatever the head is replaced by; without both nothing is found."""
    group = "length" if ablation == "resample" else None
    given: dict[str, Any] = {"rows": ROWS, "without": True, "ablation": ablation, "group": group}
    for one in (ASKS, SPARE):
        assert scrub.run_circuit(one, claimed("either"), **given).value.value == pytest.approx(0, abs=1e-6)
    assert scrub.run_circuit(f"{ASKS}, {SPARE}", claimed("either"), **given).value.value > 1.5


# a part too few, a part too many, a spare


@pytest.mark.parametrize(("name", "part", "ablation"), [
    ("either", LABEL, "mean"), ("either", "1.0 @ END", "mean"), ("either", LABEL, "zero"),
    ("compose", "0.1 @ END", "zero"), ("compose", "0.0 @ VALUE", "zero"), ("induction", "0.0 @ B1", "zero"),
])  # fmt: skip
def test_faithfulness_notices_a_part_that_has_no_spare(name: str, part: str, ablation: str) -> None:
    """Without it nothing is found. By the mean that is so of `compiled-or` alone, hence `zero` for the others."""
    faithful = judged(name, less(name, part), ablation).faithfulness
    assert faithful.gap > 1.5
    assert faithful.normalized.value is not None
    assert faithful.normalized.value < 0.5


@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_only_completeness_notices_that_a_spare_is_missing(ablation: str) -> None:
    """0.0 alone is as faithful as both. Taken out, it ends the smaller circuit, and not the model, which has 0.1."""
    whole, alone = judged("either", true("either"), ablation), judged("either", less("either", SPARE), ablation)
    assert alone.faithfulness.gap == pytest.approx(whole.faithfulness.gap, abs=1e-6)
    assert alone.faithfulness.normalized.value == pytest.approx(1, abs=1e-6)
    assert "0.0" in alone.completeness.worst.parts
    assert alone.completeness.worst.gap > 1.5
    [asked] = [gap for gap in alone.completeness.by_variable if gap.variable == "wanted"]
    assert asked.parts == ("0.0",)
    assert asked.circuit > 1.5
    assert asked.model == pytest.approx(0, abs=1e-6)
    [both] = [gap for gap in whole.completeness.by_variable if gap.variable == "wanted"]
    assert both.parts == ("0.0", "0.1")
    if ablation == "mean":
        assert (whole.completeness.worst.parts, whole.completeness.worst.gap) == ((), 0)


def test_a_spare_is_needed_once_the_other_is_out() -> None:
    found = {n.part: n for n in judged("either", true("either"), random=RANDOM).minimality}
    assert (found["0.0"].context, found["0.1"].context) == (("0.1",), ("0.0",))
    assert found["1.0"].context == ()


def test_compared_with_no_random_parts_the_effects_stand_alone() -> None:
    """As in the paper: no null and no p, wherever it is told."""
    alone, tested = judged("either", true("either"), random=0), judged("either", true("either"))
    assert [(n.part, n.effect, n.context) for n in alone.minimality] == [
        (n.part, n.effect, n.context) for n in tested.minimality
    ]
    assert {(n.p, n.adjusted, n.n, n.minimal) for n in alone.minimality} == {(None, None, 0, False)}
    assert (alone.tests[0].p, alone.tests[1].p) == (None, None)
    assert alone.tests[2:] == tested.tests[2:]
    assert all("random=0" in found.reason for found in (*alone.minimality, *alone.tests[:2]))
    page = str(criteria_section(json.loads(json.dumps(alone.to_dict())), ""))
    for told in (str(alone), page):
        assert EFFECTS_ALONE in told
        assert "shown to be needed" not in told


def test_idle_parts_are_not_shown_to_be_needed_and_change_nothing_else() -> None:
    """0.3 is never read and 1.1 is zero."""
    own, more = true("either"), true("either") | Circuit.parse("0.3 @ END, 1.1 @ END")
    found, before = judged("either", more, random=RANDOM), judged("either", own, random=RANDOM)
    idle = [n for n in found.minimality if not n.minimal]
    assert [(n.part, n.effect, n.adjusted) for n in idle] == [("0.3", 0, 1), ("1.1", 0, 1)]
    assert len(found.minimality) == len(own) + 2
    assert found.faithfulness.to_dict() == before.faithfulness.to_dict()
    assert found.table == before.table
    assert found.completeness.worst == before.completeness.worst


# completeness


@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_gaps_are_those_of_two_direct_runs(ablation: str) -> None:
    circuit = less("either", SPARE)
    found, rows = judged("either", circuit, ablation), judged("either", circuit, ablation).table["row"]
    for gap in found.completeness.by_variable:
        knocked = Circuit.from_parts(dict(circuit.roles)[gap.variable] & set(circuit.parts))
        own = direct("either", circuit - knocked, rows, ablation=ablation)
        model = direct("either", knocked, rows, ablation=ablation, without=True)
        assert (gap.circuit, gap.model) == pytest.approx((own, model), abs=1e-5)
        assert gap.gap == pytest.approx(abs(own - model), abs=1e-5)


def test_the_gap_of_the_worst_set_is_measured_on_the_other_half() -> None:
    circuit = less("compose", "0.0 @ VALUE")
    found = judged("compose", circuit, "zero").completeness.worst
    knocked = Circuit.from_parts(part for part, name in circuit.names().items() if name in found.parts)
    measuring = halves(bench_of("compose", circuit, ablation="zero"))[1].rows
    own = direct("compose", circuit - knocked, measuring, ablation="zero")
    model = direct("compose", knocked, measuring, ablation="zero", without=True)
    assert (found.circuit, found.model) == pytest.approx((own, model), abs=1e-5)
    assert len(measuring) == ROWS // 2


def test_greedy_search_tries_no_more_parts_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gaps` is asked for the empty set, then for the parts of one step."""
    asked: list[int] = []
    original = completing.gaps
    monkeypatch.setattr(completing, "gaps", lambda b, c, K: asked.append(len(K)) or original(b, c, K))
    circuit = less("either", SPARE)
    tried = [completing._greedy(bench_of("either", circuit, seed), circuit, 1)[-1] for seed in range(4)]
    assert {tuple(map(str, parts)) for parts in tried} == {
        (),
        ("0.0 @ END",),
    }  # one part; only 0.0 makes a difference
    assert asked == [1, 1] * 4


@pytest.mark.parametrize("seed", range(4))
def test_the_worst_set_is_never_better_than_another_that_was_looked_at(seed: int) -> None:
    """A search of one part on two rows is blind: what it finds may be nothing on the other two."""
    circuit = less("either", SPARE)
    bench = bench_of("either", circuit, seed)
    bench = bench.on(bench.rows[:4])
    found, measuring = completeness(bench, circuit, budget=1), halves(bench)[1]
    looked_at = [frozenset(), *(dict(circuit.roles)[gap.variable] & set(circuit.parts) for gap in found.by_variable)]
    known = [abs(c - m) for c, m in completing.gaps(measuring, circuit, looked_at)]
    assert found.worst.gap >= max(*known, *found.random) - 1e-6
    assert (found.searched, found.rows, found.apart) == (2, 2, True)
    assert not completeness(bench.on(bench.rows[:3]), circuit, random=1).apart


def test_halves_are_disjoint_and_drawn_by_the_seed_whatever_the_order_of_the_rows() -> None:
    bench = bench_of("either", true("either"))
    first, second = halves(bench)
    assert sorted([*first.rows, *second.rows]) == bench.rows.tolist()
    assert set(first.rows) & set(second.rows) == set()
    assert set(halves(bench_of("either", true("either"), seed=1))[0].rows) != set(first.rows)
    data = bench.experiment.data
    turned = halves(bench_of("either", true("either"), data=Dataset.from_rows(zoo_rows("compiled-or", 300, 1)[::-1])))
    assert set(len(data) - 1 - turned[0].rows) == set(first.rows)


# minimality


@pytest.mark.parametrize(("name", "ablation"), [("either", "mean"), ("compose", "zero")])
def test_effects_are_those_of_two_direct_runs_on_the_measuring_half(name: str, ablation: str) -> None:
    circuit = true(name)
    names = {text: part for part, text in circuit.names().items()}
    measuring = halves(bench_of(name, circuit, ablation=ablation))[1].rows
    for needed in judged(name, circuit, ablation, RANDOM).minimality:
        rest = circuit - Circuit.from_parts(names[text] for text in needed.context)
        own = direct(name, rest, measuring, ablation=ablation)
        knocked = direct(name, rest - Circuit.from_parts([names[needed.part]]), measuring, ablation=ablation)
        assert needed.effect == pytest.approx(abs(own - knocked), abs=1e-5), needed


@pytest.mark.parametrize("seed", range(3))
def test_no_part_of_a_random_circuit_is_called_needed(seed: int) -> None:
    """Wrong heads with the right embeddings: of each four, one at least is missing without which nothing is found."""
    bench = bench_of("either", true("either"), seed)
    [wrong] = random_circuits(true("either"), bench.universe, 1, seed, outside=True)
    found = minimality(bench, wrong, 30)
    assert len(found) == 7
    assert [n.part for n in found if n.p is None or n.p < 0.05] == []


def test_adjusted_values_are_no_smaller_and_no_context_holds_its_own_part() -> None:
    for found in (
        judged("either", true("either"), "mean", RANDOM),
        judged("compose", true("compose"), "zero", RANDOM),
    ):
        for needed in found.minimality:
            assert needed.p is not None
            assert needed.adjusted is not None
            assert needed.p <= needed.adjusted <= 1
            assert needed.part not in needed.context
        assert min(n.adjusted or 0 for n in found.minimality) > min(n.p or 1 for n in found.minimality)


def test_with_everything_in_the_circuit_there_is_nothing_to_compare_with() -> None:
    every = bench_of("either", Circuit.parse("1.0 @ END")).everything
    found = judged("either", every)
    assert {(n.p, n.adjusted, n.minimal) for n in found.minimality} == {(None, None, False)}
    [reason] = {n.reason for n in found.minimality}
    assert reason.startswith("nothing else can be drawn: the circuit has every part of its kinds")
    assert [(t.p, t.n, t.reason) for t in found.tests[:2]] == [(None, 0, reason)] * 2
    assert str(found).count(": nothing else can be drawn") == 3
    [inputs] = {n.reason for n in judged("either", Circuit.parse("embed @ VALUE")).minimality}
    assert inputs == "the circuit has no parts but inputs, which every random circuit keeps"


# the tests beside the criteria


@pytest.mark.parametrize(("name", "ablation"), [
    ("either", "mean"), ("either", "zero"), ("compose", "mean"), ("induction", "mean"), ("induction", "zero"),
])  # fmt: skip
def test_a_perfect_circuit_is_never_rejected(name: str, ablation: str) -> None:
    random = FEW if (name, ablation) == ("either", "zero") else RANDOM  # what is known already
    found = {t.name: t for t in judged(name, true(name), ablation, random).tests}
    assert (found["equivalent to the model"].statistic, found["equivalent to the model"].p) == (0, 1)
    assert found["partial necessity"].p == pytest.approx(0.9**random)


def test_the_whole_model_is_equivalent_to_itself() -> None:
    every = bench_of("either", Circuit.parse("1.0 @ END")).everything
    found = {t.name: t for t in judged("either", every).tests}
    assert found["equivalent to the model"].p == 1


@pytest.mark.parametrize("name", ["either", "compose"])
def test_the_true_circuit_is_better_than_random_ones(name: str) -> None:
    """Among few heads one random circuit in fifty may be the circuit itself: a tie, which is no win."""
    found = {t.name: t for t in judged(name, true(name), random=RANDOM).tests}
    assert found["better than random circuits of equal size"].p < 0.05
    assert found["better than random circuits of equal size"].n == RANDOM


def test_a_wrong_circuit_is_rejected_and_no_better_than_random_ones() -> None:
    found = {t.name: t for t in judged("either", less("either", LABEL)).tests}
    assert found["equivalent to the model"].p < 1e-3
    assert found["better than random circuits of equal size"].p > 0.5


def test_the_report_says_where_too_few_were_drawn_to_show_anything() -> None:
    few, many = judged("either", true("either")), judged("either", true("either"), random=RANDOM)
    said = [line.strip() for line in str(few).splitlines() if "are needed" in line]
    assert said[0] == "with 4 random parts the smallest adjusted p is 1.000; 47 are needed for 7 parts (random=)"
    assert said[1:] == ["with 4 random circuits the smallest p is 0.656; 29 are needed (random=)"] * 2
    assert len(true("either")) == 7
    assert "are needed" not in str(many)
