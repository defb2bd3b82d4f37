"""The whole page: a list of sections with their verdicts, then each. No scripts, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from scrub.report.page.blocks import Section
from scrub.report.page.words import MARKS

TEMPLATES = Path(__file__).with_name("templates")


def page(title: str, summary: str, sections: Sequence[Section], version: str) -> str:
    """The page; `summary` stands under its title. Everything but pictures, which scrub drew, is escaped."""
    made = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(TEMPLATES, encoding="utf-8")
    )
    template = made.get_template("page.html")
    return template.render(title=title, summary=summary, sections=sections, version=version, marks=MARKS)
