"""Results as a table for a paper: Markdown, LaTeX (booktabs) or CSV, from their JSON form.

A command that looks at many things has a line for each (effects of a sweep, nodes of a proposal, swaps, the parts of
a circuit, rivals); any other a line for each result. Intervals stand beside their numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scrub.claims.titles import short_name
from scrub.errors import shorten

Line = dict[str, str]
MANY = ("effects", "nodes", "swaps", "interchange", "minimality", "hypotheses", "problems")
TESTED = (  # of a test, whose JSON form has more
    "hypothesis", "verdict", "recovered", "bar", "constant", "unexplained explained", "story", "bits kept", "rows",
    "draws", "foil",
)  # fmt: skip
# what says how a result was made, or is a text of its own
LEFT_OUT = (
    "options", "provenance", "digest", "seed", "program", "tree", "reason", "path", "paths", "route", "branch"
)  # fmt: skip
ENDS = ("low", "high")
LONGEST = 80
ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: rf"\{sign}" for sign in "&%$#_{}"
}


def lines_of(results: Sequence[Mapping[str, Any]]) -> list[Line]:
    """One line a thing that a command looked at, each with its cells by column."""
    found: list[Line] = []
    for result in results:
        many = next((result[name] for name in MANY if result.get(name)), None)
        whose = {"claim": short_name(result["hypothesis"])} if many and result.get("hypothesis") else {}
        found += [whose | _line(one) for one in many or [result]]
    return [{name: line.get(name, "") for name in TESTED} if "passed" in line else line for line in found]


def _line(one: Mapping[str, Any]) -> Line:
    """Its numbers and words; of a value with parts those that are numbers, one level down."""
    cells: Line = {}
    number = next((name for name in ("value", "effect", "gain") if isinstance(one.get(name), float)), None)
    for name, value in one.items():
        if name in LEFT_OUT or (number and name in ENDS):
            continue
        if name == number:
            cells[name] = _cell({"value": value, **{end: one.get(end) for end in ENDS}})
        elif isinstance(value, Mapping) and not _interval(value):
            cells |= {f"{name} {inner}": _cell(v) for inner, v in value.items() if isinstance(v, int | float)}
        elif not isinstance(value, list | tuple):
            cells[name] = short_name(str(value)) if name == "hypothesis" else _cell(value)
    return {name: cell for name, cell in cells.items() if cell}


def _interval(value: Any) -> bool:
    return isinstance(value, Mapping) and {"value", *ENDS} <= set(value)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return _spread(*(value.get(end) for end in ("value", *ENDS)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value, value)
    return "" if value is None else shorten(" ".join(str(value).split()), LONGEST)


def _spread(value: Any, low: float | None, high: float | None) -> str:
    """A value with the ends of its interval, all in the form of the largest of them."""
    if value is None or low is None or high is None:
        return _cell(value)
    said, *ends = (_number(number, max(value, low, high, key=abs)) for number in (value, low, high))
    return f"{said} [{', '.join(ends)}]"


def _number(value: float, like: float) -> str:
    return f"{value:z.2f}" if 0.1 <= abs(like) < 1000 or not like else f"{value:.2g}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(re.sub(r"[\\~^&%$#_{}]", lambda found: ESCAPED[found[0]], cell) for cell in cells) + r" \\"

    body = [rf"\begin{{tabular}}{{{'l' * len(head)}}}", r"\toprule", line(head), r"\midrule", *map(line, rows)]
    return "\n".join(["% needs \\usepackage{booktabs}", *body, r"\bottomrule", r"\end{tabular}"])


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([head, *rows])
    return file.getvalue().rstrip("\n")


FORMS: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]]], str]] = {
    ".md": _markdown, ".tex": _latex, ".csv": _csv
}  # fmt: skip


def table_text(results: Sequence[Mapping[str, Any]], suffix: str) -> str:
    """The table of a command's results, in the form of a file's suffix (one of `FORMS`)."""
    lines = lines_of(results)
    head = list(dict.fromkeys(name for line in lines for name in line))
    return FORMS[suffix](head, [[line.get(name, "") for name in head] for line in lines])
