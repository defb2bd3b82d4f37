"""What an installed package is: typed, citable, with the gallery and the examples in its wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

import scrub
from scrub.verbs.gallery import FOLDERS, PACKAGE, PACKED

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_wheel_has_the_gallery_where_it_is_looked_for() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    inside = {folder: str((PACKED / folder).relative_to(PACKAGE.parent)) for folder in FOLDERS}
    assert included == inside
    assert all((ROOT / folder).is_dir() for folder in FOLDERS)
    assert (PACKAGE / "py.typed").is_file()


def test_version_and_citation_say_the_same() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = PROJECT["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert scrub.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"pip install {project['name']}" in (ROOT / "README.md").read_text()
