"""`nodes("c").holds(fn)`: fn of what a site gives is the variable's value, on a share of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scrub
from claim_cases import checked, names_sites
from score.cases import claim_of, graph, resolved, rows_of
from scrub import Dataset, heads, nodes, recovers
from scrub.errors import ClaimError

DATA = rows_of({"x": i % 5, "y": i % 3, "sum": i % 5 + i % 3} for i in range(30))
SAMPLE = rows_of({**row.columns, "n": n} for n, row in enumerate(DATA.rows))  # for all that is known there are others
MODEL = graph(c=lambda x: 10 * x + 1, d=lambda y: [y, "y"], out=lambda c, d: _logits(c // 10 + d[0]))


def _logits(answer: int) -> list[float]:
    return [float(answer == i) for i in range(7)]


def held(fn: Any = None, other: Any = None, data: Dataset = DATA, model: Any = MODEL, **options: Any) -> Any:
    """c holds 10 x + 1 and d holds y beside a word; out is their sum, as logits."""
    c, d = nodes("c").reads(x="x"), nodes("d").reads(y="y")
    c, d = (c if fn is None else c.holds(fn)), (d if other is None else d.holds(other))
    sites = {"x": "x", "y": "y", "a": c, "b": d, "answer": nodes("out").reads(c="a", d="b")}
    story = {"a": lambda x: x, "b": lambda y: y, "answer": lambda a, b: a + b}
    return claim_of(model, story, sites, data, metric="accuracy(sum)", **{"expect": recovers(0.9), **options})


def test_what_a_site_holds_is_scored_on_every_row() -> None:
    result = scrub.test(held(lambda c: c // 10, lambda d: d[0]), exact=True)
    assert (result.verdict, [(p.variable, p.share.value) for p in result.holds]) == (
        "supported",
        [("a", 1), ("b", 1)],
    )
    assert result.to_dict()["holds"][0] == {"variable": "a", "value": 1, "low": 1, "high": 1, "site": "c"}
    assert "holds          the value is held on a share of rows: a at c 1.00 [1.00, 1.00]" in str(result)
    assert scrub.test(held(), exact=True).holds == ()


@pytest.mark.parametrize(("fn", "share"), [(lambda c: c, 0), (lambda c: 0, 0.2), (lambda c: str(c // 10), 0)])
def test_a_site_that_holds_something_else_refutes_the_claim(fn: Any, share: float) -> None:
    """Every swap is survived: up to renaming the variable is there. What is said of it is not."""
    result = scrub.test(held(fn), exact=True)
    assert (result.recovered.value, result.holds[0].share.value) == (1, share)
    assert result.verdict == "refuted"
    assert result.reason.startswith("c does not hold what is said of a")


def test_a_share_that_contains_the_expectation_is_inconclusive() -> None:
    result = scrub.test(held(lambda c: c // 10 if c < 41 else 0, data=SAMPLE, expect=recovers(0.8)), exact=True)
    assert (result.holds[0].share.value, result.verdict) == (0.8, "inconclusive")


def test_a_function_of_several_nodes_gets_one_argument_each() -> None:
    model = graph(c=lambda x: x // 2, d=lambda x: x % 2, out=lambda c, d: 2 * c + d)
    site = nodes("c d").reads(x="x").holds(lambda c, d: 2 * c + d)
    made = claim_of(model, {"a": lambda x: x, "answer": lambda a: a}, {
        "x": "x", "a": site, "answer": nodes("out").reads(c="a", d="a"),
    }, rows_of({"x": i % 5, "label": i % 5} for i in range(20)))  # fmt: skip
    assert scrub.test(made, exact=True).holds[0].share.value == 1


def test_what_is_wrong_with_it_is_told_at_once_with_its_rows() -> None:
    text = str(scrub.check(held(lambda c: 1 // (c - 1), lambda d: d[0] / 2)))
    assert ".holds(...), row 0 (and in rows 5, 10, 15, 20, 25): its function raised ZeroDivisionError" in text
    assert ".holds(...), row 0" in text
    assert "is a float: say how it is rounded" in text
    site = heads("0.1", at="S2").reads(q="s2", k="s1", v="s1").holds(lambda z: 1)
    assert ".holds(...) is about what a node of a computation graph gives; 0.1 @ S2 writes vectors." in str(
        checked(names_sites(doubled=site))
    )
    with pytest.raises(ClaimError, match=r"\.holds\(3\): give a function of what a site gives"):
        nodes("c").holds(3)  # type: ignore
    with pytest.raises(ClaimError, match=r"\.holds\(\.\.\.\) stands twice on c"):
        nodes("c").holds(str).holds(str)


def test_the_digest_knows_what_the_function_gives_and_not_its_code() -> None:
    plain, one, same, other = (
        resolved(held(fn)).digest for fn in (None, lambda c: c // 10, lambda c: (c - 1) // 10, lambda c: c)
    )
    assert len({plain, one, other}) == 3
    assert one == same


def test_a_function_may_not_change_what_others_read() -> None:
    result = scrub.test(held(None, lambda d: d.pop(0)), exact=True)
    assert (result.holds[0].share.value, result.verdict) == (1, "supported")


def test_it_is_frozen_as_what_it_gives_and_read_again(tmp_path: Path) -> None:
    made = held(lambda c: c // 10, lambda d: d[0], noise=(), expect=recovers(0.9, interchange=0.8))
    published = scrub.freeze(made, tmp_path / "it")
    facts = json.loads((tmp_path / "it" / "claim.json").read_text())
    assert facts["expect"] == {"share": 0.9, "any_swaps": False, "interchange": 0.8}
    assert [len(entry) for entry in facts["sites"]["a"][0]["holds"]] == [2] * 5
    assert "site of a: c: holds 5 values," in (tmp_path / "it" / "claim.txt").read_text()
    thawed = scrub.thaw(tmp_path / "it")
    assert scrub.check(thawed, MODEL).claim.digest == published.digest  # type: ignore
    result = scrub.test(thawed, MODEL, exact=True)
    assert [part.share.value for part in result.holds] == [1, 1]
    assert len(result.interchange) == 4
    other = graph(c=lambda x: 10 * x + 2, d=lambda y: [y, "y"], out=lambda c, d: _logits(c // 10 + d[0]))
    assert "the frozen claim stores no value for 2" in str(scrub.check(thawed, other))
    plain = scrub.freeze(held(), tmp_path / "plain")
    written = (tmp_path / "plain" / "claim.json").read_text()
    assert "holds" not in written
    assert "interchange" not in written
    assert plain.digest != published.digest


@pytest.mark.parametrize("wrong", [3, [["a"]], [["a", 3]], [["a", "nan"]]])
def test_a_frozen_table_that_is_none_is_told(tmp_path: Path, wrong: Any) -> None:
    scrub.freeze(held(lambda c: c // 10), tmp_path / "it")
    file = tmp_path / "it" / "claim.json"
    facts = json.loads(file.read_text())
    facts["sites"]["a"][0]["holds"] = wrong
    file.write_text(json.dumps(facts))
    with pytest.raises(ClaimError, match=r"claim\.json: field '?sites\.a\[0\]\.holds"):
        scrub.thaw(tmp_path / "it")
