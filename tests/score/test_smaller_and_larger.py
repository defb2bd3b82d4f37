"""Claims made smaller and larger: what is superfluous goes, what is needed stays, what is missing is added."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner

import scrub
from claims.test_edited import FILE
from score.cases import ERROR, claim_of, graph, rows_of
from score.part_claims import READ, axis, part, units
from score.part_claims import claim_of as bits_at
from score.test_earned import cancelling, idle, mates, needless, pairs, redundant
from score.test_left_out import sums
from scrub import Hypothesis, directions, nodes
from scrub.claims.code import Changes
from scrub.claims.sites import Site
from scrub.cli.group import main
from scrub.errors import ClaimError
from scrub.model.resolve import sound
from scrub.score.revision import Revision
from scrub.score.statistics import Interval
from scrub.verbs import searching
from scrub.verbs.searching import _not_shown
from scrub.verbs.setup import sampled

PARITY = graph(h=lambda x: x, out=lambda h: h % 2)
CHAIN = graph(h=lambda x: x, g=lambda h, y: h + 0 * y, other=lambda y: y, out=lambda g, other: g + 0 * other)


def whats(revision: Revision) -> list[str]:
    return [step.what for step in revision.steps]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("claim", "steps"),
    [(redundant, ["without one"]), (mates, ["both without a", "without the edge both -> answer.a"]),
     (idle, ["without more"]), (needless, ["without the edge y -> mid.y"])],
)  # fmt: skip
def test_what_is_superfluous_goes(claim: Any, steps: list[str], exact: bool) -> None:
    """And the claim that is left is tested on rows that chose nothing, where it loses nothing."""
    found = scrub.shrink(claim(), draws=8, exact=exact)
    assert whats(found) == steps
    assert found.difference.value == pytest.approx(0, abs=1e-12)
    seen = {row.input_digest for row in sound(found.claim, None)[0].data.rows}
    assert not seen & set(found.claim.options.seen)
    assert scrub.test(found.claim, exact=True).verdict == "supported"
    assert not scrub.shrink(found.claim.but(seen=()), draws=8, exact=exact).steps


@pytest.mark.parametrize(
    ("site", "steps", "said"),
    [(units("1.0 1.1 1.2"), ["bits without mlp 1.2"], "bits=neurons('mlp 1.0, mlp 1.1', at='END')"),
     (part(directions(axis(READ)[None], name="U"), directions(axis(READ + 1)[None], name="V")),
      ["bits without mlp 1[V]"], "bits=held_by(claim, 'bits', 'mlp 1[U]', at='END')")],
)  # fmt: skip
def test_parts_of_components_go_one_by_one(site: Site, steps: list[str], said: str) -> None:
    """Of an MLP that copies bits, the neurons or the direction of a bit at which nobody looks."""
    found = scrub.shrink(bits_at(site), draws=8)
    assert sorted(whats(found)) == steps
    assert said in found.text


def test_a_minimal_claim_stays_as_it_is() -> None:
    found = scrub.shrink(cancelling(), exact=True)
    assert found.claim is not None
    assert sound(found.claim, None)[0].digest == sound(cancelling(), None)[0].digest
    assert (found.steps, found.text) == ((), "")
    assert "Nothing can go" in str(found)


def parity(answer: Any = lambda x_is: x_is % 2) -> Hypothesis:
    data = pairs(label=lambda x, y: x % 2)
    return claim_of(
        PARITY, {"x_is": lambda x: x, "answer": answer}, {"x_is": "h", "answer": "out"}, data, metric=ERROR
    )


def test_values_that_are_interchangeable_are_merged_while_the_story_answers_the_same() -> None:
    found = scrub.shrink(parity(), exact=True)
    assert whats(found) == ["2 and 0 of x_is are one value", "3 and 1 of x_is are one value"]
    assert found.text.startswith("claim_smaller = coarser(claim, x_is=[(0, 2), (1, 3)]).but(")
    assert len(set(sound(found.claim, None)[0].values["x_is"])) == 2


def test_what_passes_nothing_on_is_not_passed_through() -> None:
    data = pairs(label=lambda x, y: x)
    sites = {"first": "h", "answer": nodes("out").reads(g="first")}
    claim = claim_of(CHAIN, {"first": lambda x: x, "answer": lambda first: first}, sites, data, metric=ERROR,
                     through="g other")  # fmt: skip
    found = scrub.shrink(claim, exact=True)
    assert whats(found) == ["nothing passes through other"]
    assert found.claim.options.through == ("g",)


def test_what_is_missing_is_added_until_nothing_costs_anything() -> None:
    found = scrub.grow(sums(), exact=True)
    assert whats(found) == ["answer reads y as y"]
    assert found.after == pytest.approx(1)
    assert found.steps[0].effect > 0.1
    assert (found.difference.low or 0) > 0.1
    assert not scrub.grow(found.claim, exact=True).steps


def test_an_edge_that_is_missing_is_read_again() -> None:
    forgets = cancelling().but(answer=nodes("out").reads(x="x", u="up").omits("down"))
    assert whats(scrub.grow(forgets, exact=True)) == ["answer reads down"]


def test_only_a_supported_claim_is_made_smaller() -> None:
    with pytest.raises(
        ClaimError,
        match=r"is refuted on its 54 rows .*0.95\), and only .* grow would begin with: answer reads y, which",
    ):
        scrub.shrink(sums(expect=scrub.recovers(0.95)), exact=True)
    with pytest.raises(ClaimError, match=r"Give the claim 20 more to score\), and .* is made smaller\.$"):
        scrub.shrink(redundant(), rows=10)
    for worth in (1, "some", True):
        with pytest.raises(ClaimError, match=f"worth={worth!r}: say what may be lost"):
            scrub.grow(sums(), worth=worth)
    with pytest.raises(ClaimError, match=r"has no such name at its top"):
        scrub.shrink(idle(), write="smaller.py")


def test_the_claims_own_rows_are_sampled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the verdict, the search and the measure: each half has its numbers from one sample of all."""
    asked: list[int] = []

    def counting(bench: Any, used: Any, *options: Any) -> Any:
        asked.append(len(used))
        return sampled(bench, used, *options)

    monkeypatch.setattr(searching, "sampled", counting)
    found = scrub.shrink(mates(), draws=4)
    assert found.steps
    rows = len(sound(mates(), None)[0].data)
    assert sorted(asked)[-1] == rows
    assert max(asked[1:]) < rows


def test_rows_that_are_left_may_be_too_few_for_a_verdict() -> None:
    few = idle().but(data=rows_of({"x": x, "y": y, "label": 10 * x} for x, y in product(range(6), range(6))))
    (note,) = [n for n in scrub.shrink(few, exact=True).notes if "left" in n]
    assert "scored rows are left to test it on, and a verdict takes 30" in note
    assert not [n for n in scrub.shrink(idle(), exact=True).notes if "left" in n]


def test_what_is_missing_is_added_to_a_claim_that_does_not_say_what_it_expects() -> None:
    assert whats(scrub.grow(sums(expect=None), exact=True)) == ["answer reads y as y"]
    with pytest.raises(ClaimError, match="does not say what it expects"):
        scrub.shrink(sums(expect=None), exact=True)


def test_it_is_told_where_other_rows_do_not_show_what_was_found() -> None:
    """The claim is read off rows that were searched; those that chose nothing may not agree."""
    more, less = Interval(0.0, -0.01, 0.02, 0.95), Interval(0.1, 0.05, 0.2, 0.95)
    some = Changes(places={"x": None})
    (note,) = _not_shown("grow", some, more, 0.01)
    assert "does not clearly recover more" in note
    (note,) = _not_shown("shrink", some, evolve(more, low=-0.02), 0.01)
    assert "may lose more than 0.01" in note
    assert not [*_not_shown("grow", some, less, 0.01), *_not_shown("shrink", some, more, 0.01)]
    assert not [*_not_shown("grow", Changes(), more, 0.01)]


def test_the_commands_write_a_claim_that_can_be_tested(tmp_path: Path) -> None:
    own, new = tmp_path / "own.py", tmp_path / "smaller.py"
    own.write_text(FILE)
    said = CliRunner().invoke(main, ["shrink", f"{own}::own", "--draws", "8", "--write", str(new)])
    assert said.exit_code == 0, said.output
    assert "without" in said.output
    assert f"wrote {new}" in said.output
    tested = CliRunner().invoke(main, ["test", str(new), "--exact"])
    assert "own_smaller" in tested.output
    assert "which a search saw" not in tested.output
    again = CliRunner().invoke(main, ["grow", f"{own}::own", "--exact", "--json", "-", "--write", str(new)])
    assert again.exit_code == 2
    assert "exists already" in again.output
    elsewhere = CliRunner().invoke(main, ["grow", f"{own}::own", "--write", str(tmp_path / "x" / "y.py")])
    assert "write it beside it" in elsewhere.output


def test_its_faces() -> None:
    found = scrub.shrink(idle(), exact=True)
    assert found.frame()["what"].tolist() == ["without more"]
    assert "without more" in found._repr_html_()
    told = found.to_dict()
    assert told["steps"] == [{"what": "without more", "effect": pytest.approx(0)}]
    assert told["difference"]["value"] == pytest.approx(0)


def test_rows_with_equal_inputs_are_in_one_half() -> None:
    made = rows_of([{"x": x, "w": 0, "label": x} for x in range(4)] * 8)
    claim = claim_of(PARITY, {"answer": lambda x: x}, {"x": "x", "answer": "out"}, made, metric=ERROR,
                     through="h", expect=scrub.recovers(0.1))  # fmt: skip
    found = scrub.grow(claim.but(answer=nodes("out")), exact=True)
    assert (found.seen, found.rows) == (16, 16)
