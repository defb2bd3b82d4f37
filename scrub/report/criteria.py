"""The three criteria in words: every convention of faithfulness by its formula, then sets, parts and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import takewhile
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from scrub.circuit.cost import COMPLETE, MINIMAL, TESTS
from scrub.circuit.sequential import LEVEL, QUANTILE
from scrub.circuit.significance import enough
from scrub.report.fixed import fixed
from scrub.report.text import MARKS, options_words, short_name, table
from scrub.score.statistics import FEW_ROWS

if TYPE_CHECKING:
    from scrub.circuit.completeness import Completeness, Gap
    from scrub.circuit.criteria import Criteria
    from scrub.circuit.minimality import Needed
    from scrub.circuit.significance import Finding

WIDTH, INDENT = 118, "    "
SHOWN = 4  # parts of a set that are named
NORMALIZED = "(F(M) - F(0))"
UNDEFINED = "undefined"
DECIDED = "that of a count which stops once enough did as well to decide it"
STOPPED = f"where parts are compared with fewer random parts than were asked for, p is {DECIDED}"
EFFECTS_ALONE = (
    "effects alone, random=0: compared with no random parts they have no null, and no p says which are needed"
)


def criteria_text(result: Criteria) -> str:
    """What was found for one circuit: a headline, then one criterion after the other."""
    return "\n".join([headline(result), *details(result)])


def criteria_html(result: Criteria) -> str:
    """The words of the terminal: the headline, and the rest below it in a fixed-width block."""
    body = fixed("\n".join(details(result)), "0.3em")
    return f"<div><strong>{escape(headline(result))}</strong>{body}</div>"


def headline(result: Criteria) -> str:
    """`names  8 parts, mean ablation, noising: faithfulness 0.86 [0.84, 0.88] of (F(M) - F(0))`."""
    share = result.faithfulness.normalized
    words = UNDEFINED if share.value is None else f"{share} of {NORMALIZED}"
    count = len(result.parts)
    parts = f"{count} {'edge' if result.level == 'edges' else 'part'}{'' if count == 1 else 's'}"
    name = short_name(result.hypothesis)
    return f"{name}  {parts}, {result.ablation} ablation, {result.direction}: faithfulness {words}"


def details(result: Criteria) -> list[str]:
    """What stands below the headline; of criteria that are unfinished, the first lines of what will stand there."""
    rest = {COMPLETE: _completeness, MINIMAL: _minimality, TESTS: _tests}
    blocks = [_cautions(result), _faithfulness(result)]
    known = takewhile(lambda name: name not in result.unfinished, rest)
    blocks += [rest[name](result) for name in known]
    lines = [line for block in map(list, blocks) if block for line in (*block, "")]
    sample = () if result.unfinished else _sample(result)
    return [f"{INDENT}{line}" if line else "" for line in (*lines, *sample)]


def _cautions(result: Criteria) -> Iterator[str]:
    for caution in result.cautions:
        yield from _said("caution: ", caution, "")


def _faithfulness(result: Criteria) -> Iterator[str]:
    f, share = result.faithfulness, result.faithfulness.normalized
    metric = f"{result.metric} ({result.better} is better)"
    yield f"faithfulness: F is the mean of {metric}; M model, C circuit, 0 all ablated"
    between = "" if share.low is None or share.high is None else f"[{share.low:z.2f}, {share.high:z.2f}]"
    rows = [
        ("F(M)", _number(f.model), "", ""),
        ("F(C)", _number(f.circuit), "", ""),
        ("F(0)", _number(f.ablated), "", ""),
        ("|F(M) - F(C)|", _number(f.gap), "", _number(f.aue)),
        ("F(C)/F(M)", _share(f.ratio), "", _share(f.mean_ratio)),
        ("(F(C) - F(0))/(F(M) - F(0))", _share(share.value), between, _share(f.mean_normalized)),
    ]
    yield from _aligned(("", "of means", f"{share.level:.0%} interval", "mean over rows"), rows, (1, 3))
    distances = f"AUE {_number(f.aue)} of ATE {_number(f.ate)}, explained {_share(f.explained)}"
    yield f"  {distances} (row by row, errors cannot cancel)"
    for name, values in f.beside.items():
        yield f"  {name}: model {_number(values['model'])}, circuit {_number(values['circuit'])}"
    if share.value is None:
        yield f"  {UNDEFINED}: {_why(result.rows)}"


def _why(rows: int) -> str:
    if rows < FEW_ROWS:
        return f"an interval takes {FEW_ROWS} rows, and there are {rows}"
    return "ablating everything does not surely hurt, so that there is nothing to take a share of"


def _completeness(result: Criteria) -> Iterator[str]:
    c = result.completeness
    assert c is not None, "completeness is told once it is known"
    yield "completeness: the gap |F(C \\ K) - F(M \\ K)| with K knocked out of circuit and model"
    rows = [_gap("worst found", c.worst)]
    if c.random:
        sets = f"{len(c.random)} random sets"
        rows += [(f"{sets}, mean", _number(float(np.mean(c.random))), "", "", "")]
        rows += [(f"{sets}, max", _number(max(c.random)), "", "", "")]
    rows += [_gap(gap.variable or "", gap) for gap in c.by_variable]
    yield from _aligned(("K", "gap", "F(C \\ K)", "F(M \\ K)", "parts"), rows, (1, 2, 3))
    if not c.worst.parts:
        yield "  (no set that was searched widens the gap of the whole circuit, so K is empty)"
    yield f"  ({_measured(c)})"


def _measured(c: Completeness) -> str:
    """On which rows the worst set was searched for, and its gap measured; told where these are few."""
    if not c.apart:
        return f"searched and measured on the same {c.rows} rows, too few for two halves: its gap owes to the search"
    words = f"searched on {c.searched} rows; gaps of the worst and of random sets are those on the other {c.rows}"
    few = min(c.searched, c.rows) < FEW_ROWS
    return f"{words}: too few to find it, or to trust its gap" if few else words


def _gap(name: str, gap: Gap) -> tuple[str, ...]:
    return name, _number(gap.gap), _number(gap.circuit), _number(gap.model), some_of(gap.parts, 60)


def _minimality(result: Criteria) -> Iterator[str]:
    parts = result.minimality
    yield "minimality: the effect |F(C \\ (K + v)) - F(C \\ K)| of every part v in its context K"
    if compared_with_none(result.options):
        yield from _aligned(("part", "at", "effect", "context"), [_names(n) for n in parts], (2,))
        yield f"  ({EFFECTS_ALONE})"
        return
    stopped = any(n.most is not None for n in parts)
    head = ("part", "at", "effect", "context", "p", "adjusted", "needed", *(["stopped after"] if stopped else []))
    rows = [
        (*_names(n), _p(n.p), _p(n.adjusted), MARKS[True] if n.minimal else "", *_after(n, stopped)) for n in parts
    ]
    yield from _aligned(head, rows, (2, 4, 5))
    yield "  (null: the part matters more than at most 90 % of random parts; p adjusted by Holm for all parts)"
    if stopped:
        yield f"  ({STOPPED})"
    if parts and parts[0].reason:
        yield from _said(f"p {UNDEFINED}: ", parts[0].reason, "  ")
    yield from _few(parts)
    missing = [n.part for n in parts if not n.minimal]
    if not missing:
        yield f"  shown to be needed: all {len(parts)} parts"
        return
    count = f"{len(parts) - len(missing)} of {len(parts)} parts"
    yield f"  shown to be needed: {count}; not shown, which does not say unneeded:"
    # a name is never broken across lines
    lines = wrap(", ".join(name.replace(" ", "\0") for name in missing), WIDTH - len(INDENT) - 4)
    yield from (f"    {line}".replace("\0", " ") for line in lines)


def _after(needed: Needed, stopped: bool) -> tuple[str, ...]:
    """`23 of 100`, in a column that is there where some part has it."""
    return (f"{needed.n} of {needed.most}" if needed.most is not None else "",) if stopped else ()


def compared_with_none(options: Mapping[str, Any]) -> bool:
    """Whether no random circuits and parts were asked for."""
    return options.get("random") == 0


def _few(parts: Sequence[Needed]) -> Iterator[str]:
    """Where too few random parts were drawn for any part to be shown to be needed."""
    tested = [n for n in parts if n.p is not None]
    n = tested[0].most or tested[0].n if tested else 0
    if not tested or n >= enough(len(tested), QUANTILE):
        return
    least = len(tested) * QUANTILE**n
    found = f"with {n} random part{'' if n == 1 else 's'} the smallest adjusted p is {_p(min(1.0, least))}"
    yield f"  {found}; {enough(len(tested), QUANTILE)} are needed for {len(tested)} parts (random=)"


def _names(needed: Needed) -> tuple[str, ...]:
    at = needed.at or ""
    part = needed.part.removesuffix(f" @ {at}") if at else needed.part
    return part, at or "everywhere", _number(needed.effect), some_of(needed.context, 40)


def _tests(result: Criteria) -> Iterator[str]:
    tests = result.tests
    if not tests:
        yield "tests: left out"
        return
    power = "power is the chance of that if the alternative holds"
    yield f"tests, rejecting where p <= {LEVEL:.2f}, none adjusted; {power}"
    head = ("test", "statistic", "p", "n", "good if", "rejected", "power")
    lines = _aligned(head, [_test(finding) for finding in tests], (1, 2, 6))
    yield lines[0]
    for line, finding in zip(lines[1:], tests, strict=True):
        yield line
        yield from _said("null: ", finding.null)
        if finding.reason:
            yield from _said(f"{UNDEFINED}: ", finding.reason)
        if finding.power is not None:
            yield from _said("alternative: ", finding.alternative)
        if finding.most is not None:
            yield f"    stopped after {finding.n} of {finding.most}: p = {_p(finding.p)}, {DECIDED}"
        most = finding.most or finding.n
        if finding.good == "rejecting" and finding.p is not None and most < enough():
            least = f"with {most} {finding.unit} the smallest p is {_p(QUANTILE**most)}"
            yield f"    {least}; {enough()} are needed (random=)"


def _test(finding: Finding) -> tuple[str, ...]:
    good = "rejected" if finding.good == "rejecting" else "not rejected"
    number, power = f"{finding.n} {finding.unit}", _share(finding.power)
    return finding.name, _number(finding.statistic), _p(finding.p), number, good, _outcome(finding), power


def _outcome(finding: Finding) -> str:
    """What was found; marked where it speaks for the circuit or against it. A test without power says nothing."""
    if finding.p is None:
        return UNDEFINED
    rejected, wanted = finding.p <= LEVEL, finding.good == "rejecting"
    if rejected:
        return f"yes {MARKS[wanted]}"
    return "no" if wanted or not finding.power else f"no {MARKS[True]}"


def _said(lead: str, sentence: str, inner: str = "    ") -> Iterator[str]:
    yield from wrap(sentence, WIDTH - len(INDENT), initial_indent=inner + lead, subsequent_indent=inner + "  ")


def _sample(result: Criteria) -> Iterator[str]:
    draws = f"{result.draws} draw{'' if result.draws == 1 else 's'}"
    level = f"; {result.faithfulness.normalized.level:.0%} interval over rows, given the pool"
    interval = "" if result.faithfulness.normalized.value is None else level
    facts = [("sample", f"{result.rows} rows x {draws}, seed {result.seed}{interval}")]
    if result.options:
        facts.append(("options", options_words(result.options)))
    yield from table(facts)
    if result.published:
        yield f"published, not reproduced here: {result.published}"


def some_of(names: Sequence[str], room: int) -> str:
    """The first names, at most four and no more than fit: `9.6, 9.9, 10.0, 10.7 and 3 more`."""
    if not names:
        return "none"
    shown = max((n for n in range(1, min(SHOWN, len(names)) + 1) if len(", ".join(names[:n])) <= room), default=1)
    rest = f" and {len(names) - shown} more" if shown < len(names) else ""
    return ", ".join(names[:shown]) + rest


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """A table, indented, whose columns of numbers stand to the right also where one is undefined."""
    listed = [list(head), *map(list, rows)]
    for column in right:
        width = max(len(row[column]) for row in listed)
        for row in listed:
            row[column] = row[column].rjust(width)
    return table(listed, "  ")


def _number(value: float | None) -> str:
    """Four decimals, or two digits where these would say nothing."""
    if value is None:
        return UNDEFINED
    return f"{value:.1e}" if 0 < abs(value) < 0.00095 else f"{value:z.4f}"


def _share(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:z.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
