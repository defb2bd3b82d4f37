"""Results in a notebook: the words of the terminal, safe as HTML, the verdict in its colour."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from attrs import evolve

import scrub
from score.cases import sum_claim
from scrub.report.notebook import COLOURS, explanation_html, result_html
from scrub.report.text import headline, result_text
from scrub.score.result import Result


class Reader(HTMLParser):
    """The text of a page and the tags that are open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.open = "", list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result() -> Result:
    return scrub.test(sum_claim().foil("1 < 2 & <b>"), draws=2, explain=False)


def test_the_words_are_those_of_the_terminal(result: Result) -> None:
    read = Reader(result_html(result))
    assert read.open == []
    assert read.text == result_text(result).replace("\n", "", 1)  # the headline stands in a line of its own
    assert "1 < 2 & <b>" in read.text
    assert headline(result) in read.text


@pytest.mark.parametrize("verdict", ["supported", "refuted", "inconclusive", "undefined"])
def test_every_verdict_has_a_colour(result: Result, verdict: str) -> None:
    assert f"color:{COLOURS[verdict]}" in result_html(evolve(result, verdict=verdict))
    assert len(set(COLOURS.values())) == 4


def test_an_explanation_keeps_its_columns() -> None:
    explanation = scrub.explain(sum_claim(), draws=2)
    page = explanation_html(explanation)
    assert page.startswith("<pre")
    assert Reader(page).text == str(explanation)
