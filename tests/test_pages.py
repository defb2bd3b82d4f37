"""The documents as a site: what pages show is what happens, everything is in the navigation, and no link is dead."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from page_cases import shown_on, shows

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
FOLLOWED = ("first_claim", "authors", "reviewers")  # command by command, each from an empty folder
ELSEWHERE = {"gallery"}  # held to what is printed by test_gallery.py


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What the commands of all pages print, in one process without the checks of shapes that tests have."""
    asked = [f"{DOCS / page}.md:{tmp_path_factory.mktemp(page)}" for page in FOLLOWED]
    command = [sys.executable, str(ROOT / "tests" / "page_cases.py"), *asked]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return {Path(page).stem: found for page, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_command_of_a_page_prints_what_stands_there(page: str, printed: dict[str, list[list[str]]]) -> None:
    for shown, found in zip(shown_on(DOCS / f"{page}.md"), printed[page], strict=True):
        assert shows(shown.lines, found), f"$ {shown.command}\n" + "\n".join(found)


def test_pages_with_commands_are_followed() -> None:
    assert {page.stem for page in PAGES if "```console" in page.read_text()} == {*FOLLOWED, *ELSEWHERE}


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        (("a", "...", "c"), ["a", "b", "c"], True),
        (("a", "...", "c"), ["a", "c"], True),
        (("a", "..."), ["a"], True),
        (("a", "c"), ["a", "b", "c"], False),
        (("a",), ["a", "b"], False),
        (("a", "...", "b"), ["a", "c"], False),
        ((), ["a"], False),
        (("a",), [], False),
    ],
)
def test_lines_are_left_out_where_a_page_says_so_and_nowhere_else(
    shown: tuple[str, ...], printed: list[str], alike: bool
) -> None:
    assert shows(shown, printed) is alike


def entries(nav: list[object]) -> Iterator[str]:
    for entry in nav:
        for inner in entry.values() if isinstance(entry, dict) else [entry]:
            yield from entries(inner) if isinstance(inner, list) else [str(inner)]


def test_every_page_stands_in_the_navigation_once() -> None:
    assert sorted(entries(SITE["nav"])) == sorted(page.name for page in DOCS.glob("*.md"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = [re.sub(r"[`*]|\]\([^)]*\)", "", line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_is_dead(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = page.parent / file if file else page
        assert place.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(place), f"{page.name} links to {target}: {sorted(anchors(place))}"
        assert page.parent != DOCS or DOCS in place.resolve().parents, f"{page.name}: the site has no {target}"


def test_the_reference_has_every_public_name_once() -> None:
    told = re.findall(r"^::: scrub\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    source = (ROOT / "scrub" / "__init__.py").read_text()
    assert sorted(told) == sorted(re.findall(r"import (\w+) as \1$", source, re.MULTILINE))


@pytest.mark.parametrize("name", ["induction", "names", "brackets", "compose", "either"])
def test_pictures_of_the_gallery_are_what_is_drawn(name: str, tmp_path: Path) -> None:
    from cli_cases import scrub as command

    command("show", ROOT / "hypotheses" / f"{name}.py::{name}", "--picture", tmp_path / "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text() == (DOCS / "pictures" / f"{name}.svg").read_text()


@pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("mkdocstrings") is None, reason="mkdocs is not here (the extra docs)"
)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    assert "recovers" in (tmp_path / "api.html").read_text()
