"""What a claim leaves out: the sender that it lacks is named, and its gain is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

import scrub
from reference import scrubbed
from score.cases import ERROR, bench_of, claim_of, graph, rows_of
from scrub import Hypothesis, nodes
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.collect import collect
from scrub.engine.given import Gift, left_out_of
from scrub.engine.unroll import unroll
from scrub.model.memory import Backend
from scrub.model.resolve import sound
from scrub.report.left_out import LOSSES, left_out_lines
from scrub.report.page.sections.breaks import _left_out
from scrub.report.text import result_text
from scrub.score import giving
from scrub.score.cost import FULL, Spending
from scrub.score.giving import _Search, what_is_left_out
from scrub.score.left_out import LeftOut
from scrub.score.sample import sample
from scrub.score.taken import Taken
from scrub.verbs import setup

SUM = graph(h=lambda x: 10 * x, out=lambda h, y, z: h + y + 0 * z)
CHAIN = graph(h=lambda x: 10 * x, g=lambda y, z: y + 0 * z, out=lambda h, g: h + g)


def sums(model: Any = SUM, **options: Any) -> Hypothesis:
    """The answer is 10 x + y, and the claim knows x alone."""
    made = [{"x": x, "y": y, "z": z, "label": 10 * x + y} for x in range(3) for y in range(6) for z in range(3)]
    story = {"tens": lambda x: 10 * x, "answer": lambda tens: tens}
    answer = nodes("out").reads(h="tens")
    return claim_of(model, story, {"tens": "h", "answer": answer}, rows_of(made), metric=ERROR, **options)


@pytest.mark.parametrize("exact", [False, True])
def test_the_input_that_is_left_out_is_named_beside_a_verdict(exact: bool) -> None:
    result = scrub.test(sums(expect=scrub.recovers(0.95)), draws=8, exact=exact)
    assert result.verdict == "refuted"
    (found,) = result.left_out
    assert (found.reader, found.channel, found.sender, found.at) == ("answer", "y", Component.for_node("y"), None)
    assert found.gain == pytest.approx(1 - (result.recovered.value or 0), abs=0.02 if exact else 0.2)
    assert result.to_dict()["left_out"][0]["sender"] == "y"
    assert f"answer reads y, which the claim leaves out: {found.gain:.2f}" in result_text(result)
    assert _left_out(result.to_dict()["left_out"])[0] is not None


def test_what_cancels_within_a_row_is_named_by_what_each_sender_costs_alone() -> None:
    """No rest costs anything, so that nothing is gained; and a claim that is made larger takes none of it."""
    model = graph(u=lambda z: 3 * z, w=lambda z: 3 * z, out=lambda x, u, w: x + u - w)
    made = [{"x": x, "z": z, "label": x, "n": n} for x in range(4) for z in range(4) for n in range(3)]
    hypothesis = claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")},
                          rows_of(made), metric=ERROR, expect=scrub.recovers(0.9))  # fmt: skip
    result = scrub.test(hypothesis, draws=8)
    assert (result.verdict, result.recovered.value) == ("inconclusive", 1)
    assert {one.channel for one in result.left_out} == {"u", "w"}
    assert all(one.gain < -0.5 for one in result.left_out)
    assert LOSSES in result_text(result)
    assert not scrub.grow(hypothesis, draws=8).steps


def test_of_a_supported_claim_and_without_explaining_nothing_is_looked_for() -> None:
    assert not scrub.test(sums(), draws=4, explain=False).left_out
    assert not scrub.test(sums(expect=scrub.recovers(0.05)), draws=4).left_out


@pytest.mark.parametrize("options", [{}, {"through": "g"}, {"rest": "mean"}, {"rest_scope": "draw"}])
def test_gains_are_those_of_the_slow_recursion(options: dict[str, Any]) -> None:
    """On all rows and the few draws that are asked for; where something is passed through, what leads there too."""
    hypothesis = sums(CHAIN, **options)
    claim, _ = sound(hypothesis, None)
    bench, references = bench_of(hypothesis), np.flatnonzero(claim.scored)[:12]
    taken = Taken(bench, sample(bench, references, 8, 0), 0)
    found = what_is_left_out(taken, FULL)
    senders = {"g", "y"} if "through" in options else {"g"}
    assert {one.sender.name for one in found} == senders
    scale = taken.samples.random.mean() - taken.samples.model.mean()
    for one in found:
        gift = Gift(unroll(claim).path, one.channel, one.sender)

        def error(gifts: tuple[Gift, ...]) -> float:
            labels = [row.columns["label"] for row in claim.data.rows]
            values = [
                abs(scrubbed(claim, bench.rows.model, 0, int(row), draw, gifts=gifts) - labels[row])
                for row in references for draw in taken.draws
            ]  # fmt: skip
            return float(np.mean(values))

        assert one.gain == pytest.approx((error(()) - error((gift,))) / scale, abs=1e-10)


ONE = LeftOut("found", "1.0 @ END", "q", Component.for_attn(0), Slot("END"), 0.29, "answer/x",
              tuple(Component.for_head(0, h) for h in range(4)))  # fmt: skip


def test_heads_of_a_layer_are_told_together_and_one_alone_where_it_gains_as_much() -> None:
    head = evolve(ONE, sender=Component.for_head(0, 2), senders=(Component.for_head(0, 2),), gain=0.1)
    mlp = evolve(ONE, reader="answer", channel="input", sender=Component.for_mlp(0), senders=(Component.for_mlp(0),),
                 gain=0.05)  # fmt: skip

    def lines(*found: LeftOut) -> list[str]:
        return left_out_lines([one.to_dict() for one in found])

    together = "found.q reads heads 0.0-0.3 @ END, which the claim leaves out: 0.29"
    assert lines(head, ONE, mlp) == [together, "answer reads mlp 0 @ END, which the claim leaves out: 0.05"]
    assert lines(ONE, evolve(head, gain=0.28)) == ["found.q reads head 0.2 @ END, which the claim leaves out: 0.28"]


def without_query(rows: int, draws: int) -> Taken:
    claim, source = sound(collect(["hypotheses/names.py::no_query"]).hypotheses[0], None)
    bench = setup.bench_of(claim, source, setup.weights_of(source, claim.data, Backend()))
    return Taken(bench, sample(bench, np.flatnonzero(bench.claim.scored)[:rows], draws, 0), 0)


def test_senders_that_do_little_on_few_rows_are_run_on_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is in the order that all rows give it, the first are those of a screen of all on all rows."""
    taken, calls, given = without_query(40, 2), list[int](), _Search._given
    search = _Search(taken, Spending(2.0, 3), lambda name, calls: None)
    search, gifts = search.able(
        [gift for path in search.costly() for gift in left_out_of(taken.bench.claim, search.nodes[path])]
    )
    groups = [(gift,) for gift in gifts][::4]
    whole = dict(zip(groups, given(search, groups, taken.everyone, 1), strict=True))

    def counted(self: _Search, some: Any, at: Any, few: Any) -> list[float]:
        calls.append(len(some) * len(at))
        return given(self, some, at, few)

    monkeypatch.setattr(_Search, "_given", counted)
    best = search._best(groups, taken.everyone)
    assert best == sorted(best, key=lambda group: -whole[group])
    assert best[:3] == sorted(whole, key=lambda group: -whole[group])[:3]
    rounds = [len(groups) * 16, -(-len(groups) // 2) * 16, -(-len(groups) // 4) * 8]
    assert calls == rounds


def test_however_many_senders_a_model_has_a_step_costs_no_more_than_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a layer with claimed heads each other head is a sender of its own; it is told of no fewer for that."""
    taken = without_query(16, 8)
    monkeypatch.setattr(giving, "LEAST_EVALUATED", 1)
    steps: list[float] = []
    given = _Search._given

    def counted(self: _Search, groups: Any, at: Any, few: Any) -> list[float]:
        steps.append(sum(map(self.work, groups)) * len(at) / self.budget)
        return given(self, groups, at, few)

    monkeypatch.setattr(_Search, "_given", counted)
    assert what_is_left_out(taken, Spending(0.5, 3, 16, 2))
    assert len(steps) == 3  # layers, senders of the best, those that are measured
    assert max(steps[:2]) <= 1
