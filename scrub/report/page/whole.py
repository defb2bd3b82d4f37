"""The whole page: a list of sections with their verdicts, then each. No scripts, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from scrub.report.page.blocks import Section
from scrub.report.page.words import MARKS

TEMPLATES = Path(__file__).with_name("templates")


def page(title: str, summary: str, sections: Sequence[Section], version: str) -> str:
    """The page; `summary` stands under its title. Everything but pictures, which scrub drew, is escaped."""
    return rendered("page.html", title=title, summary=summary, sections=sections, version=version, marks=MARKS)


def rendered(template: str, **values: Any) -> str:
    """A template of this folder, filled; what is filled in is escaped."""
    return _environment().get_template(template).render(**values)


@cache  # kept for the process: there is one
def _environment() -> Environment:
    return Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(TEMPLATES, encoding="utf-8")
    )
