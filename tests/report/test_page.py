"""The report of a run: one file that opens offline, the verdict first, everything in it escaped."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli_cases import Write, scrub, write
from scrub.report.shares import shares_svg

__all__ = ["write"]
EITHER = str(Path(__file__).parents[2] / "hypotheses" / "either.py")
VOID = {"meta", "br", "link"}


class Page(HTMLParser):
    """Tags that are open, the words outside of pictures, and whatever could be fetched or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.words, self.fetched = list[str](), "", list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.fetched += [str(given[name]) for name in ("src", "srcset", "action") if name in given]
        link = str(given.get("href", "#"))
        self.fetched += [] if link.startswith("#") else [link]
        self.fetched += [tag] if tag in ("script", "iframe", "link", "object") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "run"
    found = scrub("test", EITHER, "--rows", 32, "--draws", 2, "--explain", "--out", out, "--report")
    assert found.exit_code == 0, found.stderr
    assert f"report: {out / 'report.html'}" in found.stdout
    return out


def test_the_page_opens_offline(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    assert page.open == []
    assert page.fetched == []
    assert "http-equiv" in (run / "report.html").read_text()


def test_the_verdict_comes_first(run: Path) -> None:
    words = Page((run / "report.html").read_text()).words
    [result, *_] = json.loads((run / "run.json").read_text())["results"]
    reason = result["reason"][:1].upper() + result["reason"][1:]
    assert words.index("3 of 3 claims pass") < words.index(reason) < words.index("Scores")
    for told in (
        "shuffled values",
        "lookup",
        result["digest"],
        "::either --rows 32 --draws 2",
        "What breaks it",
        "torch",
    ):
        assert told in words


def test_a_stored_run_gives_the_same_page(run: Path) -> None:
    first = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert scrub("report", run).exit_code == 0
    assert (run / "report.html").read_text() == first


def test_names_are_escaped(write: Write, tmp_path: Path) -> None:
    file = write('wrong = make().foil("<script>alert(1)</script> & more")')
    found = scrub("test", file, "--rows", 12, "--draws", 2, "--out", tmp_path / "run", "--report")
    assert found.exit_code in (0, 1, 3), found.stderr
    text = (tmp_path / "run" / "report.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_shares_say_what_they_draw() -> None:
    spread = {"value": 0.8, "low": 0.7, "high": 0.9}
    result = {
        "verdict": "supported", "recovered": spread, "bar": 0.75, "adversary": None,
        "controls": [{"name": "constant", "value": -0.5, "low": None, "high": None}],
    }  # fmt: skip
    drawn = ElementTree.fromstring(shares_svg(result))
    assert drawn[0].text == "the claim 0.80 [0.70, 0.90]; constant -0.50; the bar is 0.75"
    claim, constant = (float(c.attrib["cx"]) for c in drawn.iter("{http://www.w3.org/2000/svg}circle"))
    assert constant < claim
    undefined = {**result, "verdict": "undefined", "recovered": {"value": None, "low": None, "high": None}}
    assert "the claim undefined" in shares_svg(undefined)


def test_what_is_no_run_is_told(run: Path, tmp_path: Path) -> None:
    missing = scrub("report", tmp_path)
    assert (missing.exit_code, "stored there by `scrub test`" in missing.stderr) == (2, True)
    (tmp_path / "run.json").write_text("{")
    damaged = scrub("report", tmp_path)
    assert (damaged.exit_code, "damaged" in damaged.stderr) == (2, True)
    (tmp_path / "run.json").write_text((run / "run.json").read_text().replace('"digest": "', '"digest": "0', 1))
    (tmp_path / "drawings.json").write_text((run / "drawings.json").read_text())
    other = scrub("report", tmp_path)
    assert (other.exit_code, "different runs" in other.stderr) == (2, True)
    nowhere = scrub("test", EITHER, "--report")
    assert (nowhere.exit_code, "--out DIR" in nowhere.stderr) == (2, True)
