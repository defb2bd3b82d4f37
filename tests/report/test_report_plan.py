"""The plan of a test in words: what is asked for, what is made, what it costs."""

from __future__ import annotations

from attrs import evolve

import scrub
from score.cases import sum_claim, tiny_transformer, token_claim, token_rows
from scrub.engine.cost import Pass, Plan, Verb
from scrub.report.plan import plan_text

PLAN = Plan("claim", 10, 4, 30, 3, 5, 12_000, 9_000, 8.0, {"x": 0, "y": 2}, True, "")


def test_a_plan_as_it_reads() -> None:
    assert plan_text(PLAN).splitlines() == [
        "claim  10 rows x 4 draws from a pool of 30",
        "    the claim unrolls to 3 occurrences, 5 different steps",
        "    12,000 evaluations are asked for; 9,000 are made, 3,000 are shared",
        "    cost: 30 forward passes for the pool, and about 8.0 for the draws (0.200 a row and draw)",
        "    streams are recomputed at every position: heads are passed through, or a site is at 'all'",
        "    rows without a partner that agrees (they can only be replaced by themselves): y 2",
    ]


VERBS = (
    Verb("test", (Pass("draws", 40, 8.0), Pass("what breaks it (if refuted)", 1_640, 328.4, "<="))),
    Verb("criteria", (), "cannot be run on this claim: no pairs"),
)


def test_the_passes_of_every_verb_stand_below_it() -> None:
    assert plan_text(evolve(PLAN, verbs=VERBS)).splitlines()[6:] == [
        "",
        "    verb      pass                                      calls  forward passes",
        "    test                                                               <= 336",
        "              draws                                        40               8",
        "              what breaks it (if refuted)            <= 1,640          <= 328",
        "    criteria  cannot be run on this claim: no pairs",
    ]


def test_a_graph_costs_no_forward_passes() -> None:
    text = str(scrub.plan(sum_claim(), draws=3))
    assert text.startswith("claim  12 rows x 3 draws from a pool of 12\n")
    assert "forward" not in text
    assert "without a partner" not in text
    assert "cost: 12 forward passes" in str(scrub.plan(token_claim(tiny_transformer(), token_rows(), metric="kl")))
