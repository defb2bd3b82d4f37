"""Results in a notebook: the drawings of the report, the words of the terminal, safe as HTML, never an exception."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from attrs import evolve

import scrub
from score.cases import sum_claim
from scrub import Circuit, Dataset, Hypothesis, heads
from scrub.claims.collect import collect
from scrub.claims.problems import ClaimProblems, Problem
from scrub.claims.published import Published
from scrub.model.resolve import check
from scrub.report.figure import claim_svg
from scrub.report.notebook import explanation_html, hypothesis_html, problems_html, result_html
from scrub.report.shares import INK, shares_svg
from scrub.report.text import details, headline
from scrub.score.result import Result

GALLERY = Path(__file__).parents[2] / "hypotheses"
VOID = {"br", "hr", "img"}


class Reader(HTMLParser):
    """The text of a page, of its titles, and the tags that are open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.open, self.tags = "", list[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def names() -> Hypothesis:
    return next(h for h in collect([str(GALLERY / "names.py")]).hypotheses if h.name == "names")


@pytest.fixture(scope="module")
def result() -> Result:
    return scrub.test(sum_claim().foil("1 < 2 & <b>"), draws=2, explain=False)


def test_a_result_has_the_words_of_the_terminal_and_the_picture_of_the_report(result: Result) -> None:
    page = result_html(result)
    read = Reader(page)
    assert read.open == []
    assert headline(result) in read.text
    assert "\n".join(details(result)) in read.text
    assert "1 < 2 & <b>" in read.text
    assert shares_svg(result.to_dict()) in page
    assert result._repr_html_() == page


def test_words_of_fixed_width_name_their_font(result: Result) -> None:
    """A `pre` without one takes that of its surroundings where a notebook is exported."""
    assert '<pre style="font-family:ui-monospace,' in result_html(result)
    files = Path(scrub.report.__file__ or "").parent.glob("*.py")
    assert [file.name for file in files if "<pre" in file.read_text()] == ["fixed.py"]


@pytest.mark.parametrize("verdict", ["supported", "refuted", "inconclusive", "undefined"])
def test_every_verdict_has_a_colour(result: Result, verdict: str) -> None:
    assert f"color:{INK[verdict]}" in result_html(evolve(result, verdict=verdict))
    assert len(set(INK.values())) == 4


def test_an_explanation_keeps_its_columns_and_folds_its_rows() -> None:
    explanation = scrub.explain(sum_claim(), draws=2)
    read = Reader(explanation_html(explanation))
    assert read.open == []
    assert read.text.split() == str(explanation).split()
    assert read.tags.count("details") == len(explanation.worst) > 0


def test_a_hypothesis_shows_its_figure_and_loads_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrub.zoo import loading

    monkeypatch.setattr(loading, "weights", lambda card: pytest.fail("weights were loaded"))
    claim = check(names()).claim
    assert claim is not None
    assert claim_svg(claim) in names()._repr_html_()
    foil = names().foil("a < b")._repr_html_()
    assert "foil: a &lt; b" in foil


def test_a_hypothesis_that_is_unsound_shows_its_problems_in_place_of_the_figure() -> None:
    page = names().but(name=heads("1.7", at="END").reads(q="gatherd"))._repr_html_()
    read = Reader(page)
    assert "<svg" not in page
    assert "2 problems" in read.text
    assert "head 1.7 does not exist" in read.text
    assert "Did you mean gathered?" in read.text
    assert "test_notebook.py:" in read.text


def _fails() -> Dataset:
    raise RuntimeError("no <rows> here")


@pytest.mark.parametrize("model", ["no-such-model", 7, nx.DiGraph()])
def test_showing_a_hypothesis_never_raises(model: Any) -> None:
    shown = evolve(names(), model=model)._repr_html_()
    assert "problem" in shown
    assert "no &lt;rows&gt; here" in evolve(names(), data=_fails)._repr_html_()


def test_what_check_itself_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Hypothesis) -> Any:
        raise ZeroDivisionError("a < b")

    monkeypatch.setattr("scrub.model.resolve.check", broken)
    assert "ZeroDivisionError: a &lt; b" in hypothesis_html(names())


def test_problems_are_a_table_with_every_part_escaped() -> None:
    problem = Problem("x < 1", "write y & z", "near", "v", "h", "/tmp/a/claims.py", 3)
    read = Reader(problems_html([problem]))
    assert read.open == []
    assert "1 problem" in read.text
    for part in ("claims.py:3", "v", "x < 1", "Did you mean near? write y & z"):
        assert part in read.text
    assert problem._repr_html_() == ClaimProblems([problem])._repr_html_() == problems_html([problem])


def test_a_problem_of_a_notebook_names_no_file_of_the_kernel() -> None:
    problem = Problem("wrong", file="/tmp/ipykernel_71/2199351066.py", line=4)
    assert "cell:4" in problems_html([problem])
    assert "2199351066" not in problems_html([problem])


def test_a_plan_folds_its_tree_and_tells_it_as_networkx() -> None:
    plan = scrub.plan(names(), rows=10, draws=1)
    assert plan.tree is not None
    assert plan.tree._repr_html_() in plan._repr_html_()
    assert Reader(plan._repr_html_()).open == []
    assert plan.tree.graph.number_of_nodes() == plan.occurrences
    assert plan.tree.graph.nodes["answer"]["variable"] == "answer"
    assert "tree" not in plan.to_dict()


def test_a_plan_is_a_table_of_one_line() -> None:
    plan = scrub.plan(names(), rows=10, draws=1)
    frame = plan.frame()
    assert len(frame) == 1
    assert frame["evaluations"][0] == plan.evaluations
    assert frame["alone.gathered"][0] == plan.alone["gathered"]
    assert "program" not in frame


def test_power_is_a_table_of_one_line() -> None:
    power = scrub.power(sum_claim(), rows=5)
    assert power.frame()["detectable"][0] == power.detectable
    assert power.frame()["pilot.rows"][0] == power.pilot_rows
    assert str(power) in Reader(power._repr_html_()).text


def test_a_difference_is_a_table_of_facts() -> None:
    a, b = names(), names().but(name=heads("1.2", at="END").reads(q="gathered", k="io s1 s2", v="io s1 s2"))
    difference = scrub.diff(a, b)
    frame = difference.frame()
    assert list(frame[frame["only_in"] == difference.a]["fact"]) == list(difference.removed)
    assert list(frame[frame["only_in"] == difference.b]["fact"]) == list(difference.added)
    assert 0 < len(difference.added) < len(frame)
    read = Reader(difference._repr_html_())
    assert read.text == str(difference)
    assert scrub.diff(a, a).frame().empty


def test_what_was_published_shows_its_text(tmp_path: Path) -> None:
    published = scrub.freeze(names(), tmp_path / "names")
    read = Reader(published._repr_html_())
    assert read.open == []
    assert (tmp_path / "names" / "claim.txt").read_text().splitlines()[0] in read.text
    assert str(published) in Reader(Published("h", "d", tmp_path / "gone", None)._repr_html_() + str(published)).text


def test_a_comparison_shows_its_pareto_picture() -> None:
    from scrub.report.pareto import comparison_svg

    rival = sum_claim().but(expect=scrub.recovers(0.9))
    comparison = scrub.compare(sum_claim(), rival, draws=2)
    assert comparison_svg(comparison) in comparison._repr_html_()


def test_a_circuit_says_what_it_is() -> None:
    assert "the empty circuit" in Circuit()._repr_html_()


def test_a_mistake_that_claims_share_is_one_line() -> None:
    shared = [
        Problem("a", hypothesis=name, file="x.py", line=line, of_claim=True) for name, line in (("h", 1), ("g", 2))
    ]
    assert problems_html(shared).count("<tr>") == 2  # with the head
    assert "1 problem<" in problems_html(shared)
