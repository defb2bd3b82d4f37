"""Results in a notebook: the words of the terminal, with the verdict in colour."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scrub.report.explanation import explanation_text
from scrub.report.text import details, headline

if TYPE_CHECKING:
    from scrub.claims.check import Checked
    from scrub.score.explain import Explanation
    from scrub.score.result import Result

COLOURS = {"supported": "#1a7f37", "refuted": "#cf222e", "inconclusive": "#9a6700", "undefined": "#57606a"}


def result_html(result: Result) -> str:
    """A headline in the colour of the verdict, the details below in a fixed-width block."""
    colour = COLOURS[result.verdict]
    body = escape("\n".join(details(result)))
    return (
        f'<div><strong style="color:{colour}">{escape(headline(result))}</strong>'
        f'<pre style="margin:0.3em 0 0 0">{body}</pre></div>'
    )


def checked_html(checked: Checked) -> str:
    """What is wrong with a claim in a fixed-width block, or where nothing is, its figure."""
    from scrub.report.figure import claim_svg

    told = f'<pre style="margin:0">{escape(str(checked))}</pre>'
    return told + (claim_svg(checked.claim) if checked.claim is not None else "")


def explanation_html(explanation: Explanation) -> str:
    """The words of the terminal in a fixed-width block."""
    return f'<pre style="margin:0">{escape(explanation_text(explanation))}</pre>'
