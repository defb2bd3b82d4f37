"""Results in a notebook: the drawings of the report and the words of the terminal, with the verdict in colour."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from scrub.claims.problems import gathered
from scrub.claims.titles import in_cell
from scrub.report.explanation import row_lines, swap_lines
from scrub.report.fixed import fixed, marked
from scrub.report.shares import INK, shares_svg
from scrub.report.text import details, headline

if TYPE_CHECKING:
    from scrub.claims.check import Checked
    from scrub.claims.hypothesis import Hypothesis
    from scrub.claims.problems import ClaimProblems, Problem
    from scrub.claims.published import ClaimDiff, Published
    from scrub.score.explain import Explanation
    from scrub.score.result import Result

CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def block(words: str) -> str:
    """The words of the terminal in a fixed-width block."""
    return fixed(words)


def headed(words: str, colour: str = "") -> str:
    """A line that stands out."""
    look = f' style="color:{colour}"' if colour else ""
    return f"<strong{look}>{escape(words)}</strong>"


def wide(drawing: str) -> str:
    """A drawing that scrolls where it does not fit, rather than being cut."""
    return f'<div style="overflow-x:auto;margin:0.5em 0">{drawing}</div>'


def result_html(result: Result) -> str:
    """A headline in the colour of the verdict, the shares as a picture, the details in a fixed-width block."""
    body = fixed("\n".join(details(result)), "0.3em")
    picture = wide(shares_svg(result.to_dict()))
    return f"<div>{headed(headline(result), INK[result.verdict])}{picture}{body}</div>"


def words_html(value: object) -> str:
    """A value whose words suffice, in a fixed-width block."""
    return block(str(value))


def hypothesis_html(hypothesis: Hypothesis) -> str:
    """The figure of a claim, or what is wrong with it. Checks it, which loads no weights; never raises."""
    from scrub.model.resolve import check

    try:
        return checked_html(check(hypothesis))
    except Exception as error:  # showing a value must not fail: whatever its model or data do is told instead
        return block(f"{hypothesis!r} cannot be checked: {type(error).__name__}: {error}")


def checked_html(checked: Checked) -> str:
    """The figure of a claim below what check found; where something is wrong, its problems one a line."""
    foil = checked.hypothesis.foil_reason
    described = headed(f"foil: {foil}") if foil else ""
    if checked.claim is None:
        return f"<div>{described}{problems_html(checked.problems)}{_warned(checked.warnings)}</div>"
    from scrub.report.figure import claim_svg

    wrong = problems_html(checked.problems) if checked.problems else ""
    figure = wide(claim_svg(checked.claim))
    return f"<div>{described}{wrong}{figure}{_right(checked)}{_warned(checked.warnings)}</div>"


def _right(checked: Checked) -> str:
    if checked.accuracy is None:
        return ""
    return f"<div>the story is right on {checked.accuracy:.1%} of the scored rows</div>"


def _warned(warnings: Sequence[str]) -> str:
    return "".join(f"<div>warning: {escape(text)}</div>" for text in warnings)


def problem_html(problem: Problem) -> str:
    return problems_html([problem])


def claim_problems_html(error: ClaimProblems) -> str:
    return problems_html(error.problems)


def problems_html(problems: Sequence[Problem]) -> str:
    """A table, one line a mistake: where, which variable, what was found, what to do."""
    problems = gathered(problems)
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    head = "".join(f'<th scope="col" style="{CELL}">{name}</th>' for name in ("where", "variable", "found", "to do"))
    rows = "".join(f"<tr>{''.join(map(_cell, _problem(problem)))}</tr>" for problem in problems)
    table = f'<table style="border-collapse:collapse"><tr>{head}</tr>{rows}</table>'
    return f"<div>{headed(count, INK['refuted'])}{table}</div>"


def _problem(problem: Problem) -> tuple[str, ...]:
    where = ":".join(str(part) for part in (_file(problem.file), problem.line) if part)
    near = f"Did you mean {problem.nearest}?" if problem.nearest else ""
    fix = " ".join(part for part in (near, problem.fix) if part)
    return where or problem.hypothesis, problem.variable, problem.found, fix


def _file(name: str | None) -> str | None:
    """The file's own name; what was written in a notebook has one that says nothing."""
    if name is None:
        return None
    return "cell" if in_cell(name) else Path(name).name


def _cell(words: str) -> str:
    return f'<td style="{CELL}">{escape(words)}</td>'


def explanation_html(explanation: Explanation) -> str:
    """The words of the terminal, the story of every row that suffers folded away below its first line."""
    parts = [block("\n".join(swap_lines(explanation)))]
    for story in explanation.worst:
        head, *lines = row_lines(story, explanation.metric)
        parts.append(f"<details><summary>{escape(head)}</summary>{block(chr(10).join(lines))}</details>")
    return "<div>" + "\n".join(parts) + "</div>"


def published_html(published: Published) -> str:
    """What was written, and below it, folded, the claim's canonical text as it stands there."""
    from scrub.claims.frozen_files import TEXT

    try:
        content = (published.out / TEXT).read_text(encoding="utf-8")
    except OSError:  # moved since
        return block(str(published))
    return f"<div>{block(str(published))}<details><summary>{TEXT}</summary>{block(content)}</details></div>"


def difference_html(difference: ClaimDiff) -> str:
    """The facts of one claim alone in red with a minus, those of the other in blue with a plus."""
    colours = {"-": "#b2182b", "+": "#2166ac"}
    lines = [
        f'<span style="color:{colours.get(line[:1], "inherit")}">{escape(line)}</span>'
        for line in str(difference).split("\n")
    ]
    return marked(chr(10).join(lines))
