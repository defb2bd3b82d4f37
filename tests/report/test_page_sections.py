"""What commands store in one directory, each a section of the page: comparison, criteria, proposals."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from attrs import evolve
from test_page import Page

from cli_cases import FALSE, HEAD, rewrite, scrub
from report.test_comparison_text import TWO_CLAIMS, three
from scrub.report.differences import differences_svg
from scrub.report.page.blocks import Picture, table
from scrub.report.page.comparisons import comparison_section
from scrub.report.page.words import span
from scrub.report.places import effect_at
from scrub.storage.stored import sealed

CLAIMS = HEAD + FALSE + '\nright_one = make()\nother = make(odd).foil("h is not odd")\n'
COMMANDS = {
    "comparison.json": ("compare",),
    "criteria.json": ("criteria", "--random", 2),
    "proposals.json": ("propose", "--pair", "pair"),
    "interchange.json": ("interchange", "--rows", 32),
    "power.json": ("power",),
    "sweep.json": ("sweep", "--senders", "all", "--to", "-> out"),
    "paths.json": ("patch", "--path", "h -> out", "--path", "b -> out"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the small graph can be asked."""
    folder = tmp_path_factory.mktemp("sections")
    file, out = folder / "claims.py", folder / "run"
    text = CLAIMS.replace('"sum": a // 2 + b}}', '"sum": a // 2 + b, "pair": (7 * i + 5) % n}}')
    file.write_text(text.replace("for a, b in pairs]", "for i, (a, b) in enumerate(pairs)]"))
    for command, *more in (("test", "--draws", 3, "--rows", 40, "--stability"), *COMMANDS.values()):
        found = scrub(command, file if command in ("test", "compare") else f"{file}::right_one", *more, "--out", out)
        assert found.exit_code == 0, found.stderr
    assert scrub("report", out).exit_code == 0
    return out


def words(run: Path) -> str:
    return " ".join(Page((run / "report.html").read_text()).words.split())


def test_every_section_is_there(run: Path) -> None:
    told = words(run)
    [comparison] = json.loads((run / "comparison.json").read_text())["results"]
    [proposal] = json.loads((run / "proposals.json").read_text())["results"]
    [criteria] = json.loads((run / "criteria.json").read_text())["results"]
    [difference] = comparison["differences"]
    assert f"right_one is better than other: {difference['value']:.2f} [" in told
    for heading in ("Comparison of right_one, other", "Circuit of right_one", "Proposal for right_one",
                    "Interchange of right_one", "Rows for right_one", "Sweep -> out", "Paths"):  # fmt: skip
        assert told.count(heading) == 2  # in the list, and where it is
    deciding = comparison["deciding"][0]
    assert deciding["text"].replace("  ", " ") in told
    assert comparison["structural"][0]["fact"] in told
    assert f"{criteria['faithfulness']['normalized']:.2f}" in told
    assert all(test["name"] in told for test in criteria["tests"])
    assert proposal["nodes"][0]["node"] in told
    assert f"scrub compare {run.parent / 'claims.py'}" in told
    lines = json.loads((run / "run.json").read_text())["results"][0]["stability"]
    assert f"rest_scope='draw'{span(next(one for one in lines if 'draw' in one['name'])['recovered'])}" in told


def test_a_claim_is_told_in_its_authors_words(tmp_path: Path) -> None:
    """The file's words without commands, functions with their comments, why a foil is one; a title of its own."""
    about = '"""Half of a and b are added.\n\n    scrub check this\n\nNothing <else>.\n"""\n'
    file = tmp_path / "claims.py"
    file.write_text(about + CLAIMS.replace("def half(a):", "def half(a):  # rounded down"))
    assert (
        scrub("test", file, "--draws", 2, "--rows", 40, "--parts", "none", "--out", tmp_path / "run").exit_code == 0
    )
    assert scrub("report", tmp_path / "run").exit_code == 0
    told = words(tmp_path / "run")
    assert told.startswith("right_one: ")
    assert "Half of a and b are added. Nothing <else>." in told
    assert "scrub check this" not in told
    assert "def half(a): # rounded down" in told
    assert "A foil, false on purpose: h is not odd." in told
    assert told.count("Half of a and b are added.") == 1


def test_the_command_has_what_differs_from_defaults(run: Path) -> None:
    told = words(run)
    assert f"scrub test {run.parent / 'claims.py'}::right_one --draws 3 --rows 40" in told or (
        f"scrub test {run.parent / 'claims.py'}::right_one --rows 40 --draws 3" in told
    )
    assert "--out" not in told
    assert "None" not in told
    assert f"scrub criteria {run.parent / 'claims.py'}::right_one --random 2" in told


def test_pictures_say_what_they_show_and_share_no_names(run: Path) -> None:
    text = (run / "report.html").read_text()
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    for used in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert set(used.split()) <= set(names)
    pictures = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(pictures) >= 6
    for picture in pictures:
        drawn = ElementTree.fromstring(picture)
        assert drawn.attrib["role"] == "img"
        assert drawn.find("{http://www.w3.org/2000/svg}title") is not None


def test_headings_are_in_order_and_cells_have_heads(run: Path) -> None:
    text = (run / "report.html").read_text()
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert set(re.findall(r"<th(?: scope=\"(\w+)\")?", text.replace("<thead", ""))) == {"row", "col"}
    assert '<html lang="en">' in text


@pytest.mark.parametrize("name", COMMANDS)
def test_one_file_is_enough(run: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(run / name, tmp_path)
    assert scrub("report", tmp_path).exit_code == 0
    assert words(tmp_path).count("Run it again") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_or_foreign_file_is_named(run: Path, tmp_path: Path, name: str) -> None:
    stored = json.loads((run / name).read_text())
    first = dict(list(stored["results"][0].items())[3:])
    changes = {
        "damaged": "{",
        "holds no results": json.dumps([]),
        "was stored by scrub 0.0.1": json.dumps({**stored, "scrub": "0.0.1"}),
        "does not match its digest": json.dumps({**stored, "results": [first]}),
        "are not those of": json.dumps(sealed({**stored, "results": [first]})),
    }
    for said, content in changes.items():
        (tmp_path / name).write_text(content)
        found = scrub("report", tmp_path)
        assert (found.exit_code, str(tmp_path / name) in found.stderr, said in found.stderr) == (2, True, True)
    assert not (tmp_path / "report.html").exists()


def test_a_directory_without_results_says_who_stores_there(tmp_path: Path) -> None:
    found = scrub("report", tmp_path)
    assert found.exit_code == 2
    assert all(f"scrub {command}" in found.stderr for command in ("test", "compare", "criteria", "propose", "sweep"))


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_asked_before_whether_it_can_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").write_text("a file")
    command, *more = COMMANDS[name]
    (tmp_path / "claims.py").write_text(CLAIMS)
    claims = [f"{tmp_path}/claims.py::{claim}" for claim in ("right_one", "other")]
    found = scrub(command, *claims, *more, "--out", tmp_path / "taken")
    assert (found.exit_code, "cannot be written" in found.stderr) == (2, True)


def test_differences_say_what_they_draw() -> None:
    better = {"a": "one", "b": "two", "value": 0.4, "low": 0.3, "high": 0.5, "verdict": "a better"}
    open_ = {"a": "one", "b": "three", "value": -0.1, "low": -0.2, "high": 0.1, "verdict": "cannot tell"}
    unknown = {"a": "two", "b": "three", "value": None, "low": None, "high": None, "verdict": "cannot tell"}
    drawn = ElementTree.fromstring(differences_svg([better, open_, unknown], {n: n for n in ("one", "two", "three")}))
    told = [part.text for part in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert told[1:] == ["one - two 0.40 [0.30, 0.50], a better", "one - three -0.10 [-0.20, 0.10], cannot tell",
                        "two - three undefined"]  # fmt: skip
    sure, hollow = drawn.iter("{http://www.w3.org/2000/svg}circle")
    assert sure.attrib["fill"] == sure.attrib["stroke"]
    assert hollow.attrib["fill"] == "#ffffff"
    assert float(hollow.attrib["cx"]) < float(sure.attrib["cx"])


def test_pictures_are_renamed_and_empty_columns_left_out() -> None:
    svg = '<svg width="300" aria-labelledby="a b"><title id="a">x</title><desc id="b">y</desc></svg>'
    picture = Picture(svg, "")
    assert picture.drawn("1-2") == svg.replace('"a b"', '"a-1-2 b-1-2"').replace('"a"', '"a-1-2"').replace(
        '"b"', '"b-1-2"'
    )
    assert picture.width == 300
    found = table(("name", "empty", "share"), [("a", "", "0.50 [0.40, 0.60]"), ("b", "", "undefined")])
    assert found is not None
    assert found.head == ("name", "share")
    assert found.right == [False, True]


def test_the_effect_of_a_place_is_the_one_that_gains_most() -> None:
    effects = [
        {"paths": ["answer/a"], "kind": "donor", "gain": 0.1}, {"paths": ["answer/b"], "kind": "donor", "gain": 0.3},
        {"paths": ["answer/b"], "kind": "rest", "gain": 0.9}, {"paths": ["answer/c"], "kind": "donor", "gain": 0.8},
        {"paths": ["answer/a"], "kind": "donor", "gain": None},
    ]  # fmt: skip
    assert effect_at(["answer/a", "answer/b"], effects, "donor") == effects[1]
    assert effect_at(["answer/d"], effects, "donor") is None


def test_what_changed_since_the_last_run(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "drawings.json", tmp_path)
    stored = json.loads((run / "run.json").read_text())
    none = {"value": None, "low": None, "high": None, "level": 0.95}
    some = {"value": 0.25, "low": 0.125, "high": 0.5, "level": 0.95}
    for difference, said in ((some, "0.25 [0.12, 0.50] more is recovered, paired on 7 rows"),
                             (none, "cannot be compared on the 7 rows of both")):  # fmt: skip
        before = {"verdict": "refuted", "recovered": 0.5, "rows": 7, "same": False, "facts": ["seed 0 -> 1"]}
        stored["results"][0]["since"] = before | {"difference": difference}
        rewrite(tmp_path, "run.json", stored)
        assert scrub("report", tmp_path).exit_code == 0
        told = words(tmp_path)
        assert "It was refuted, 0.50; " in told
        assert said in told
        assert "seed 0 -> 1" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_stored_for_another_version_or_model_says_so(run: Path, tmp_path: Path, name: str) -> None:
    command = COMMANDS[name][0]
    for file in ("run.json", "drawings.json", name):
        shutil.copy(run / file, tmp_path)
    assert scrub("report", tmp_path).exit_code == 0
    assert "made with another" not in words(tmp_path).lower()
    assert 'class="stale"' not in (tmp_path / "report.html").read_text()
    stored = json.loads((run / name).read_text())
    [result] = stored["results"]
    now = json.loads((run / "run.json").read_text())["results"][0]["digest"]
    if name != "proposals.json":  # which have no digest
        (result["hypotheses"][0] if command == "compare" else result)["digest"] = "0" * 32
        rewrite(tmp_path, name, stored)
        assert scrub("report", tmp_path).exit_code == 0
        told = words(tmp_path)
        assert f"another version of right_one (digest 00000000... there, {now[:8]}... here)" in told
        assert f"run `scrub {command} ...` anew" in told
        assert told.index("was made with another version of right_one") < told.index("Scores")  # in the summary
    result["provenance"]["model"]["name"] = "zoo:other"
    rewrite(tmp_path, name, stored)
    assert scrub("report", tmp_path).exit_code == 0
    assert "another model (name zoo:other there, computation graph here): run `scrub" in words(tmp_path)


def test_three_claims_have_adjusted_p_values() -> None:
    known = {"model": {"name": "zoo:names"}}
    result = evolve(three("a better", "a better", "a better"), provenance=known).to_dict()
    assert result["differences"][2]["p"] != result["differences"][2]["adjusted"]
    result["differences"][2] |= {"verdict": "cannot tell", "reason": "p = 0.2: rows speak for both, or for neither."}
    made = comparison_section(result, "scrub compare f.py")
    first, _, last = made.before[0].lines
    assert first.endswith("more is recovered, p (Holm) = 0.0003")
    assert "cannot tell; p (Holm) = 0.2: rows" in last
    assert made.parts[0].blocks[1].head[2:4] == ("p", "p (Holm)")
    two = comparison_section(evolve(TWO_CLAIMS, provenance=known).to_dict(), "scrub compare f.py")
    assert "Holm" not in str(two)
