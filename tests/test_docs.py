"""What the documents say is what happens."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import scrub
from score.cases import ERROR, claim_of, graph, rows_of
from scrub.claims.setting import token_ids
from scrub.claims.text import open_tokenizer

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("SCRUB_TEST_DATA", ROOT / ".." / "shared" / "data"))
GPT2 = SHARED / "gpt2-tokenizer"
needs_gpt2 = pytest.mark.skipif(not GPT2.is_dir(), reason="the GPT-2 tokenizer of SCRUB_TEST_DATA is not here")


def test_the_worked_example_of_the_idea() -> None:
    text = (ROOT / "docs" / "idea.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(re.sub(r"^print.*$", "", code, flags=re.MULTILINE), names)
    both, only_a = (scrub.test(names[name], exact=True) for name in ("both", "only_a"))
    assert both.verdict == "supported"
    assert both.metric.scrubbed == 0
    assert only_a.verdict == "refuted"
    assert only_a.metric.scrubbed == pytest.approx(9.9)
    assert f"{only_a.metric.random:.1f}" == "11.9"
    assert f"{only_a.recovered.value:.2f}" == "0.17"
    assert f"{only_a.constant:.2f}" == "0.28"
    for number in ("9.9", "11.9", "0.17", "0.28"):
        assert number in text


@pytest.mark.parametrize("page", ["parts", "verdicts", "views", "your_model"])
def test_what_a_page_says_is_printed_is_printed(
    page: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "hypotheses")
    names: dict[str, Any] = {}
    for kind, block in re.findall(r"^```(python|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if kind == "python":
            exec(block, names)
        else:
            assert capsys.readouterr().out == block
    assert not capsys.readouterr().out


def test_the_example_of_sub_skills() -> None:
    text = (ROOT / "docs" / "skills.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(re.sub(r"^print.*$", "", code, flags=re.MULTILINE), names)
    assert names["result"].verdict == "supported"
    assert f"```text\n{names['matrix']}\n```" in text


@pytest.mark.parametrize("page", ["metrics", "checkpoints"])
def test_the_blocks_of_a_page_run(page: str) -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL):
        exec(code, names)


def test_the_readme_shows_two_commands_and_the_claim_as_it_stands() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("pip install")]
    assert commands == [
        "pip install -c constraints.txt -e . && scrub test hypotheses/induction.py",
        "pip install -c constraints.txt -e '.[dev]' && pytest -n 2 --dist loadfile",
    ]
    source = (ROOT / "hypotheses" / "induction.py").read_text()
    (shown,) = re.findall(r"(    return dict\(\n        first=.*?\n    \))", readme, re.DOTALL)
    assert shown in source


@pytest.mark.parametrize("page", [*sorted(p.name for p in (ROOT / "docs").glob("*.md")), "../README.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), f"{page} links to {target}"


@cache  # kept for the one page that there is
def data_page() -> dict[str, list[str]]:
    """The blocks of docs/data.md by section."""
    sections = re.split(r"^## ", (ROOT / "docs" / "data.md").read_text(), flags=re.MULTILINE)[1:]
    return {s.splitlines()[0]: re.findall(r"```python\n(.*?)```", s, re.DOTALL) for s in sections}


# for each block: the text of its first row, what stands at its positions, its columns, those that name tokens
PARTNER = {"pair": 1, "is_clean": True}
FIRST = {
    ("Indirect object identification", 0): (
        "While Mary and John were at the garden, John handed a letter to",
        {"IO": (1, " Mary"), "S1": (3, " John"), "S2": (9, " John"), "END": (13, " to")},
        {"io": " Mary", "s": " John", "template": 3}, "io s",
    ),
    ("Indirect object identification", 1): (
        "While Mary and John were at the garden, John handed a letter to",
        {"S2": (9, " John"), "IO": (1, " Mary"), "END": (13, " to")},
        {"right": " Mary", "wrong": " John", "s": " John", **PARTNER}, "right wrong",
    ),
    ("Greater-than", 0): (
        "The siege lasted from the year 1741 to the year 17", {"YY": (7, "41"), "END": (11, " 17")},
        {"above": tuple(map(str, range(42, 100))), "upto": tuple(f"{y:02}" for y in range(42)), "yy": "41"} | PARTNER,
        "above upto",
    ),
    ("Docstrings", 0): (
        'def walk(self, tree, road, stone):\n    """steps of a path\n\n'
        "    :param tree: the roots\n    :param road: the way\n    :param",
        {"A": (5, " tree"), "B": (7, " road"), "B2": (36, " road"), "END": (45, "param")},
        {"right": (" stone",), "wrong": (" tree", " road"), **PARTNER}, "right wrong",
    ),
    ("Subject-verb agreement", 0): (
        "The farmers near the tower", {"SUBJECT": (1, " farmers"), "END": (4, " tower")},
        {"right": " are", "wrong": " is", "case": "plural", **PARTNER}, "right wrong",
    ),
    ("CounterFact", 0): (
        "The old lighthouse lies in the middle of", {"SUBJECT": (2, " lighthouse"), "END": (7, " of")},
        {"subject": "The old lighthouse", "case": 7, "true": " France", "new": " Spain"}, "true new",
    ),
    ("Arithmetic", 0): (
        "25 + 16 =", {"A": (0, "25"), "PLUS": (1, " +"), "B": (2, " 16"), "END": (3, " =")},
        {"a": 25, "b": 16, "right": " 41"}, "right",
    ),
    ("Multiple choice", 0): (
        "A kettle is red. What colour is it?\nA. blue\nB. red\nC. green\nAnswer:",
        {"CHOICE": (17, " red"), "END": (24, ":")},
        {"right": " B", "others": (" A", " C"), "colour": " red", **PARTNER}, "right others",
    ),
    ("TinySQL", 0): (
        "### Instruction: Show me the price from ships ### Context: CREATE TABLE ships (age INTEGER, price INTEGER) "
        "### Response: SELECT",
        {"ASKED": (6, " price"), "DEFINED": (22, " price"), "TABLE": (15, " ships"), "END": (30, " SELECT")},
        {"field": " price", "table": " ships"}, "field",
    ),
}  # fmt: skip


@needs_gpt2
@pytest.mark.parametrize("section", data_page())
def test_prompt_sets_become_rows_made_by_hand(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"Path": Path, "Dataset": scrub.Dataset}  # of blocks above
    tokenizer = open_tokenizer(GPT2)
    for number, code in enumerate(data_page()[section]):
        exec(code.replace('"gpt2"', repr(str(GPT2))), names)
        if (section, number) in FIRST:
            text, places, columns, labels = FIRST[section, number]
            row, data = names["data"].rows[0], names["data"]
            assert list(row.tokens) == tokenizer.encode(text, add_special_tokens=False).ids
            assert {name: (at, tokenizer.decode([row.tokens[at]])) for name, at in row.positions.items()} == places
            assert row.columns == columns
            assert all(token_ids(data, label, tokenizer) for label in labels.split())
            assert "pair" not in columns or data.column("pair") == [i ^ 1 for i in range(len(data))]


@needs_gpt2
def test_pronouns_are_balanced_and_every_prompt_set_has_its_rows() -> None:
    names: dict[str, Any] = {"Dataset": scrub.Dataset}
    exec(data_page()["Gender pronouns"][0].replace('"gpt2"', repr(str(GPT2))), names)
    right = [row.columns["right"] for row in names["data"].rows if row.columns["is_clean"]]
    assert right.count(" she") == right.count(" he") == 30
    sets = set(data_page()) - {"One vocabulary for all readers", "A model without a tokenizer", "Templates"}
    assert sets == {section for section, _ in FIRST} | {"Gender pronouns"}


def test_the_page_on_smaller_claims_shows_what_is_printed() -> None:
    """Its claim: 10 x + y, with an idle variable."""
    text = (ROOT / "docs" / "shrink.md").read_text()
    functions: dict[str, Any] = {
        "tens": lambda x: 10 * x, "idle": lambda z: z, "out": lambda tens, idle, y: tens + y + 0 * idle,
    }  # fmt: skip
    made = [{"x": x, "y": y, "z": z, "label": 10 * x + y} for x in range(4) for y in range(4) for z in range(4)]
    story = {"tens": lambda x: 10 * x, "idle": lambda z: z, "answer": lambda tens, y, idle: tens + y}
    sites = {"tens": "tens", "y": "y", "idle": "idle",
             "answer": scrub.nodes("out").reads(tens="tens", y="y", idle="idle")}  # fmt: skip
    claim = evolve(claim_of(graph(**functions), story, sites, rows_of(made), metric=ERROR), name="sums", file=None)
    found = scrub.shrink(claim, exact=True)
    shown = str(found).replace("\noptions  predicts='label'", "")
    assert f"```\n{shown}\n```" in text
