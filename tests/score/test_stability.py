"""Stability: the same claim asked in other ways, one line each, and what its verdict depends on."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import scrub
from score.cases import ERROR, claim_of, graph, rows_of, tiny_transformer, token_claim, token_rows
from score.test_apart import cancelling
from scrub import Hypothesis, nodes, protocol
from scrub.claims.variations import HALF, NO_MARKS, NO_PAIR, POLICY, SEED, UNALIGNED, variations
from scrub.model.resolve import sound
from scrub.report.stability import dependence
from scrub.score.stability import StabilityLine

ROWS = [
    {"x": x, "y": y, "label": 4 * x + y, "template": f"t{n}", "some": y < 2, "mate": (7 * i + 5) % 48}
    for i, (x, y, n) in enumerate(product(range(4), range(4), range(3)))
]


def left_out(rows: list[dict[str, Any]] = ROWS, **options: Any) -> Hypothesis:
    """Of out = 4 x + y only x is claimed to matter."""
    return claim_of(
        graph(out=lambda x, y: 4 * x + y), {"answer": lambda x: 4 * x},
        {"x": "x", "answer": nodes("out").reads(x="x")}, rows_of(rows), **{"metric": ERROR, **options},
    )  # fmt: skip


def lines_of(hypothesis: Hypothesis, **options: Any) -> dict[str, StabilityLine]:
    return {line.name: line for line in scrub.test(hypothesis, stability=True, draws=4, **options).stability}


@pytest.fixture(scope="module")
def lines() -> dict[str, StabilityLine]:
    return lines_of(left_out(criteria=protocol(reference="some", pair="mate")), seed=5)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("as claimed", {}),
        ("rest='keep'", {"rest": "keep"}),
        ("rest='paired', pair='mate'", {"rest": "paired", "pair": "mate"}),
        ("rest='mean'", {"rest": "mean"}),
        ("rest='zero'", {"rest": "zero"}),
        ("rest_scope='input'", {"rest_scope": "input"}),
        ("rest_scope='draw'", {"rest_scope": "draw"}),
        ("rest_rows='some'", {"rest_rows": "some"}),
    ],
)
def test_a_policy_is_the_claim_tested_so(lines: dict[str, StabilityLine], name: str, changes: dict[str, Any]) -> None:
    alone = scrub.test(left_out(**changes), draws=4, seed=5, parts="none", controls="none")
    assert lines[name].recovered == alone.recovered
    assert lines[name].bar == alone.bar


def test_other_seeds(lines: dict[str, StabilityLine]) -> None:
    assert [line.name for line in lines.values() if line.kind == SEED] == ["seed 6", "seed 7", "seed 8"]
    assert lines["seed 7"].recovered.value == scrub.test(left_out(), draws=4, seed=7).recovered.value
    assert not [line for line in lines_of(left_out(), exact=True).values() if line.kind == SEED]


def test_a_half_is_the_claim_on_those_rows_alone(lines: dict[str, StabilityLine]) -> None:
    """Donors and rests come from the half too."""
    halves = [line for line in lines.values() if line.kind == HALF]
    assert [(line.name, line.rows) for line in halves] == [("template t0, t2", 32), ("template t1", 16)]
    alone = scrub.test(left_out([row for row in ROWS if row["template"] == "t1"]), draws=4, seed=5)
    assert halves[1].recovered.value == pytest.approx(alone.recovered.value)


def test_without_a_column_rows_are_halved_and_stay_with_their_partners() -> None:
    rows = [{n: v for n, v in row.items() if n != "template"} | {"mate": i ^ 1} for i, row in enumerate(ROWS)]
    claim, _ = sound(left_out(rows, rest="paired", pair="mate"))
    halves = [set(v.changes["seen"]) for v in variations(claim) if v.kind == HALF]
    digests = [row.input_digest for row in claim.data.rows]
    assert halves[0] | halves[1] == set(digests)
    assert not halves[0] & halves[1]
    assert all(len({digests[i] in halves[0], digests[i ^ 1] in halves[0]}) == 1 for i in range(len(digests)))
    assert {line.rows for line in lines_of(left_out(rows)).values() if line.kind == HALF} == {24}


def test_what_cannot_be_asked_is_a_line_that_says_so() -> None:
    words = claim_of(
        graph(out=lambda x, y: x), {"answer": lambda x: x}, {"x": "x", "answer": nodes("out").reads(x="x")},
        rows_of({"x": i % 3, "y": "ab"[i % 2], "label": i % 3} for i in range(24)), metric=ERROR,
    )  # fmt: skip
    lines = lines_of(words)
    assert lines["rest='paired'"].note == NO_PAIR
    assert lines["rest_rows="].note == NO_MARKS
    for name in ("rest='mean'", "rest='paired'", "rest_rows="):
        assert lines[name].verdict is None
        assert lines[name].note
    assert "values of node 'y' have no mean" in lines["rest='mean'"].note
    assert lines["rest='keep'"].verdict == "supported"


def test_what_aligns_rows_is_asked_within_what_makes_lengths_equal() -> None:
    listed = [*token_rows(6, 5).rows, *token_rows(6, 4).rows]

    def named(sized: bool) -> list[str]:
        sizes = [{"size": len(row.tokens)} if sized else {} for row in listed]
        rows = [
            {"tokens": row.tokens, "positions": row.positions, "columns": {"label": 1, "number": i, **size}}
            for i, (row, size) in enumerate(zip(listed, sizes, strict=True))
        ]
        made = scrub.Dataset.from_rows(rows if sized else [{**r, "columns": {"label": 1}} for r in rows])
        claim, _ = sound(token_claim(tiny_transformer(), made, metric="loss(label)"))
        return [f"{v.name}{v.lacking}" for v in variations(claim) if v.kind == POLICY]

    assert {"rest='mean', within='size'", "rest_scope='input', within='size'", "within='size'"} <= {*named(True)}
    assert f"rest='mean'{UNALIGNED}" in named(False)


def test_a_verdict_that_depends_on_the_policy_says_so() -> None:
    lines = [line.to_dict() for line in scrub.test(cancelling(), stability=True, draws=6).stability]
    (said,) = [text for text in dependence(lines) if "rest policy" in text]
    assert said.startswith("the verdict depends on the rest policy: supported as claimed, ")
    assert "refuted with rest_scope='input'" in said
    assert dependence([line for line in lines if not line["kind"] or line["verdict"] == "supported"]) == ()
